-- name: recharge_property
select num from core.property where company_id = $1 and code = $2

-- name: recharge_points
-- The usage points of property $2, or the one with id $3, that were ever charged; whether what they were charged is settled.
select p.company_id, p.num, p.last_at,
       exists (select from billing.replay_request q where q.usage_point_num = p.num)
       or exists (select from billing.recharge_item i where i.company_id = p.company_id and i.usage_point_num = p.num and i.done_at is null)
       or p.stopped_since is not null,
       u.id, u.name, o.code, o.currency, p.partition
from core.usage_point u
join core.property o on o.company_id = u.company_id and o.num = u.property_num
join billing.point p on p.num = u.num and p.company_id = u.company_id
where u.company_id = $1 and (u.property_num = $2 or u.id = $3)
order by p.num

-- name: recharge_tariff_versions
select v.num from core.tariff t
join core.tariff_version v on v.company_id = t.company_id and v.tariff_num = t.num
where t.company_id = $1 and t.code = $2

-- name: recharge_accounts
select a.num, a.number from core.account a where a.company_id = $1 and a.num = any($2::bigint[])

-- name: recharge_point_charges
-- What was charged at a point for usage; what closed tier windows has a lane of its own.
select c.account_num, c.from_at, c.to_at, sum(c.amount_micro)::bigint, sum(c.quantity)::bigint from billing.charge c
where c.usage_point_num = $1 and c.cause <> 3 and c.account_num <> 0
group by c.account_num, c.from_at, c.to_at

-- name: recharge_run_put
insert into billing.recharge_run (company_id, id, kind, from_at, reason, shown_sha256, requested_at)
values ($1, $2, 'operator', $3, $4, $5, $6) returning num

-- name: recharge_item_put
insert into billing.recharge_item (company_id, run_num, usage_point_num, partition, expected_accounts, expected_micro, requested_at)
values ($1, $2, $3, $4, $5::bigint[], $6::bigint[], $7)

-- name: recharge_audit
insert into core.audit (company_id, at, actor, action, subject_kind, subject_id, detail)
values ($1, $2, 'penstockctl', 'recharge', 'recharge', $3, $4::text::jsonb)

-- name: recharge_list
-- Runs, the newest first: how many points wait, were done and refused, and what was posted.
select r.id, r.kind, r.from_at, r.reason, r.requested_at,
       count(i.usage_point_num) filter (where i.done_at is null), count(i.usage_point_num) filter (where i.done_at is not null and i.refused is null),
       count(i.refused), coalesce(sum(i.posted_micro), 0)::bigint, min(coalesce(i.refused, i.failed)),
       (select count(*) from billing.recharge_share s where s.company_id = r.company_id and s.run_num = r.num)
from billing.recharge_run r
left join billing.recharge_item i on i.company_id = r.company_id and i.run_num = r.num
where r.company_id = $1
group by r.company_id, r.num
order by r.num desc limit $2
