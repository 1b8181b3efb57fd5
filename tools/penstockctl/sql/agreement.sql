-- name: agreement_find
select g.num, g.id, g.heads, p.time_zone from core.agreement g
join core.property p on p.company_id = g.company_id and p.num = g.property_num
where g.company_id = $1 and p.code = $2 and g.number = $3

-- name: agreement_heads_put
-- A second word about the same instant replaces the first.
insert into core.agreement_heads (company_id, agreement_num, from_at, heads) values ($1, $2, $3, $4)
on conflict on constraint agreement_heads_company_id_agreement_num_from_at_pk do update set heads = excluded.heads

-- name: holding_find
-- Who holds a usage point at an instant, and until when; locked.
select h.num, h.usage_point_num, h.account_num, h.purse_num, h.from_at, h.to_at, coalesce(h.contracted_va, 0), p.time_zone
from core.usage_point u
join core.property p on p.company_id = u.company_id and p.num = u.property_num
join core.usage_point_account h on h.company_id = u.company_id and h.usage_point_num = u.num
where u.company_id = $1 and u.id = $2 and h.from_at <= $3 and (h.to_at is null or h.to_at > $3)
for update of h

-- name: holding_capacity
update core.usage_point_account set contracted_va = $3 where company_id = $1 and num = $2

-- name: holding_end
update core.usage_point_account set to_at = $3 where company_id = $1 and num = $2

-- name: holding_go_on
-- The same account with other terms.
insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at, to_at, contracted_va)
values ($1, $2, $3, $4, $5, $6, $7)

-- name: agreement_audit
insert into core.audit (company_id, at, actor, action, subject_kind, subject_id, detail)
values ($1, $2, 'penstockctl', $3, $4, $5, $6::text::jsonb)
