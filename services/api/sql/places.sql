-- Places as the dashboards show them. Row-level security keeps each statement within the company of the transaction;
-- $n property lists are the operator's scope, NULL for the whole company.

-- name: properties_page
-- By name, after ($2 name, $3 num); rooms counted.
select p.num, p.id, p.name, p.time_zone, p.currency,
       (select count(*) from core.place r where r.company_id = p.company_id and r.property_num = p.num and r.kind = 'room')
from core.property p
where p.company_id = (select penstock.current_company()) and ($1::bigint[] is null or p.num = any($1::bigint[]))
  and (p.name, p.num) > ($2::text, $3::bigint)
order by p.name, p.num limit $4;

-- name: property_by_id
select p.num, p.id, p.name, p.time_zone, p.currency,
       (select count(*) from core.place r where r.company_id = p.company_id and r.property_num = p.num and r.kind = 'room')
from core.property p
where p.company_id = (select penstock.current_company()) and p.id = $1 and ($2::bigint[] is null or p.num = any($2::bigint[]));

-- name: board_rooms
-- The rooms of property $1 in display order, or only those in $4, each with what its card shows at instant $2; $3 is the
-- beginning of the property's local day. A room speaks through its first electricity point, else its first point.
with point as (
    select up.place_num, up.num, up.utility, h.account_num, h.purse_num,
           row_number() over (partition by up.place_num order by up.utility <> 'electricity', up.num) as rank
    from core.usage_point up
    left join core.usage_point_account h on h.company_id = up.company_id and h.usage_point_num = up.num
        and h.from_at <= $2 and (h.to_at is null or h.to_at > $2)
    where up.company_id = (select penstock.current_company()) and up.property_num = $1
      and ($4::bigint[] is null or up.place_num = any($4::bigint[]))
), lost as (
    select point.place_num, min(mc.lost_since) as lost_since
    from point
    join core.channel_installation ci on ci.company_id = (select penstock.current_company()) and ci.usage_point_num = point.num
        and ci.to_at is null
    join core.channel c on c.company_id = ci.company_id and c.num = ci.channel_num
    join ingest.meter_contact mc on mc.company_id = c.company_id and mc.meter_num = c.meter_num
    group by point.place_num
), money as (
    select held.place_num, sum(coalesce(b.balance_micro, 0))::bigint as balance_micro, max(coalesce(b.level, 0)) as level
    from (select distinct place_num, purse_num from point where purse_num is not null) held
    left join billing.purse b on b.num = held.purse_num
    group by held.place_num
)
select building.id, building.name, floor.id, floor.name, room.id, room.name, room.num,
       cu.name, first.account_num is not null, coalesce(money.level, 0), lost.lost_since, money.balance_micro,
       first.utility, bp.last_value, bp.last_at,
       case when bp.day_start = $3 then bp.day_quantity else 0 end,
       case when bp.day_start = $3 then bp.day_amount_micro else 0 end
from core.place room
join core.place floor on floor.company_id = room.company_id and floor.num = room.parent_num
join core.place building on building.company_id = floor.company_id and building.num = floor.parent_num
left join point first on first.place_num = room.num and first.rank = 1
left join core.account a on a.company_id = room.company_id and a.num = first.account_num
left join core.agreement ag on ag.company_id = a.company_id and ag.num = a.agreement_num
left join core.customer cu on cu.company_id = ag.company_id and cu.num = ag.customer_num
left join billing.point bp on bp.num = first.num
left join lost on lost.place_num = room.num
left join money on money.place_num = room.num
where room.company_id = (select penstock.current_company()) and room.property_num = $1 and room.kind = 'room'
  and ($4::bigint[] is null or room.num = any($4::bigint[]))
order by building.sort, building.num, floor.sort, floor.num, room.sort, room.num;

-- name: overview_meters
-- Installed meters of property $2 (NULL: of the scope), and those in contact.
select count(*), count(*) filter (where mc.last_seen_at is not null and mc.lost_since is null)
from core.meter m
left join ingest.meter_contact mc on mc.company_id = m.company_id and mc.meter_num = m.num
where m.company_id = (select penstock.current_company()) and m.removed_at is null
  and ($1::bigint[] is null or m.property_num = any($1::bigint[])) and ($2::bigint is null or m.property_num = $2);

-- name: overview_properties
select p.num, p.time_zone, p.currency
from core.property p
where p.company_id = (select penstock.current_company()) and ($1::bigint[] is null or p.num = any($1::bigint[]))
  and ($2::uuid is null or p.id = $2)
order by p.num;

