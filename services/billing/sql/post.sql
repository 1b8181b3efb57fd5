-- The effects of one transaction. Hot rows go by COPY into the leaf of the booked day.

-- name: copy_reading
copy billing.reading_{leaf} (company_id, channel_num, epoch, register, quality, flags, read_at, value, block_id, record_no, booked_at)
from stdin (format binary)

-- name: copy_charge
copy billing.charge_{leaf} (id, company_id, usage_point_num, account_num, purse_num, channel_num, epoch, kind, cause, cause_record,
    cause_num, from_at, to_at, from_value, to_value, quantity, amount_micro, tariff_version_num, corrects, booked_at)
from stdin (format binary)

-- name: copy_transfer
copy billing.transfer_{leaf} (id, company_id, kind, debit_class, debit_item, credit_class, credit_item, debit_num, credit_num,
    amount_micro, source_num, booked_at, effective_at, currency, corrects)
from stdin (format binary)

-- name: point_load
select p.num, p.state, p.day_start, p.day_quantity, p.day_amount_micro, p.stopped_since is not null
from billing.point p where p.num = any($1::bigint[])

-- name: point_insert
insert into billing.point (num, company_id, partition, channel_num, account_num, purse_num, epoch, last_at, last_value, day_start,
                           day_quantity, day_amount_micro, state, stopped_since, estimated_since)
select d.num, d.company_id, d.partition, d.channel_num, d.account_num, d.purse_num, d.epoch, d.last_at, d.last_value, d.day_start,
       d.day_quantity, d.day_amount_micro, d.state, d.stopped_since, d.estimated_since
from (select unnest($1::bigint[]) as num, unnest($2::integer[]) as company_id, unnest($3::smallint[]) as partition,
                 unnest($4::bigint[]) as channel_num, unnest($5::bigint[]) as account_num, unnest($6::bigint[]) as purse_num,
                 unnest($7::integer[]) as epoch, unnest($8::timestamptz[]) as last_at, unnest($9::bigint[]) as last_value,
                 unnest($10::timestamptz[]) as day_start, unnest($11::bigint[]) as day_quantity,
                 unnest($12::bigint[]) as day_amount_micro, unnest($13::bytea[]) as state,
                 unnest($14::timestamptz[]) as stopped_since, unnest($15::timestamptz[]) as estimated_since) as d

-- name: point_move
-- The common case: the point read on, everything else stayed. $1 is strictly ascending; a row finds what is its own by
-- the place of its num in it. So there is one relation and one way: the index, walked in ascending num, whatever the
-- planner believes of the table. $7: the states one after another; $8: where each begins, from 1, and where the last ends.
update billing.point p
set (last_at, last_value, day_start, day_quantity, day_amount_micro, state) = (
    select ($2::timestamptz[])[at.i], ($3::bigint[])[at.i], ($4::timestamptz[])[at.i], ($5::bigint[])[at.i], ($6::bigint[])[at.i],
           substr($7::bytea, ($8::integer[])[at.i], ($8::integer[])[at.i + 1] - ($8::integer[])[at.i])
    from (select width_bucket(p.num, $1::bigint[]) as i offset 0) at)
where p.num = any($1::bigint[])

-- name: point_change
-- Points whose channel, holder, epoch, standstill or gap changed. $1 as in point_move; $13 and $14 say 1970 for NULL,
-- because a place in an array that holds NULLs has to be counted off.
update billing.point p
set (channel_num, account_num, purse_num, epoch, last_at, last_value, day_start, day_quantity, day_amount_micro, state, stopped_since,
     estimated_since) = (
    select ($2::bigint[])[at.i], ($3::bigint[])[at.i], ($4::bigint[])[at.i], ($5::integer[])[at.i], ($6::timestamptz[])[at.i],
           ($7::bigint[])[at.i], ($8::timestamptz[])[at.i], ($9::bigint[])[at.i], ($10::bigint[])[at.i],
           substr($11::bytea, ($12::integer[])[at.i], ($12::integer[])[at.i + 1] - ($12::integer[])[at.i]),
           nullif(($13::timestamptz[])[at.i], 'epoch'), nullif(($14::timestamptz[])[at.i], 'epoch')
    from (select width_bucket(p.num, $1::bigint[]) as i offset 0) at)
where p.num = any($1::bigint[])

-- name: purse_post
-- Adds $2 to purses $1, in ascending num as in point_move; the level is set under the row lock. $4: whether an amount
-- raises a balance; where none does, a purse that is at level 0 has not changed its level. Answers how many purses were
-- found, and each of them whose level changed.
with moved as (
    update billing.purse p
    set updated_at = $3, (balance_micro, level, level_version) = (
            select n.balance, billing.credit_level(n.balance, p.alarm_1_micro, p.alarm_2_micro, p.overdraft_micro),
                   p.level_version
                       + (billing.credit_level(n.balance, p.alarm_1_micro, p.alarm_2_micro, p.overdraft_micro) <> p.level)::integer
            from (select p.balance_micro + ($2::bigint[])[width_bucket(p.num, $1::bigint[])] as balance offset 0) n)
    where p.num = any($1::bigint[])
    returning case when ($4::boolean or p.level > 0)
                    and p.level <> billing.credit_level(p.balance_micro - ($2::bigint[])[width_bucket(p.num, $1::bigint[])],
                                                        p.alarm_1_micro, p.alarm_2_micro, p.overdraft_micro) then p.num end as changed)
