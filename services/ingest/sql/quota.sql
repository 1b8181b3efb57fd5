-- Quotas of readings per second, shared between replicas.

-- name: quota_limits
select company_id, quota_readings_per_s from core.company;

-- name: quota_report
-- What replica $1 was offered, at $2: of each company $3 so many readings a second $4.
insert into ingest.quota_demand (company_id, replica, per_s, at)
select d.company_id, $1, d.per_s, $2 from unnest($3::integer[], $4::integer[]) as d (company_id, per_s)
on conflict on constraint quota_demand_company_id_replica_pk do update set per_s = excluded.per_s, at = excluded.at;

-- name: quota_others
-- What the replicas beside $1 were offered since $2.
select company_id, sum(per_s)::bigint from ingest.quota_demand where replica <> $1 and at > $2 group by company_id;

-- name: quota_forget
delete from ingest.quota_demand where at < $1;
