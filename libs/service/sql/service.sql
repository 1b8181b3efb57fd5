-- name: service_role_powers
-- What the role of this session could do beyond its grants: superuser, bypassing row security, owning or being able
-- to become the owner of a table of ours.
select r.rolsuper, r.rolbypassrls,
       exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname in ('penstock', 'core', 'ingest', 'billing', 'payments', 'control', 'alerts', 'api') and c.relkind in ('r', 'p')
                 and pg_has_role(c.relowner, 'MEMBER'))
from pg_roles r where r.rolname = current_user

-- name: service_schema_version
-- The newest applied migration; NULL on an empty database.
select max(version) from penstock.schema_version

-- name: service_ping
select 1

-- name: service_outbox_pending
-- What the relay has to announce, oldest first. `outbox` is found through the search path: each service has its own.
select event_id, stream from outbox where published_at is null order by created_at, event_id limit $1

-- name: service_outbox_mark
update outbox set published_at = $1 where event_id = any($2::uuid[]) and published_at is null

-- name: service_outbox_forget
-- Published events are kept for 14 days, for consumers that were away.
delete from outbox where published_at is not null and created_at < $1

-- name: service_inbox_enter
-- One row when the event is new to this consumer, none when its effect is there already.
insert into inbox (event_id, seen_at) values ($1, $2) on conflict on constraint inbox_event_id_pk do nothing

-- name: service_inbox_refuse
-- A dead letter: the event stays in its producer's outbox, the reason stands here.
insert into inbox (event_id, seen_at, refused) values ($1, $2, $3) on conflict on constraint inbox_event_id_pk do nothing

-- name: service_inbox_forget
delete from inbox where seen_at < $1

-- name: service_fetch_ingest
-- Announced events which the inbox lacks.
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from ingest.outbox o
where o.event_id = any($1::uuid[]) and o.stream = $2 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id

-- name: service_sweep_ingest
-- Events of a time span which the inbox lacks, whether or not anybody announced them.
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from ingest.outbox o
where o.stream = $1 and o.created_at >= $2 and o.created_at <= $3 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id limit $4

-- name: service_fetch_billing
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from billing.outbox o
where o.event_id = any($1::uuid[]) and o.stream = $2 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id

-- name: service_sweep_billing
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from billing.outbox o
where o.stream = $1 and o.created_at >= $2 and o.created_at <= $3 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id limit $4

-- name: service_fetch_api
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from api.outbox o
where o.event_id = any($1::uuid[]) and o.stream = $2 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id

-- name: service_sweep_api
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from api.outbox o
where o.stream = $1 and o.created_at >= $2 and o.created_at <= $3 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id limit $4

-- name: service_fetch_payments
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from payments.outbox o
where o.event_id = any($1::uuid[]) and o.stream = $2 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id

-- name: service_sweep_payments
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from payments.outbox o
where o.stream = $1 and o.created_at >= $2 and o.created_at <= $3 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id limit $4

-- name: service_fetch_control
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from control.outbox o
where o.event_id = any($1::uuid[]) and o.stream = $2 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id

-- name: service_sweep_control
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from control.outbox o
where o.stream = $1 and o.created_at >= $2 and o.created_at <= $3 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id limit $4

-- name: service_fetch_alerts
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from alerts.outbox o
where o.event_id = any($1::uuid[]) and o.stream = $2 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id

-- name: service_sweep_alerts
select o.event_id, o.type, o.company_id, o.subject_num, o.version, o.created_at, o.payload
from alerts.outbox o
where o.stream = $1 and o.created_at >= $2 and o.created_at <= $3 and not exists (select from inbox i where i.event_id = o.event_id)
order by o.created_at, o.event_id limit $4
