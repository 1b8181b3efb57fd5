-- What ingest knows of core. Rows are never deleted there, so what changed since a number is all that changed.

-- name: registry_sequences
select company_id, seq from core.change_seq;

-- name: registry_gateways
-- Gateways of company $1 that changed after $2, or whose property did.
select g.num, g.property_num, g.kind, g.registration, array_to_string(g.allowed_sources, ','), g.key_id, g.secret_sealed,
       g.heartbeat_s, coalesce(g.poll_interval_s, p.poll_interval_s), g.max_meters, g.disabled_at is not null, g.id
from core.gateway g
join core.property p on p.company_id = g.company_id and p.num = g.property_num
where g.company_id = $1 and greatest(g.change_seq, p.change_seq) > $2;

-- name: registry_meters
-- Meters of company $1 of which anything that matters here changed after $2, those behind number $3, at most $4 at a time.
-- The nearest setting of the rhythm wins.
select m.num, m.property_num, p.partition, m.gateway_num, m.port, m.bus_address, m.serial, mm.protocol,
       coalesce(u.poll_interval_s, m.poll_interval_s, g.poll_interval_s, p.poll_interval_s), m.installed_at, m.removed_at is not null
from core.meter m
join core.property p on p.company_id = m.company_id and p.num = m.property_num
join core.gateway g on g.company_id = m.company_id and g.num = m.gateway_num
join core.meter_model mm on mm.num = m.model_num
left join lateral (
    select min(up.poll_interval_s) as poll_interval_s, max(greatest(ci.change_seq, up.change_seq)) as change_seq
    from core.channel c
    join core.channel_installation ci on ci.company_id = c.company_id and ci.channel_num = c.num and ci.to_at is null
    join core.usage_point up on up.company_id = ci.company_id and up.num = ci.usage_point_num
    where c.company_id = m.company_id and c.meter_num = m.num) u on true
where m.company_id = $1 and m.num > $3 and greatest(m.change_seq, p.change_seq, g.change_seq, u.change_seq) > $2
order by m.num
limit $4;

-- name: registry_channels
select meter_num, num, ordinal from core.channel where company_id = $1 and change_seq > $2 and num > $3 order by num limit $4;
