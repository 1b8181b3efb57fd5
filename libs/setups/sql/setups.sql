-- What applies to usage points over time, read from core. $1 companies and $2 usage points run in parallel; a pair that
-- occurs twice counts once.

-- name: setup_points
-- One row per usage point that exists.
select up.company_id, up.num, up.property_num, up.utility, up.rated_power_w, p.partition, p.time_zone, p.currency, p.calendar_name,
       s.legal_entity_num, coalesce(up.poll_interval_s, i.poll_interval_s, p.poll_interval_s)
from (select distinct w.company_id, w.num from unnest($1::integer[], $2::bigint[]) as w (company_id, num)) wanted
join core.usage_point up on up.company_id = wanted.company_id and up.num = wanted.num
join core.property p on p.company_id = up.company_id and p.num = up.property_num
left join core.property_seller s on s.company_id = up.company_id and s.property_num = up.property_num and s.item = up.utility
left join lateral (
    select max(coalesce(m.poll_interval_s, g.poll_interval_s)) as poll_interval_s
    from core.channel_installation ci
    join core.channel c on c.company_id = ci.company_id and c.num = ci.channel_num
    join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
    join core.gateway g on g.company_id = m.company_id and g.num = m.gateway_num
    where ci.company_id = up.company_id and ci.usage_point_num = up.num and ci.to_at is null) i on true
order by up.num;

-- name: setup_installations
select ci.usage_point_num, ci.channel_num, ci.from_at, ci.to_at, ci.opening_value, ci.closing_value, c.ratio_num, c.ratio_den,
       mm.register_max, mm.protocol, array_to_string(mm.period_registers, ','), ci.closing_estimated
from (select distinct w.company_id, w.num from unnest($1::integer[], $2::bigint[]) as w (company_id, num)) wanted
join core.channel_installation ci on ci.company_id = wanted.company_id and ci.usage_point_num = wanted.num
join core.channel c on c.company_id = ci.company_id and c.num = ci.channel_num
join core.meter m on m.company_id = c.company_id and m.num = c.meter_num
join core.meter_model mm on mm.num = m.model_num
order by ci.usage_point_num, ci.from_at, ci.num;

-- name: setup_holders
-- Heads come as two arrays, rising: from when on, in ms (those of the agreement itself from 1970), and how many.
select h.usage_point_num, h.account_num, h.purse_num, h.from_at, h.to_at, a.opened_at, h.contracted_va,
       array[0::bigint] || coalesce(n.from_ms, array[]::bigint[]), array[g.heads] || coalesce(n.heads, array[]::smallint[])
from (select distinct w.company_id, w.num from unnest($1::integer[], $2::bigint[]) as w (company_id, num)) wanted
join core.usage_point_account h on h.company_id = wanted.company_id and h.usage_point_num = wanted.num
join core.account a on a.company_id = h.company_id and a.num = h.account_num
join core.agreement g on g.company_id = a.company_id and g.num = a.agreement_num
cross join lateral (
    select array_agg((extract(epoch from t.from_at) * 1000)::bigint order by t.from_at) as from_ms,
           array_agg(t.heads order by t.from_at) as heads
    from core.agreement_heads t where t.company_id = g.company_id and t.agreement_num = g.num) n
order by h.usage_point_num, h.from_at;

-- name: setup_assignments
-- Those of the usage point and its property's defaults, as known at $3, in the order in which they take effect.
select up.num, a.tariff_num, a.from_at, a.usage_point_num is not null
from (select distinct w.company_id, w.num from unnest($1::integer[], $2::bigint[]) as w (company_id, num)) wanted
join core.usage_point up on up.company_id = wanted.company_id and up.num = wanted.num
join core.tariff_assignment a on a.company_id = up.company_id and a.property_num = up.property_num and a.utility = up.utility
    and (a.usage_point_num is null or a.usage_point_num = up.num)
where a.known_at <= $3
order by up.num, a.from_at, a.known_at, a.num;

-- name: setup_rated
-- Where points stand, and which versions rated their usage so far as it was decided until $3, in that order; the last
-- column is the version that took the place of one with provisional index values, 0 for none.
select p.num, p.last_at, r.from_at, r.version_num, coalesce(f.num, 0)
from (select distinct w.company_id, w.num from unnest($1::integer[], $2::bigint[]) as w (company_id, num)) wanted
join billing.point p on p.num = wanted.num and p.company_id = wanted.company_id
join billing.rated_version r on r.company_id = wanted.company_id and r.usage_point_num = wanted.num and r.known_at <= $3
cross join lateral (
    with recursive final as (
        select v.num from core.tariff_version v where v.company_id = r.company_id and v.replaces_num = r.version_num
        union all
        select v.num from final f join core.tariff_version v on v.company_id = r.company_id and v.replaces_num = f.num)
    select max(final.num) as num from final) f
order by p.num, r.num;

-- name: setup_versions
-- The versions of tariffs $1, $2, as known at $3, and the versions $4, $5, in the order in which they take effect, with the
-- index values they were made of as price_indices_read takes them. The last column: known at $3.
with wanted as (
    select v.company_id, v.num
    from (select distinct * from unnest($1::integer[], $2::bigint[])) as t (company_id, num)
    join core.tariff_version v on v.company_id = t.company_id and v.tariff_num = t.num
    where v.published_at <= $3
    union
    select n.company_id, n.num from unnest($4::integer[], $5::bigint[]) as n (company_id, num))
select v.company_id, v.tariff_num, v.num, v.effective_from, v.document, i.list, v.published_at <= $3
from wanted
join core.tariff_version v on v.company_id = wanted.company_id and v.num = wanted.num
cross join lateral (
    select 'index,month,value,provisional' || string_agg(
               format(e'\n%s,%s,%s,%s', x.index_name, to_char(x.month, 'YYYY-MM'), round(x.value_micro / 1000000::numeric, 6),
                      x.is_provisional::text), '' order by x.index_name) as list
    from core.tariff_version_index x where x.company_id = v.company_id and x.version_num = v.num) i
order by v.tariff_num, v.effective_from, v.version;

-- name: setup_calendar_days
-- The dated calendar $3 as property ($1, $2) keeps it: the property's own days win; a normal day hides the platform's.
select coalesce(own.day, d.day), coalesce(own.kind, d.kind)
from (select day, kind from core.calendar_day where calendar_name = $3) d
full join (select day, kind from core.property_calendar_day where company_id = $1 and property_num = $2) own on own.day = d.day
where coalesce(own.kind, d.kind) <> 'normal'
order by 1;

-- name: setup_channel_points
-- The usage points that channels measure or measured.
select distinct ci.channel_num, ci.usage_point_num
from (select distinct * from unnest($1::integer[], $2::bigint[])) as wanted (company_id, num)
join core.channel_installation ci on ci.company_id = wanted.company_id and ci.channel_num = wanted.num
order by 1, 2;

-- name: setup_gaps
-- The gaps of readings that were charged as such.
select g.usage_point_num, g.from_at, g.to_at, g.longer_than_ms, g.profile
from (select distinct w.company_id, w.num from unnest($1::integer[], $2::bigint[]) as w (company_id, num)) wanted
join billing.gap g on g.company_id = wanted.company_id and g.usage_point_num = wanted.num
order by g.usage_point_num, g.from_at, g.to_at;
