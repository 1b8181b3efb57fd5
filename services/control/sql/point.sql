-- One usage point: its desired state, what is under way for it, and what a decision about it writes.

-- name: point_open
-- Makes and locks the row; whoever decides about a point or claims its switch-off holds this lock.
select control.open_point($1, $2, $3)

-- name: point_load
-- keeps_itself_off: its own protection opened since it was last read back. An expired hold is told as none.
select d.property_num, d.state, d.version, d.cause, case when d.hold_until <= $3 then null else d.hold end as hold, d.hold_by,
       d.hold_until <= $3 as has_hold_ended, d.observed, d.observed_at, d.verified_version = d.version as is_verified, d.waits_for,
       d.waits_since,
       exists (select from control.alarm a
               where a.company_id = d.company_id and a.usage_point_num = d.usage_point_num and a.kind in ('overload', 'malicious_load')
                 and a.reported_at > coalesce(d.verified_at, '-infinity')) as keeps_itself_off
from control.desired d
where d.company_id = $1 and d.usage_point_num = $2

-- name: point_facts
select f.is_newest, f.is_switchable, f.never_cut, f.is_forced_on, f.is_frozen, f.off_last_hour, f.off_limit, f.has_unknown_off,
       f.is_own, f.prepaid_rule, f.is_shared, f.level, f.payment_block, f.credit_age_ms, f.is_stopped, f.reading_age_ms,
       f.tariff_age_ms, f.in_window, f.is_warned, f.on_age_ms, f.stale_after_ms, f.credit_quiet_ms, f.min_on_ms,
       f.property_num, f.account_num, f.purse_num, f.channel_num, f.meter_num, f.gateway_num, f.last_reading_at, f.next_window_at,
       f.scheduled
from control.facts_of($1, $2, $3, null, $4, null, $5) f

-- name: point_open_commands
select c.id, c.operation, c.state, c.version from control.command c
where c.company_id = $1 and c.usage_point_num = $2 and c.state in ('issued', 'sent', 'unknown')
order by c.issued_at

-- name: point_set
-- The next version of what is wanted. Older commands that nobody has sent yet are replaced; a claim of one of them meets
-- the newer version.
update control.desired d
set state = $3, version = d.version + 1, reason = $4, cause = $5, set_at = $6, waits_for = null, waits_since = null,
    reading_after = null, channel_num = $7, meter_num = $8, gateway_num = $9
where d.company_id = $1 and d.usage_point_num = $2
returning d.version

-- name: point_supersede
with replaced as (
    update control.command c set state = 'superseded', finished_at = $4, reason = 'superseded'
    where c.company_id = $1 and c.usage_point_num = $2 and c.version < $3 and c.state = 'issued'
      and c.operation in ('switch_off', 'switch_on')
    returning c.request_id)
update control.request r set state = 'failed', outcome = 'superseded', finished_at = $4
from replaced where r.company_id = $1 and r.id = replaced.request_id and r.state = 'accepted'

-- name: point_revert
-- A switch-off that had no effect: what is wanted is what still is. Nothing was changed, so nothing has to be read back,
-- unless the supply was seen off.
update control.desired d
set state = 'on', version = d.version + 1, reason = $3, cause = null, set_at = $4, hold = null, hold_by = null, hold_until = null,
    verified_version = case when d.observed = 'off' then d.verified_version else d.version + 1 end
where d.company_id = $1 and d.usage_point_num = $2
returning d.version

-- name: point_hold
update control.desired set hold = $3, hold_by = $4, hold_until = $5 where company_id = $1 and usage_point_num = $2

-- name: point_wait
-- Why it waits (NULL: it does not), when to look again, and after which reading.
update control.desired d
set waits_since = case when $3::text is null then null when d.waits_for = $3 then d.waits_since else $6 end, waits_for = $3,
    watch_at = $4, reading_after = $5
where d.company_id = $1 and d.usage_point_num = $2

-- name: point_observe
-- An older look never replaces a newer one.
update control.desired d
set observed = $3, observed_at = $4,
    on_since = case when $3 <> 'on' then null when d.observed = 'on' then d.on_since else $4 end
where d.company_id = $1 and d.usage_point_num = $2 and (d.observed_at is null or d.observed_at <= $4)

-- name: point_verify
update control.desired d set verified_version = d.version, verified_at = $4
where d.company_id = $1 and d.usage_point_num = $2 and d.version = $3
returning d.reason, d.state

-- name: command_issue
with one as (
    insert into control.command (company_id, id, usage_point_num, property_num, gateway_num, meter_num, channel_num, operation,
                                 parameters, version, cause, requested_by, request_id, issued_at, not_after)
    values ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9::jsonb, '{}'), $10, $11, $12, $13, $14, $15)
    returning *)
insert into control.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
select gen_random_uuid(), company_id, 'commands', 'command_issued', usage_point_num, version,
       jsonb_build_object('command', id, 'gateway', gateway_num, 'meter', meter_num, 'channel', channel_num, 'operation', operation,
                          'parameters', parameters, 'version', version, 'not_after', not_after), issued_at
from one
union all
select gen_random_uuid(), company_id, 'control-events', 'supply_progress', usage_point_num, version,
       jsonb_build_object('usage_point', usage_point_num, 'property', property_num, 'command', id, 'state', 'issued', 'version', version),
       issued_at
from one where operation in ('switch_off', 'switch_on')

-- name: refusal_again
-- The same refusal of the same standing condition, within a day and with nothing between.
update control.refusal r set times = r.times + 1, last_at = $7
where r.company_id = $1
  and r.num = (select max(l.num) from control.refusal l where l.company_id = $1 and l.usage_point_num = $2)
  and r.action = $3 and r.reason = $4 and r.version = $5 and r.cause is not distinct from $6 and r.command_id is null
  and r.request_id is null and r.refused_at > $8

-- name: refusal_note
with one as (
    insert into control.refusal (company_id, usage_point_num, property_num, action, reason, version, cause, requested_by, request_id,
                                 refused_at, last_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $11, $11) returning *)
insert into control.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
select gen_random_uuid(), company_id, 'control-events', 'supply_refused', usage_point_num, coalesce(version, 0),
       jsonb_build_object('usage_point', usage_point_num, 'property', property_num, 'account', $10::bigint, 'action', action,
                          'reason', reason, 'version', coalesce(version, 0)), refused_at
from one

-- name: freeze_company
insert into control.freeze (company_id, reason, detail, frozen_at) values ($1, 'limiter', $2, $3) on conflict do nothing

-- name: force_on_set
insert into control.force_on (company_id, usage_point_num, from_at, until_at, reason, set_by) values ($1, $2, $3, $4, $5, $6)
on conflict (company_id, usage_point_num) where released_at is null
do update set until_at = excluded.until_at, reason = excluded.reason, set_by = excluded.set_by

-- name: force_on_release
update control.force_on set released_at = $3, released_by = $4
where company_id = $1 and usage_point_num = $2 and released_at is null

-- name: force_on_expire
-- Those whose time is over: their points are looked at.
with over as (
    update control.force_on f set released_at = $1, released_by = 'until'
    where f.released_at is null and f.until_at <= $1
    returning f.company_id, f.usage_point_num)
update control.desired d set watch_at = $1
from over where d.company_id = over.company_id and d.usage_point_num = over.usage_point_num
