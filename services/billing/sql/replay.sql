-- name: replay_next
-- One request at a time; what failed is asked again less and less often.
select q.company_id, q.usage_point_num, q.from_at, q.reason, q.attempts from billing.replay_request q
where q.partition = any($1::smallint[]) and q.requested_at <= $2::timestamptz - least(q.attempts, 60) * interval '1 minute'
order by q.attempts, q.requested_at limit 1

-- name: replay_done
delete from billing.replay_request where usage_point_num = $1

-- name: replay_failed
update billing.replay_request set attempts = attempts + 1, failed = $2, requested_at = $3 where usage_point_num = $1

-- name: replay_checkpoints
select t.window_from, t.opening_state from billing.tier_window t where t.usage_point_num = $1 order by t.window_from desc

-- name: replay_hot
-- Stored readings of channels from an instant on, ordered as they were read.
select r.channel_num, r.read_at, r.register, r.value, r.quality, r.flags, r.epoch, r.block_id, r.record_no from billing.reading r
where r.channel_num = any($1::bigint[]) and r.read_at >= $2 and r.booked_at >= $2::timestamptz - interval '1 day'
order by r.read_at, r.channel_num, r.epoch, r.register, r.booked_at

-- name: replay_packed
select d.day, d.readings from billing.day d where d.usage_point_num = $1 and d.day >= $2 order by d.day

-- name: replay_charged
-- What a holder was charged at this point while holding it, for usage: what closed tier windows has a lane of its own.
select coalesce(sum(c.amount_micro), 0)::bigint, coalesce(sum(c.quantity), 0)::bigint from billing.charge c
where c.usage_point_num = $1 and c.account_num = $2 and c.from_at >= $3 and c.from_at < $4
  and c.booked_at >= $3::timestamptz - interval '1 day' and c.cause <> 3

-- name: replay_base
-- The base charge that covers an instant, or the last one before it.
select c.id, c.from_at, c.to_at, c.from_value, c.to_value, c.channel_num, c.epoch, c.tariff_version_num from billing.charge c
where c.usage_point_num = $1 and c.account_num = $2 and c.kind = 0 and c.from_at < $3
order by c.from_at desc limit 1
