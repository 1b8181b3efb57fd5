-- What is charged when a tier window closes, and the gaps of readings.

-- name: window_put
-- A window that was opened gets its row; one that closed asks for its closing amount, again where it ended otherwise than
-- before.
insert into billing.window_close as w (company_id, usage_point_num, account_num, window_from, window_to, partition, purse_num,
    tariff_version_num, state, average_w, register_w, active, reactive, contracted_va, made_at, requested_at)
select d.company_id, d.usage_point_num, d.account_num, d.window_from, d.window_to, d.partition, d.purse_num, d.version_num,
       case when d.is_closed then d.state end, d.average_w, d.register_w, d.active, d.reactive, d.contracted_va, $16,
       case when d.is_closed then $16::timestamptz end
from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[], $7::timestamptz[], $8::timestamptz[],
            $9::bytea[], $10::boolean[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
     as d (company_id, usage_point_num, account_num, purse_num, version_num, partition, window_from, window_to, state, is_closed,
           average_w, register_w, active, reactive, contracted_va)
on conflict on constraint window_close_usage_point_num_account_num_window_from_pk do update
set window_to = excluded.window_to, partition = excluded.partition, purse_num = excluded.purse_num,
    tariff_version_num = excluded.tariff_version_num, state = excluded.state, average_w = excluded.average_w,
    register_w = excluded.register_w, active = excluded.active, reactive = excluded.reactive,
    contracted_va = excluded.contracted_va, requested_at = excluded.requested_at, attempts = 0, failed = null
where excluded.state is not null
  and (w.state, w.tariff_version_num, w.average_w, w.register_w, w.active, w.reactive, w.contracted_va)
      is distinct from (excluded.state, excluded.tariff_version_num, excluded.average_w, excluded.register_w, excluded.active,
                        excluded.reactive, excluded.contracted_va)

-- name: window_due
-- Closing amounts to work out: of windows that ended, and of those still open at $3, long after their end and after their
-- first reading came, because no further one did. What failed is asked again less and less often.
select w.company_id, w.usage_point_num, w.account_num, w.window_from, w.window_to, w.purse_num, w.tariff_version_num, w.state,
       w.average_w, w.register_w, w.active, w.reactive, w.contracted_va, w.posted_micro, w.charge_id, w.partition
from (select * from billing.window_close c
      where c.partition = any($1::smallint[]) and c.requested_at <= $2::timestamptz - least(c.attempts, 60) * interval '1 minute'
      union all
      select * from billing.window_close c
      where c.partition = any($1::smallint[]) and c.closed_at is null and c.requested_at is null and c.window_to <= $3 and c.made_at <= $3) w
order by w.window_to, w.usage_point_num limit $4

-- name: window_done
update billing.window_close w
set posted_micro = d.posted, charge_id = nullif(d.charge_id, 0), closed_at = $6, requested_at = null, attempts = 0, failed = null
from (select unnest($1::bigint[]) as usage_point_num, unnest($2::bigint[]) as account_num, unnest($3::timestamptz[]) as window_from,
             unnest($4::bigint[]) as posted, unnest($5::bigint[]) as charge_id) as d
where w.usage_point_num = d.usage_point_num and w.account_num = d.account_num and w.window_from = d.window_from

-- name: window_failed
update billing.window_close w set attempts = w.attempts + 1, failed = $4, requested_at = $5
where w.usage_point_num = $1 and w.account_num = $2 and w.window_from = $3

-- name: gap_days
-- Packed days of usage points before their gaps: what they usually use.
select w.ordinal, d.day, d.readings
from (select unnest($1::integer[]) as ordinal, unnest($2::bigint[]) as usage_point_num, unnest($3::date[]) as from_day,
             unnest($4::date[]) as to_day) as w
cross join lateral (select b.day, b.readings from billing.day b
                    where b.usage_point_num = w.usage_point_num and b.day >= w.from_day and b.day <= w.to_day) d
order by w.ordinal, d.day

-- name: gap_put
insert into billing.gap (company_id, usage_point_num, from_at, to_at, longer_than_ms, profile, made_at)
select d.company_id, d.usage_point_num, d.from_at, d.to_at, d.longer_than_ms, d.profile, $7
from unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::bigint[], $6::bytea[])
     as d (company_id, usage_point_num, from_at, to_at, longer_than_ms, profile)
on conflict on constraint gap_company_id_usage_point_num_from_at_to_at_pk do nothing
