-- What comes in: events, results, requests; and what is looked at from time to time.

-- name: purse_well
insert into control.purse as p (company_id, purse_num, well_at) values ($1, $2, $3)
on conflict on constraint purse_company_id_purse_num_pk do update set well_at = greatest(p.well_at, excluded.well_at)

-- name: points_of_purse
select p.num from control.points_of_purse($1, $2, $3, $4) as p (num)

-- name: point_of_channel
select control.point_of_channel($1, $2, $3)

-- name: points_reconnected
-- Points behind a gateway ($2) or of a meter ($3) that are not where they shall be; locked in order.
with due as (
    select d.usage_point_num from control.desired d
    where d.company_id = $1 and (d.gateway_num = $2 or d.meter_num = $3)
      and (d.verified_version is distinct from d.version or d.observed <> d.state or d.waits_for is not null)
    order by d.usage_point_num for update)
update control.desired d set watch_at = $4
from due where d.company_id = $1 and d.usage_point_num = due.usage_point_num

-- name: parameters_reconnected
update control.parameter p set retry_at = $4
where p.company_id = $1 and (p.gateway_num = $2 or p.meter_num = $3) and p.state = 'failed'

-- name: alarm_insert
insert into control.alarm (company_id, event_id, usage_point_num, channel_num, meter_num, kind, value, reported_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict on constraint alarm_company_id_event_id_pk do nothing

-- name: command_load
select c.usage_point_num, c.operation, c.state, c.version, c.cause, c.request_id, c.sent_at is not null as was_sent, c.issued_at,
       c.parameters
from control.command c where c.company_id = $1 and c.id = $2

-- name: command_finish
update control.command set state = $3, reason = $4, observed = $5, finished_at = $6 where company_id = $1 and id = $2

-- name: command_resolve
-- Switch-offs without a known end that were sent before this look ($5): off tells their end, on only when the frame can
-- no longer be carried out: its deadline is five minutes after it was sent.
update control.command c
set state = $3, reason = 'read_back', observed = $4, finished_at = coalesce(c.finished_at, $5)
where c.company_id = $1 and c.usage_point_num = $2 and c.operation = 'switch_off' and c.state in ('sent', 'unknown')
  and c.sent_at < case when $3 = 'failed' then $5::timestamptz - interval '330 seconds' else $5 end
returning c.id, c.version, c.request_id

-- name: command_expire
-- Commands nobody told the end of: a claimed switch-off has an unknown one, the rest ran out. Their points are looked at.
with late as (
    select c.company_id, c.id from control.command c
    where c.state in ('issued', 'sent') and c.not_after < $2
    order by c.company_id, c.usage_point_num limit 500
    for update skip locked),
gone as (
    update control.command c
    set state = case when c.state = 'sent' then 'unknown' else 'expired' end, reason = 'no_result', finished_at = $1
    from late where c.company_id = late.company_id and c.id = late.id
    returning c.company_id, c.usage_point_num, c.operation, c.request_id),
told as (
    update control.request r set state = 'failed', outcome = 'no_result', finished_at = $1
    from gone where r.company_id = gone.company_id and r.id = gone.request_id and r.state = 'accepted'
    returning 1)
select distinct company_id, usage_point_num from gone

-- name: points_watch
-- Looked at soon, each company's in one go.
update control.desired d set watch_at = least(d.watch_at, $3)
from unnest($1::integer[], $2::bigint[]) as s (company_id, num)
where d.company_id = s.company_id and d.usage_point_num = s.num

-- name: switched_tell
insert into control.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
values (gen_random_uuid(), $1, 'control-events', 'supply_switched', $2, $8,
        jsonb_build_object('usage_point', $2::bigint, 'property', $3::bigint, 'account', $4::bigint, 'purse', $5::bigint, 'state', $6::text,
                           'reason', $7::text, 'version', $8::bigint, 'at', $9::timestamptz), $9)

-- name: progress_tell
insert into control.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
values (gen_random_uuid(), $1, 'control-events', 'supply_progress', $2, $6,
        jsonb_build_object('usage_point', $2::bigint, 'property', $3::bigint, 'command', $4::uuid, 'state', $5::text, 'version', $6::bigint), $7)

-- name: request_submit
select control.submit_request($1, $2, $3, $4, $5, $6, $7, $8)

-- name: request_approve
update control.request set approved_by = $3 where company_id = $1 and id = $2

-- name: request_due
-- One at a time: its transaction locks the point as well. $1: this one; NULL: the oldest.
select r.company_id, r.id, r.usage_point_num, r.action, r.requested_by, r.reason, r.until_at
from control.request r where r.state = 'new' and ($1::uuid is null or r.id = $1)
order by r.requested_at limit 1
for update skip locked

-- name: request_end
update control.request set state = $3, outcome = $4, version = $5, finished_at = case when $3 = 'accepted' then null else $6::timestamptz end
where company_id = $1 and id = $2

-- name: request_finish
-- Only one that is under way: what was decided before stays.
update control.request set state = $3, outcome = $4, finished_at = $5 where company_id = $1 and id = $2 and state = 'accepted'

-- name: watch_due
select d.company_id, d.usage_point_num from control.desired d where d.watch_at <= $1
order by d.state = 'off', d.watch_at limit 1
for update skip locked

-- name: point_later
update control.desired set watch_at = $3 where company_id = $1 and usage_point_num = $2

-- name: batch_expire
update control.batch set state = 'expired' where state = 'proposed' and expires_at < $1

-- name: reading_waiters
select distinct d.company_id from control.desired d where d.reading_after is not null

-- name: wake_read
select control.wake_read($1, $2)

-- name: control_change_seqs
select c.company_id, c.seq from core.change_seq c order by c.company_id

-- name: has_changed
select control.has_changed($1, $2)

-- name: policy_changed
-- What is off, or waits to be: its conditions may be others now. Locked in order.
with due as (
    select d.usage_point_num from control.desired d
    where d.company_id = $1 and (d.state = 'off' or d.waits_for is not null or d.hold is not null)
    order by d.usage_point_num for update)
update control.desired d set watch_at = least(d.watch_at, $2)
from due where d.company_id = $1 and d.usage_point_num = due.usage_point_num

-- name: unwatched_points
select p.num from control.unwatched_points($1, $2, 500) as p (num)

-- name: parameters_sync
select control.sync_parameters($1, $2)

-- name: parameter_due
select p.company_id, p.usage_point_num, p.property_num, p.gateway_num, p.meter_num, p.channel_num, p.version, p.wanted
from control.parameter p where p.retry_at <= $1
order by p.retry_at limit 1
for update skip locked

-- name: parameter_issued
update control.parameter set state = 'issued', retry_at = null, tries = tries + 1 where company_id = $1 and usage_point_num = $2

-- name: parameter_finish
-- Of the version that was sent; a newer want waits for its own end. A device that could not be told is tried again.
update control.parameter p
set state = $4, reason = $5,
    confirmed = case when $4 = 'confirmed' then p.wanted else p.confirmed end,
    confirmed_version = case when $4 = 'confirmed' then p.version else p.confirmed_version end,
    confirmed_at = case when $4 = 'confirmed' then $6 else p.confirmed_at end, retry_at = $7
where p.company_id = $1 and p.usage_point_num = $2 and p.version = $3

-- name: parameter_mismatch
-- A device was read with other values than it was told.
update control.parameter p set state = 'mismatch', reason = 'parameter_mismatch', retry_at = $3
where p.company_id = $1 and p.usage_point_num = $2 and p.state in ('issued', 'confirmed')