select found.n, m.changed from (select count(*) as n from moved) found left join moved m on m.changed is not null order by m.changed

-- name: purse_tell
-- The events of changed levels. Where all of the usage is history ($2) it is only news of a balance. $1 as in point_move.
insert into billing.outbox (company_id, stream, type, subject_num, version, payload, created_at)
select p.company_id, 'balances',
       case when ($2::boolean[])[width_bucket(p.num, $1::bigint[])] then 'balance_changed' else 'level_changed' end, p.num, p.level_version,
       jsonb_build_object('purse', p.num, 'account', p.account_num, 'property', p.property_num, 'purpose', p.purpose,
                          'balance_micro', p.balance_micro::text, 'currency', p.currency, 'level', p.level,
                          'level_version', p.level_version), $3
from billing.purse p where p.num = any($1::bigint[])

-- name: quarantine_insert
insert into billing.quarantine (id, company_id, usage_point_num, channel_num, epoch, register, read_at, value, reason, detail, block_id,
                                record_no, created_at)
select d.id, d.company_id, nullif(d.usage_point_num, 0), d.channel_num, d.epoch, d.register, d.read_at, d.value, d.reason, d.detail,
       d.block_id, d.record_no, $13
from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::integer[], $6::smallint[], $7::timestamptz[], $8::bigint[],
            $9::text[], $10::text[], $11::bigint[], $12::smallint[])
     as d (id, company_id, usage_point_num, channel_num, epoch, register, read_at, value, reason, detail, block_id, record_no)

-- name: quarantine_tell
insert into billing.outbox (company_id, stream, type, subject_num, version, payload, created_at)
select d.company_id, 'balances', 'reading_quarantined', d.usage_point_num, d.id,
       jsonb_build_object('usage_point', d.usage_point_num, 'channel', d.channel_num, 'register', d.register,
                          'read_at', to_char(d.read_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'value', d.value, 'reason', d.reason), $8
from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::smallint[], $6::timestamptz[], $7::bigint[], $9::text[])
     as d (id, company_id, usage_point_num, channel_num, register, read_at, value, reason)

-- name: dead_letter_insert
insert into billing.dead_letter (id, company_id, usage_point_num, block_id, record_no, record, error, created_at)
select d.id, d.company_id, nullif(d.usage_point_num, 0), d.block_id, d.record_no, d.record, d.error, $8
from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::smallint[], $6::bytea[], $7::text[])
     as d (id, company_id, usage_point_num, block_id, record_no, record, error)

-- name: point_stopped_tell
insert into billing.outbox (company_id, stream, type, subject_num, version, payload, created_at)
select d.company_id, 'balances', 'point_stopped', d.usage_point_num, d.version,
       jsonb_build_object('usage_point', d.usage_point_num, 'property', d.property_num, 'reason', d.reason), $6
from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])
     as d (company_id, usage_point_num, property_num, version, reason)

-- name: checkpoint_put
-- The packed point as it was before the first reading of a local month, from where that month can be replayed.
insert into billing.tier_window (company_id, usage_point_num, account_num, window_from, known_at, opening_state)
select d.company_id, d.usage_point_num, d.account_num, d.window_from, $6, d.state
from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bytea[])
     as d (company_id, usage_point_num, account_num, window_from, state)
on conflict on constraint tier_window_usage_point_num_account_num_window_from_pk do update
set opening_state = excluded.opening_state, known_at = excluded.known_at

-- name: day_request_put
insert into billing.day_request (company_id, usage_point_num, day, partition, requested_at)
select distinct on (d.usage_point_num, d.day) d.company_id, d.usage_point_num, d.day, d.partition, $5
from unnest($1::integer[], $2::bigint[], $3::date[], $4::smallint[]) as d (company_id, usage_point_num, day, partition)
on conflict on constraint day_request_usage_point_num_day_pk do update set requested_at = excluded.requested_at

-- name: replay_request_put
insert into billing.replay_request as q (company_id, usage_point_num, partition, from_at, reason, requested_at)
select d.company_id, d.usage_point_num, min(d.partition), min(d.from_at), min(d.reason), $6
from unnest($1::integer[], $2::bigint[], $3::smallint[], $4::timestamptz[], $5::text[])
     as d (company_id, usage_point_num, partition, from_at, reason)
group by d.company_id, d.usage_point_num
on conflict on constraint replay_request_usage_point_num_pk do update
set from_at = least(q.from_at, excluded.from_at), requested_at = excluded.requested_at, attempts = 0, failed = null
