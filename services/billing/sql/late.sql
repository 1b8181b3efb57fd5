-- name: late_same
-- What is stored already for exactly these channels and times.
select w.ordinal, r.register, r.value
from unnest($1::integer[], $2::bigint[], $3::timestamptz[]) as w (ordinal, channel_num, read_at)
join billing.reading r on r.channel_num = w.channel_num and r.read_at = w.read_at and r.booked_at >= w.read_at - interval '1 day'
order by w.ordinal

-- name: late_neighbours
-- The stored readings of the total register next to these times, before and after.
select w.ordinal, b.read_at, b.value, b.epoch, a.read_at, a.value, a.epoch
from unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::smallint[]) as w (ordinal, channel_num, read_at, register)
left join lateral (select r.read_at, r.value, r.epoch from billing.reading r
                   where r.channel_num = w.channel_num and r.read_at < w.read_at and r.register = w.register
                   order by r.read_at desc, r.epoch desc limit 1) b on true
left join lateral (select r.read_at, r.value, r.epoch from billing.reading r
                   where r.channel_num = w.channel_num and r.read_at > w.read_at and r.register = w.register
                     and r.booked_at >= w.read_at - interval '1 day'
                   order by r.read_at, r.epoch limit 1) a on true
order by w.ordinal
