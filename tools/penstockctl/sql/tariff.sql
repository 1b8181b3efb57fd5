-- name: tariff_company_lock
-- Changes of a company's tariffs come one after another.
select company_id from core.company where code = $1 for no key update

-- name: tariff_find
-- A tariff with its newest document; $3 is the digest of a document that may be published already.
select t.num, t.id, t.name, t.utility, v.version, v.document,
       (select max(e.effective_from) from core.tariff_version e where e.company_id = t.company_id and e.tariff_num = t.num),
       (select min(e.effective_from) from core.tariff_version e where e.company_id = t.company_id and e.tariff_num = t.num),
       exists (select from core.tariff_assignment a where a.company_id = t.company_id and a.tariff_num = t.num),
       coalesce((select min(s.version) from core.tariff_version s
                 where s.company_id = t.company_id and s.tariff_num = t.num and s.sha256 = $3), 0)
from core.tariff t
join lateral (select n.version, n.document from core.tariff_version n
              where n.company_id = t.company_id and n.tariff_num = t.num order by n.version desc limit 1) v on true
where t.company_id = $1 and t.code = $2

-- name: tariff_insert
insert into core.tariff (company_id, id, code, name, utility) values ($1, $2, $3, $4, $5) returning num

-- name: tariff_version_insert
insert into core.tariff_version (company_id, id, tariff_num, version, effective_from, document, sha256, published_at)
values ($1, $2, $3, $4, $5, $6, $7, $8) returning num

-- name: tariff_num
select t.num, t.id from core.tariff t where t.company_id = $1 and t.code = $2

-- name: tariff_audit
insert into core.audit (company_id, at, actor, action, subject_kind, subject_id, detail)
values ($1, $2, 'penstockctl', $3, 'tariff', $4, $5::text::jsonb)

-- name: tariff_property
-- A property as what a tariff is assigned to; $3 is the tariff's utility.
select p.num, null::bigint, $3::text, p.code, p.time_zone, p.currency,
       exists (select from core.property_seller s where s.company_id = p.company_id and s.property_num = p.num and s.item = $3)
from core.property p where p.company_id = $1 and p.code = $2

-- name: tariff_usage_point
-- The same of a usage point.
select up.property_num, up.num, up.utility, p.code, p.time_zone, p.currency,
       exists (select from core.property_seller s where s.company_id = p.company_id and s.property_num = p.num and s.item = $3)
from core.usage_point up
join core.property p on p.company_id = up.company_id and p.num = up.property_num
where up.company_id = $1 and up.id = $2

-- name: tariff_assigned_at
-- What is assigned at $5: to the usage point $3 itself, and to the property, which serves where the point has none.
select t.num, t.code, a.from_at, a.usage_point_num is not null
from core.tariff_assignment a
join core.tariff t on t.company_id = a.company_id and t.num = a.tariff_num
where a.company_id = $1 and a.property_num = $2 and (a.usage_point_num is null or a.usage_point_num = $3) and a.utility = $4
  and a.from_at <= $5
order by a.usage_point_num is not null desc, a.from_at desc, a.known_at desc, a.num desc limit 1

-- name: tariff_assign
insert into core.tariff_assignment (company_id, property_num, usage_point_num, utility, tariff_num, from_at, known_at)
values ($1, $2, $3, $4, $5, $6, $7)

-- name: tariff_list_versions
-- With a property $2: of the tariffs assigned in it. The last column: in force at $3.
select t.code, t.name, t.utility, v.version, v.effective_from, v.published_at,
       v.num = (select f.num from core.tariff_version f
                where f.company_id = t.company_id and f.tariff_num = t.num and f.effective_from <= $3
                order by f.effective_from desc, f.version desc limit 1)
from core.tariff t
join core.tariff_version v on v.company_id = t.company_id and v.tariff_num = t.num
where t.company_id = $1
  and ($2::bigint is null or exists (select from core.tariff_assignment a
                                     where a.company_id = t.company_id and a.tariff_num = t.num and a.property_num = $2))
order by t.code, v.version

-- name: tariff_list_assignments
-- The last column: in force at $3, for the point itself or as the property's default.
select p.code, up.id, up.name, a.utility, t.code, a.from_at,
       a.num = (select f.num from core.tariff_assignment f
                where f.company_id = a.company_id and f.property_num = a.property_num and f.utility = a.utility
                  and f.usage_point_num is not distinct from a.usage_point_num and f.from_at <= $3
                order by f.from_at desc, f.known_at desc, f.num desc limit 1)
from core.tariff_assignment a
join core.property p on p.company_id = a.company_id and p.num = a.property_num
join core.tariff t on t.company_id = a.company_id and t.num = a.tariff_num
left join core.usage_point up on up.company_id = a.company_id and up.num = a.usage_point_num
where a.company_id = $1 and ($2::bigint is null or a.property_num = $2)
order by p.code, up.num nulls first, a.utility, a.from_at, a.known_at, a.num

-- name: tariff_points_at
-- The usage points of a property that a tariff prices at $4.
select up.id, up.name
from core.usage_point up
join lateral (select a.tariff_num from core.tariff_assignment a
              where a.company_id = up.company_id and a.property_num = up.property_num and a.utility = up.utility
                and (a.usage_point_num is null or a.usage_point_num = up.num) and a.from_at <= $4
              order by a.usage_point_num is not null desc, a.from_at desc, a.known_at desc, a.num desc limit 1) chosen
    on chosen.tariff_num = $3
where up.company_id = $1 and up.property_num = $2
order by up.num

-- name: tariff_version_at
select v.version, v.document from core.tariff_version v
where v.company_id = $1 and v.tariff_num = $2 and v.effective_from <= $3
order by v.effective_from desc, v.version desc limit 1
