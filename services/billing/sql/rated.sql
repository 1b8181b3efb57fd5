-- What is decided about charged usage, and what changes it.

-- name: rated_put
-- In the order given: a later row hides earlier ones of its point from its own from_at on.
insert into billing.rated_version (company_id, usage_point_num, from_at, version_num, known_at, run_num)
select d.company_id, d.usage_point_num, d.from_at, d.version_num, $6, nullif(d.run_num, 0)
from unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::bigint[], $5::bigint[]) with ordinality
     as d (company_id, usage_point_num, from_at, version_num, run_num, ordinal)
order by d.ordinal

-- name: recharge_share_next
select s.company_id, s.run_num, s.partition from billing.recharge_share s where s.partition = any($1::smallint[]) limit 1

-- name: recharge_share_expand
-- The points of the partition that were rated under a version which the run's publication replaced.
insert into billing.recharge_item (company_id, run_num, usage_point_num, partition, requested_at)
select distinct p.company_id, r.num, p.num, p.partition, r.requested_at
from billing.recharge_run r
join core.tariff_version f on f.company_id = r.company_id and f.published_at = r.requested_at and f.replaces_num is not null
join billing.rated_version d on d.company_id = f.company_id and d.version_num = f.replaces_num
join billing.point p on p.num = d.usage_point_num and p.company_id = d.company_id
where r.company_id = $1 and r.num = $2 and p.partition = $3
on conflict on constraint recharge_item_company_id_run_num_usage_point_num_pk do nothing

-- name: recharge_share_done
delete from billing.recharge_share where company_id = $1 and run_num = $2 and partition = $3

-- name: recharge_next
-- Points that wait for a replay wait here too: their readings are not complete. What failed is asked again less and less
-- often.
select i.company_id, i.run_num, i.usage_point_num, r.kind, r.from_at, i.expected_accounts, i.expected_micro
from billing.recharge_item i
join billing.recharge_run r on r.company_id = i.company_id and r.num = i.run_num
where i.partition = any($1::smallint[]) and i.done_at is null and i.requested_at <= $2::timestamptz - least(i.attempts, 60) * interval '1 minute'
  and (select q.usage_point_num from billing.replay_request q where q.usage_point_num = i.usage_point_num) is null
limit $3

-- name: recharge_charged
-- What was charged at a point for usage since an instant; what closed tier windows has a lane of its own.
select c.account_num, c.from_at, c.to_at, sum(c.amount_micro)::bigint, sum(c.quantity)::bigint from billing.charge c
where c.usage_point_num = $1 and c.from_at >= $2 and c.booked_at >= $2::timestamptz - interval '1 day' and c.cause <> 3 and c.account_num <> 0
group by c.account_num, c.from_at, c.to_at

-- name: recharge_done
update billing.recharge_item set done_at = $4, refused = $5, posted_micro = $6, failed = null
where company_id = $1 and run_num = $2 and usage_point_num = $3 and done_at is null

-- name: recharge_failed
update billing.recharge_item set attempts = attempts + 1, failed = $4, requested_at = $5
where company_id = $1 and run_num = $2 and usage_point_num = $3
