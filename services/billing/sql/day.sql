-- name: day_next
select q.company_id, q.usage_point_num, q.day from billing.day_request q
where q.partition = any($1::smallint[]) and q.requested_at <= $2
order by q.day, q.requested_at limit $3

-- name: day_months
select penstock.ensure_day_months($1::date, $2::date)

-- name: day_stored
select d.readings from billing.day d where d.usage_point_num = $1 and d.day = $2

-- name: day_readings
-- Nothing is booked before it is read, give or take a clock: older leaves need no look.
select r.read_at, r.register, r.value, r.quality, r.flags, r.epoch from billing.reading r
where r.channel_num = any($1::bigint[]) and r.read_at >= $2 and r.read_at < $3 and r.booked_at >= $2::timestamptz - interval '1 day'
order by r.register, r.epoch, r.read_at, r.booked_at

-- name: day_charged
-- A charge belongs to the day in which its usage ended.
select coalesce(sum(c.quantity), 0)::bigint, coalesce(sum(c.amount_micro), 0)::bigint from billing.charge c
where c.usage_point_num = $1 and c.to_at > $2 and c.to_at <= $3 and c.booked_at >= $2::timestamptz - interval '1 day'

-- name: day_put
insert into billing.day (company_id, usage_point_num, day, reading_count, quantity, amount_micro, min_value, max_value, readings)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict on constraint day_usage_point_num_day_pk do update
set reading_count = excluded.reading_count, quantity = excluded.quantity, amount_micro = excluded.amount_micro,
    min_value = excluded.min_value, max_value = excluded.max_value, readings = excluded.readings

-- name: day_request_done
-- Only as it was when it was taken: a reading that came meanwhile has asked again.
delete from billing.day_request where usage_point_num = $1 and day = $2 and requested_at <= $3

-- name: day_request_later
update billing.day_request set requested_at = $3 where usage_point_num = $1 and day = $2

-- name: day_silent
-- Points that have not read since their local day ended: nobody else will ask for that day.
insert into billing.day_request (company_id, usage_point_num, day, partition, requested_at)
select p.company_id, p.num, (p.day_start at time zone o.time_zone)::date, p.partition, $2
from billing.point p
join core.usage_point u on u.company_id = p.company_id and u.num = p.num
join core.property o on o.company_id = u.company_id and o.num = u.property_num
where p.partition = any($1::smallint[]) and p.day_start < $2::timestamptz - interval '26 hours'
  and (select d.day from billing.day d where d.usage_point_num = p.num and d.day = (p.day_start at time zone o.time_zone)::date) is null
on conflict on constraint day_request_usage_point_num_day_pk do nothing
