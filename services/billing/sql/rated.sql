-- What is decided about charged usage, and what changes it.

-- name: rated_put
-- In the order given: a later row hides earlier ones of its point from its own from_at on.
insert into billing.rated_version (company_id, usage_point_num, from_at, version_num, known_at, run_num)
select d.company_id, d.usage_point_num, d.from_at, d.version_num, $6, nullif(d.run_num, 0)
from unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::bigint[], $5::bigint[]) with ordinality
     as d (company_id, usage_point_num, from_at, version_num, run_num, ordinal)
order by d.ordinal
