-- The event feed of the dashboards, and what is swept away with time.

-- name: feed_property
select p.id, p.time_zone, p.currency from core.property p
where p.company_id = (select penstock.current_company()) and p.num = $1;

-- name: feed_scope
-- Public ids of the properties an operator's screens may be told of; $2 NULL: no filter.
select p.id from core.property p
where p.company_id = (select penstock.current_company()) and ($1::bigint[] is null or p.num = any($1::bigint[]))
  and ($2::uuid is null or p.id = $2);

-- name: feed_add
-- Numbers follow the clock, so that none is given twice after the feed was emptied. One feeder writes at a time.
insert into api.event_feed (company_id, seq, type, payload, created_at)
select penstock.current_company(), greatest(coalesce(max(f.seq), 0) + 1, $1::bigint), $2, $3::text::jsonb, $4
from api.event_feed f where f.company_id = (select penstock.current_company());

-- name: feed_newest
select coalesce(max(f.seq), 0) from api.event_feed f where f.company_id = (select penstock.current_company());

-- name: feed_after
-- By the worker: what came behind $2 in each company of $1.
select f.company_id, f.seq, f.type, f.payload, f.payload ->> 'property'
from unnest($1::integer[], $2::bigint[]) as w (company_id, seq)
join api.event_feed f on f.company_id = w.company_id and f.seq > w.seq
order by f.company_id, f.seq limit 1000;

-- name: sweep_feed
delete from api.event_feed where created_at < $1;

-- name: sweep_sessions
delete from api.session where expires_at < $1;

-- name: sweep_delays
delete from api.login_delay where failed_at < $1;

-- name: sweep_keys
delete from api.idempotency where created_at < $1;

-- name: sweep_read_requests
delete from api.read_request where requested_at < $1;
