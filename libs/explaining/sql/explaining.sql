-- name: explain_find
-- Where a charge is, by its num alone: its day is in the num.
select c.usage_point_num from billing.charge c where c.id = $1 and c.booked_at >= $2 and c.booked_at < $3

-- name: explain_charge_row
select c.company_id, c.usage_point_num, c.account_num, c.channel_num, c.epoch, c.kind, c.cause, c.from_at, c.to_at, c.from_value, c.to_value,
       c.quantity, c.amount_micro, c.tariff_version_num, c.booked_at, t.code, v.version, v.effective_from, v.document,
       coalesce(c.corrects, 0), coalesce(r.kind = 'index', false)
from billing.charge c
left join billing.recharge_run r on c.cause = 2 and r.company_id = c.company_id and r.num = c.cause_num
left join core.tariff_version v on v.company_id = c.company_id and v.num = c.tariff_version_num
left join core.tariff t on t.company_id = v.company_id and t.num = v.tariff_num
where c.id = $1 and c.usage_point_num = $2

-- name: explain_corrected
select c.from_at, c.to_at, c.booked_at, c.amount_micro, coalesce(v.version, 0)
from billing.charge c
left join core.tariff_version v on v.company_id = c.company_id and v.num = c.tariff_version_num
where c.id = $1 and c.usage_point_num = $2

-- name: explain_indices
-- The index values a tariff version was made of.
select x.index_name, to_char(x.month, 'YYYY-MM'), x.value_micro, x.is_provisional
from core.tariff_version_index x where x.company_id = $1 and x.version_num = $2 order by x.index_name

-- name: explain_checkpoints
-- Packed points from where a stretch can be charged again as it was known at $4, newest first.
select w.window_from, w.known_at, w.opening_state from billing.tier_window w
where w.company_id = $1 and w.usage_point_num = $2 and w.window_from <= $3 and w.known_at <= $4 order by w.window_from desc

-- name: stored_hot
select r.channel_num, r.read_at, r.register, r.value, r.quality, r.flags from billing.reading r
where r.channel_num = any ($1) and r.read_at > $2 and r.read_at <= $3 and r.booked_at <= $4
order by r.read_at, r.channel_num, r.epoch, r.register, r.booked_at

-- name: stored_packed
select d.day, d.readings from billing.day d where d.company_id = $1 and d.usage_point_num = $2 and d.day >= $3 and d.day <= $4 order by d.day

-- name: explain_close
-- What is kept of a tier window, and what its closes came to up to and with charge $5.
select w.state, w.average_w, w.register_w, w.active, w.reactive, w.contracted_va,
       (select coalesce(sum(c.amount_micro), 0)::bigint from billing.charge c
        where c.usage_point_num = w.usage_point_num and c.account_num = w.account_num and c.from_at = w.window_from and c.cause = 3
          and c.id <= $5)
from billing.window_close w
where w.company_id = $1 and w.usage_point_num = $2 and w.account_num = $3 and w.window_from = $4
