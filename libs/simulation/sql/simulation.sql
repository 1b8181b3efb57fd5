-- What a what-if reads besides setups and stored polls. Nothing here writes.

-- name: simulation_property
-- The properties with this id or code; $1 NULL looks in every company.
select p.company_id, p.num, p.id, p.code, p.name, p.time_zone, p.currency
from core.property p
where ($1::integer is null or p.company_id = $1) and (p.code = $2 or p.id::text = lower($2))
order by p.company_id, p.num
limit 2;

-- name: simulation_calendar_days
-- The dated days of a property, as its charges see them: its own days win, a normal day hides the platform's.
select coalesce(own.day, d.day), coalesce(own.kind, d.kind)
from (select c.day, c.kind from core.calendar_day c
      join core.property p on p.company_id = $1 and p.num = $2 and p.calendar_name = c.calendar_name) d
full join (select day, kind from core.property_calendar_day where company_id = $1 and property_num = $2) own on own.day = d.day
where coalesce(own.kind, d.kind) <> 'normal'
order by 1;

-- name: simulation_points
-- The usage points of a property, with what they stand at and whether a replay waits to correct them.
select up.num, up.id, up.name, up.utility, b.last_at, q.usage_point_num is not null
from core.usage_point up
left join billing.point b on b.num = up.num
left join billing.replay_request q on q.usage_point_num = up.num
where up.company_id = $1 and up.property_num = $2
order by up.num;

-- name: simulation_checkpoints
-- Packed points from where charging can go on, newest first; the first that does not lie behind $3 serves.
select w.opening_state from billing.tier_window w
where w.company_id = $1 and w.usage_point_num = $2 and w.window_from <= $3
order by w.window_from desc, w.known_at desc
limit 8;

-- name: simulation_accounts
-- Numbers and customers of the accounts $2.
select a.num, a.number, c.name
from unnest($2::bigint[]) as w (num)
join core.account a on a.company_id = $1 and a.num = w.num
join core.agreement g on g.company_id = a.company_id and g.num = a.agreement_num
join core.customer c on c.company_id = g.company_id and c.num = g.customer_num;