-- name: overview_charged
-- What points of property $1 were charged since the beginning $2 of its local day.
select coalesce(sum(bp.day_amount_micro), 0)::bigint
from core.usage_point up join billing.point bp on bp.num = up.num
where up.company_id = (select penstock.current_company()) and up.property_num = $1 and bp.day_start = $2;

-- name: room_by_id
select room.num, room.id, room.name, floor.id, floor.name, building.id, building.name, p.num, p.id, p.name, p.time_zone, p.currency
from core.place room
join core.place floor on floor.company_id = room.company_id and floor.num = room.parent_num
join core.place building on building.company_id = floor.company_id and building.num = floor.parent_num
join core.property p on p.company_id = room.company_id and p.num = room.property_num
where room.company_id = (select penstock.current_company()) and room.id = $1 and room.kind = 'room'
  and ($2::bigint[] is null or p.num = any($2::bigint[]));

-- name: room_account
-- The account that holds room $1 at $2, and its customer.
select a.num, a.id, a.number, a.opened_at, cu.name
from core.usage_point up
join core.usage_point_account h on h.company_id = up.company_id and h.usage_point_num = up.num
    and h.from_at <= $2 and (h.to_at is null or h.to_at > $2)
join core.account a on a.company_id = h.company_id and a.num = h.account_num
join core.agreement ag on ag.company_id = a.company_id and ag.num = a.agreement_num
join core.customer cu on cu.company_id = ag.company_id and cu.num = ag.customer_num
where up.company_id = (select penstock.current_company()) and up.place_num = $1
order by up.utility <> 'electricity', up.num limit 1;

-- name: account_purses
select p.purpose, coalesce(b.balance_micro, 0), b.level, p.alarm_1_micro, p.alarm_2_micro, p.overdraft_micro
from core.purse p left join billing.purse b on b.num = p.num
where p.company_id = (select penstock.current_company()) and p.account_num = $1
order by p.num;

-- name: room_points
-- Usage points of room $1 with their last reading and the tariff version in force at $2.
select up.num, up.id, up.name, up.utility, bp.last_value, bp.last_at, t.code, t.version, t.effective_from
from core.usage_point up
left join billing.point bp on bp.num = up.num
left join lateral (
    select tariff.code, v.version, v.effective_from
    from core.tariff_assignment a
    join core.tariff tariff on tariff.company_id = a.company_id and tariff.num = a.tariff_num
    join core.tariff_version v on v.company_id = a.company_id and v.tariff_num = a.tariff_num and v.effective_from <= $2
    where a.company_id = up.company_id and a.property_num = up.property_num and a.utility = up.utility and a.from_at <= $2
      and (a.usage_point_num is null or a.usage_point_num = up.num)
    order by a.usage_point_num is null, a.from_at desc, a.num desc, v.effective_from desc, v.version desc limit 1
) t on true
where up.company_id = (select penstock.current_company()) and up.place_num = $1
order by up.utility <> 'electricity', up.num;

-- name: point_meters
-- What measures usage point $1 now.
select m.id, m.bus_address, mm.name, c.ordinal, c.num, mc.last_seen_at, mc.lost_since, g.id, g.name, g.kind, gc.last_seen_at, gc.lost_since
from core.channel_installation ci
join core.channel c on c.company_id = ci.company_id and c.num = ci.channel_num
join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
join core.meter_model mm on mm.num = m.model_num
join core.gateway g on g.company_id = m.company_id and g.num = m.gateway_num
left join ingest.meter_contact mc on mc.company_id = m.company_id and mc.meter_num = m.num
left join ingest.gateway_contact gc on gc.company_id = g.company_id and gc.gateway_num = g.num
where ci.company_id = (select penstock.current_company()) and ci.usage_point_num = $1 and ci.to_at is null
order by m.num, c.ordinal;

-- name: channel_last_values
select v.register, v.value, v.read_at from ingest.last_value v
where v.company_id = (select penstock.current_company()) and v.channel_num = $1 order by v.register;

-- name: usage_point_by_id
-- With its property's zone, and the account that holds it at $2.
select up.num, up.utility, p.num, p.time_zone, p.currency, h.account_num, bp.last_at
from core.usage_point up
join core.property p on p.company_id = up.company_id and p.num = up.property_num
left join core.usage_point_account h on h.company_id = up.company_id and h.usage_point_num = up.num
    and h.from_at <= $2 and (h.to_at is null or h.to_at > $2)
left join billing.point bp on bp.num = up.num
where up.company_id = (select penstock.current_company()) and up.id = $1 and ($3::bigint[] is null or p.num = any($3::bigint[]));
