-- Sessions, contacts, last values, events.

-- name: session_claim
-- Takes the gateway's session unless another living process holds it and has heard the gateway since $5. A holder lives
-- while its replica number is locked and was taken before the session began.
insert into ingest.gateway_session as s (company_id, gateway_num, replica, epoch, remote, connected_at, last_seen_at)
values ($1, $2, $3, 1, $6, $4, $4)
on conflict (company_id, gateway_num) do update
set replica = excluded.replica, epoch = s.epoch + 1, remote = excluded.remote, connected_at = excluded.connected_at,
    last_seen_at = excluded.last_seen_at, closed_at = null
where s.closed_at is not null or s.last_seen_at < $5 or s.replica = $3
   or exists (select from ingest.replica r where r.num = s.replica and r.started_at > s.connected_at)
   or not exists (select from pg_locks l where l.locktype = 'advisory' and l.classid = 7001 and l.objid::bigint = s.replica and l.objsubid = 2
                  and l.database = (select d.oid from pg_database d where d.datname = current_database()))
returning epoch;

-- name: session_seen
-- Answers a row only while this epoch is the newest.
update ingest.gateway_session set last_seen_at = $4
where company_id = $1 and gateway_num = $2 and epoch = $3 and closed_at is null
returning epoch;

-- name: session_close
update ingest.gateway_session set closed_at = $4
where company_id = $1 and gateway_num = $2 and epoch = $3 and closed_at is null;

-- name: session_close_all
-- At the end of a process: those of its replica number that began in its time.
update ingest.gateway_session set closed_at = $3 where replica = $1 and connected_at >= $2 and closed_at is null;

-- name: contact_lost_gateways
select gateway_num from ingest.gateway_contact where lost_since is not null;

-- name: contact_lost_meters
select meter_num from ingest.meter_contact where lost_since is not null;

-- name: gateway_contact_lock
-- Those of the given gateways that were lost, locked in order.
select c.gateway_num, c.lost_since
from ingest.gateway_contact c
join unnest($1::integer[], $2::bigint[]) as s (company_id, num) on c.company_id = s.company_id and c.gateway_num = s.num
where c.lost_since is not null
order by c.gateway_num
for update of c;

-- name: gateway_contact_put
insert into ingest.gateway_contact as c (company_id, gateway_num, last_seen_at)
select company_id, num, at from unnest($1::integer[], $2::bigint[], $3::timestamptz[]) as s (company_id, num, at) order by num
on conflict (company_id, gateway_num) do update
set last_seen_at = greatest(c.last_seen_at, excluded.last_seen_at), lost_since = null;

-- name: gateway_contact_open
insert into ingest.gateway_contact (company_id, gateway_num)
select company_id, num from unnest($1::integer[], $2::bigint[]) as s (company_id, num) order by num
on conflict do nothing;

-- name: gateway_contact_lose
-- $3: heard after this instant it is not lost; $4: when this process heard it last, if ever; $5: since when it counts as
-- lost if nobody ever heard it.
update ingest.gateway_contact c
set lost_since = coalesce(greatest(c.last_seen_at, s.heard_at), s.since), last_seen_at = greatest(c.last_seen_at, s.heard_at)
from unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[]) as s (company_id, num, before, heard_at, since)
where c.company_id = s.company_id and c.gateway_num = s.num and c.lost_since is null
  and (c.last_seen_at is null or c.last_seen_at < s.before)
returning c.gateway_num, c.lost_since;

-- name: meter_contact_lock
select c.meter_num, c.lost_since
from ingest.meter_contact c
join unnest($1::integer[], $2::bigint[]) as s (company_id, num) on c.company_id = s.company_id and c.meter_num = s.num
where c.lost_since is not null
order by c.meter_num
for update of c;

-- name: meter_contact_put
insert into ingest.meter_contact as c (company_id, meter_num, last_seen_at)
select company_id, num, at from unnest($1::integer[], $2::bigint[], $3::timestamptz[]) as s (company_id, num, at) order by num
on conflict (company_id, meter_num) do update
set last_seen_at = greatest(c.last_seen_at, excluded.last_seen_at), lost_since = null;

-- name: meter_contact_open
insert into ingest.meter_contact (company_id, meter_num)
select company_id, num from unnest($1::integer[], $2::bigint[]) as s (company_id, num) order by num
on conflict do nothing;

-- name: meter_contact_lose
update ingest.meter_contact c
set lost_since = coalesce(greatest(c.last_seen_at, s.heard_at), s.since), last_seen_at = greatest(c.last_seen_at, s.heard_at)
from unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[]) as s (company_id, num, before, heard_at, since)
where c.company_id = s.company_id and c.meter_num = s.num and c.lost_since is null
  and (c.last_seen_at is null or c.last_seen_at < s.before)
returning c.meter_num, c.lost_since;

-- name: last_value_put
-- An older value never replaces a newer one.
insert into ingest.last_value as v (company_id, channel_num, register, value, quality, read_at, received_at)
select company_id, channel_num, register, value, quality, read_at, received_at
from unnest($1::integer[], $2::bigint[], $3::smallint[], $4::bigint[], $5::smallint[], $6::timestamptz[], $7::timestamptz[])
    as s (company_id, channel_num, register, value, quality, read_at, received_at)
order by channel_num, register
on conflict (company_id, channel_num, register) do update
set value = excluded.value, quality = excluded.quality, read_at = excluded.read_at, received_at = excluded.received_at
where v.read_at <= excluded.read_at;

-- name: device_event_insert
insert into ingest.device_event (company_id, id, at, kind, gateway_num, meter_num, channel_num, detail)
values ($1, $2, $3, $4, $5, $6, null, $7::jsonb);

-- name: outbox_insert
insert into ingest.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8);
