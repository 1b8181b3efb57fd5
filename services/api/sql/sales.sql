-- What operators do with money. Every movement is one row of api.sale and one posting; the purse is locked before
-- anything is decided, and post_transfers is the last statement of the transaction.

-- name: sale_place
-- Account $1 and its purse of purpose $2: who sells that, and what the rules of the place allow. A deposit is sold by
-- whom the fees are.
select a.num, a.property_num, a.closed_at is not null, pu.num, pu.currency, s.legal_entity_num, p.time_zone,
       r.single_max_micro, r.operator_day_max_micro, r.second_person_above_micro, r.balance_max_micro, coalesce(r.reversal_within_minutes, 1440)
from core.account a
join core.property p on p.company_id = a.company_id and p.num = a.property_num
left join core.purse pu on pu.company_id = a.company_id and pu.account_num = a.num and pu.purpose = $2
left join core.property_seller s on s.company_id = a.company_id and s.property_num = a.property_num
     and s.item = case $2 when 'deposit' then 'fees' else $2 end
left join lateral (select l.* from core.sales_policy l
                   where l.company_id = a.company_id and (l.property_num is null or l.property_num = a.property_num)
                   order by l.property_num nulls last limit 1) r on true
where a.company_id = (select penstock.current_company()) and a.id = $1 and ($3::bigint[] is null or a.property_num = any($3::bigint[]));

-- name: sale_operator_day
-- What operator $1 moved since $2, rejected and failed ones aside.
select coalesce(sum(s.amount_micro), 0)::bigint from api.sale s
where s.company_id = (select penstock.current_company()) and s.operator_num = $1 and s.requested_at >= $2
  and s.state not in ('failed', 'rejected');

-- name: purse_open
-- Money may reach the purse for the first time.
select billing.open_purse(penstock.current_company(), $1, $2);

-- name: purse_lock
-- The balance, under the row's lock until the transaction ends.
select billing.lock_purse(penstock.current_company(), $1);

-- name: purse_paid_in
-- What was paid into purse $1 and not given back; gifts and corrections are no money a customer could ask for.
select coalesce(sum(case when t.credit_class = 1 and t.credit_num = $1 then t.amount_micro else -t.amount_micro end), 0)::bigint
from billing.transfer t
where t.company_id = (select penstock.current_company()) and t.kind in (2, 3, 4, 5)
  and ((t.credit_class = 1 and t.credit_num = $1 and t.kind <> 1) or (t.debit_class = 1 and t.debit_num = $1 and t.kind <> 1));

-- name: purse_promised
-- Refunds of purse $1 that the payment channel was asked for and has not ended.
select coalesce(sum(s.amount_micro), 0)::bigint from api.sale s
where s.company_id = (select penstock.current_company()) and s.purse_num = $1 and s.state = 'requested';

-- name: sale_add
insert into api.sale (company_id, id, kind, state, method, account_num, purse_num, property_num, legal_entity_num, is_credit, amount_micro,
                      currency, reference, reason, operator_num, requested_at, reverses_num, order_id, bulk_num)
values (penstock.current_company(), $1, $2, 'waiting', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
returning num;

-- name: sale_find
-- One movement with its place, under its row's lock.
select s.num, s.kind, s.state, s.method, s.account_num, s.purse_num, s.property_num, s.legal_entity_num, s.is_credit, s.amount_micro,
       s.currency, s.operator_num, s.requested_at, s.reverses_num, s.order_id, s.transfer_id, p.time_zone
from api.sale s
join core.property p on p.company_id = s.company_id and p.num = s.property_num
where s.company_id = (select penstock.current_company()) and s.id = $1 and ($2::bigint[] is null or s.property_num = any($2::bigint[]))
for update of s;

-- name: sale_account
select a.id, pu.purpose from api.sale s
join core.account a on a.company_id = s.company_id and a.num = s.account_num
join core.purse pu on pu.company_id = s.company_id and pu.num = s.purse_num
where s.company_id = (select penstock.current_company()) and s.num = $1;

-- name: sale_last
-- The newest counter sale of purse $1 that was not reversed.
select s.num from api.sale s
where s.company_id = (select penstock.current_company()) and s.purse_num = $1 and s.kind = 2 and s.state = 'done'
  and not exists (select from api.sale r where r.company_id = s.company_id and r.reverses_num = s.num and r.state in ('waiting', 'done'))
order by s.num desc limit 1;

-- name: sale_transfer
select s.transfer_id from api.sale s where s.company_id = (select penstock.current_company()) and s.num = $1;

-- name: receipt_next
insert into api.receipt_series as r (company_id, legal_entity_num, last_number) values (penstock.current_company(), $1, 1)
on conflict on constraint receipt_series_company_id_legal_entity_num_pk do update set last_number = r.last_number + 1
returning last_number;

-- name: sale_done
update api.sale set state = 'done', done_at = $2, transfer_id = $3, receipt_number = $4, decided_by = $5
where company_id = (select penstock.current_company()) and num = $1 and state in ('waiting', 'requested');

-- name: sale_end
-- Another end than done: requested of the channel, or rejected.
update api.sale set state = $2, decided_by = $3
where company_id = (select penstock.current_company()) and num = $1 and state = 'waiting';

-- name: sale_channel_end
-- Run by the worker, who sees all companies: what the payment channel made of a refund.
update api.sale set state = $3, done_at = case when $3 = 'done' then $4::timestamptz end
where company_id = $1 and id = $2 and state = 'requested';

-- name: transfer_num
select billing.transfer_num($1);

-- name: sale_post
-- Last in its transaction. False when this very posting was made before.
select billing.post_transfers(penstock.current_company(), 'counter', $1, $2,
    array[row($3::bigint, $4::smallint, $5::smallint, $6::bigint, 0, $7::smallint, $8::bigint, 0, $9::text, $10::bigint, $11::bigint, $2,
              nullif($12::bigint, 0), $13::text)::billing.transfer_request]);

-- name: sale_show
select s.id, s.kind, s.state, s.method, s.is_credit, s.amount_micro, s.currency, s.reference, s.reason, o.name, d.name, s.requested_at, s.done_at,
       s.receipt_number, a.id, pu.purpose, p.time_zone, r.id, s.order_id, b.balance_micro, l.name, a.number, s.num
from api.sale s
join core.account a on a.company_id = s.company_id and a.num = s.account_num
join core.property p on p.company_id = s.company_id and p.num = s.property_num
join core.purse pu on pu.company_id = s.company_id and pu.num = s.purse_num
join core.legal_entity l on l.company_id = s.company_id and l.num = s.legal_entity_num
join core.operator o on o.company_id = s.company_id and o.num = s.operator_num
left join core.operator d on d.company_id = s.company_id and d.num = s.decided_by
left join api.sale r on r.company_id = s.company_id and r.num = s.reverses_num
left join billing.purse b on b.company_id = s.company_id and b.num = s.purse_num
where s.company_id = (select penstock.current_company()) and s.id = $1 and ($2::bigint[] is null or s.property_num = any($2::bigint[]));

-- name: sales_page
-- Newest first, before num $2: of operator $3 (0: all), of account $4 (0: all), in state $5 ('': all), since $6.
select s.num, s.id, s.kind, s.state, s.method, s.is_credit, s.amount_micro, s.currency, s.reference, s.reason, o.name, s.requested_at, s.done_at,
       s.receipt_number, a.id, a.number, pu.purpose, p.time_zone
from api.sale s
join core.account a on a.company_id = s.company_id and a.num = s.account_num
join core.property p on p.company_id = s.company_id and p.num = s.property_num
join core.purse pu on pu.company_id = s.company_id and pu.num = s.purse_num
join core.operator o on o.company_id = s.company_id and o.num = s.operator_num
where s.company_id = (select penstock.current_company()) and ($1::bigint[] is null or s.property_num = any($1::bigint[]))
  and s.num < $2 and ($3 = 0 or s.operator_num = $3) and ($4 = 0 or s.account_num = $4) and ($5 = '' or s.state = $5) and s.requested_at >= $6
order by s.num desc limit $7;

-- name: sales_of_day
-- An operator's day: how much by kind and method, in [$2, $3).
select s.kind, coalesce(s.method, ''), s.is_credit, s.currency, count(*), sum(s.amount_micro)::bigint
from api.sale s
where s.company_id = (select penstock.current_company()) and s.operator_num = $1 and s.done_at >= $2 and s.done_at < $3
  and ($4::bigint[] is null or s.property_num = any($4::bigint[]))
group by s.kind, coalesce(s.method, ''), s.is_credit, s.currency order by 4, 1, 2, 3;

-- name: property_zone
select p.num, p.time_zone from core.property p
where p.company_id = (select penstock.current_company()) and p.id = $1 and ($2::bigint[] is null or p.num = any($2::bigint[]));

-- name: receipt_print
-- Counts a copy; the first print is the original.
update api.sale s set receipt_copies = s.receipt_copies + 1
where s.company_id = (select penstock.current_company()) and s.id = $1 and s.receipt_number is not null
  and ($2::bigint[] is null or s.property_num = any($2::bigint[]))
returning s.receipt_copies;

-- name: receipt_show
select s.receipt_number, l.name, coalesce(l.tax_id, ''), c.name, a.number, p.name, s.kind, coalesce(s.method, ''), s.is_credit, s.amount_micro, s.currency, pu.purpose,
       s.done_at, o.name, p.time_zone, coalesce(s.reference, ''),
       (select string_agg(pl.name, ', ' order by pl.sort, pl.num) from core.agreement_room ar
        join core.place pl on pl.company_id = ar.company_id and pl.num = ar.place_num
        where ar.company_id = a.company_id and ar.agreement_num = a.agreement_num)
from api.sale s
join core.legal_entity l on l.company_id = s.company_id and l.num = s.legal_entity_num
join core.account a on a.company_id = s.company_id and a.num = s.account_num
join core.agreement g on g.company_id = a.company_id and g.num = a.agreement_num
join core.customer c on c.company_id = g.company_id and c.num = g.customer_num
join core.property p on p.company_id = s.company_id and p.num = s.property_num
join core.purse pu on pu.company_id = s.company_id and pu.num = s.purse_num
join core.operator o on o.company_id = s.company_id and o.num = s.operator_num
where s.company_id = (select penstock.current_company()) and s.id = $1;

-- name: statement_purse
select pu.num, pu.currency, p.time_zone, coalesce(b.balance_micro, 0), a.opened_at
from core.account a
join core.property p on p.company_id = a.company_id and p.num = a.property_num
join core.purse pu on pu.company_id = a.company_id and pu.account_num = a.num and pu.purpose = $2
left join billing.purse b on b.company_id = pu.company_id and b.num = pu.num
where a.company_id = (select penstock.current_company()) and a.id = $1 and ($3::bigint[] is null or a.property_num = any($3::bigint[]));

-- name: statement_rows
-- All movements of purse $1 booked in [$2, $3), oldest first: each one of money, and charges summed by local day of
-- booking ($4: the property's zone); corrections are transfers of their own kind.
select 'transfer', t.kind, t.booked_at, t.effective_at,
       (case when t.credit_class = 1 and t.credit_num = $1 then t.amount_micro else -t.amount_micro end)::bigint, 0::bigint, coalesce(t.note, ''), t.id, s.id
from billing.transfer t
left join api.sale s on s.company_id = t.company_id and s.num = t.source_num and t.kind in (2, 4, 5, 6, 7, 8) and s.transfer_id = t.id
where t.company_id = (select penstock.current_company()) and t.booked_at >= $2 and t.booked_at < $3 and t.kind <> 1
  and ((t.credit_class = 1 and t.credit_num = $1) or (t.debit_class = 1 and t.debit_num = $1))
union all
select 'usage', 1::smallint, max(c.booked_at), min(c.from_at), -sum(c.amount_micro)::bigint, sum(c.quantity)::bigint, '', max(c.id), null
from billing.charge c
where c.company_id = (select penstock.current_company()) and c.purse_num = $1 and c.booked_at >= $2 and c.booked_at < $3 and c.kind <> 1
  and c.usage_point_num = any (array(select h.usage_point_num from core.usage_point_account h
                                     where h.company_id = (select penstock.current_company()) and h.purse_num = $1))
group by (c.booked_at at time zone $4)::date
order by 3, 8;

-- name: bulk_add
insert into api.bulk_sale (company_id, id, property_num, operator_num, file_name, file_sha256, created_at)
values (penstock.current_company(), $1, $2, $3, $4, $5, $6) returning num;

-- name: bulk_rows_add
-- What the file says, and for each row that could be read whether the property $2 knows the account and its purse.
insert into api.bulk_sale_row (company_id, bulk_num, row_no, account_number, purpose, amount_micro, reference, purse_num, problem)
select penstock.current_company(), $1, d.row_no, d.account_number, d.purpose, d.amount, d.reference, pu.num,
       case when d.problem <> '' then d.problem
            when a.num is null then 'the property has no such account'
            when a.closed_at is not null then 'the account is closed'
            when pu.num is null then 'the account has no such purse' end
from unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[])
     with ordinality as d (account_number, purpose, amount, reference, problem, row_no)
left join core.account a on a.company_id = (select penstock.current_company()) and a.property_num = $2 and a.number = d.account_number
left join core.purse pu on pu.company_id = a.company_id and pu.account_num = a.num and pu.purpose = d.purpose;

-- name: bulk_show
select b.num, b.file_name, o.name, b.created_at, b.confirmed_at, p.time_zone, p.currency
from api.bulk_sale b
join core.property p on p.company_id = b.company_id and p.num = b.property_num
join core.operator o on o.company_id = b.company_id and o.num = b.operator_num
where b.company_id = (select penstock.current_company()) and b.id = $1 and ($2::bigint[] is null or b.property_num = any($2::bigint[]));

-- name: bulk_lock
select b.num, b.confirmed_at is not null from api.bulk_sale b
where b.company_id = (select penstock.current_company()) and b.id = $1 and ($2::bigint[] is null or b.property_num = any($2::bigint[]))
for update;

-- name: bulk_rows
select r.row_no, r.account_number, r.purpose, coalesce(r.amount_micro, 0), coalesce(r.reference, ''), r.problem, coalesce(c.name, ''), s.id
from api.bulk_sale_row r
left join core.purse pu on pu.company_id = r.company_id and pu.num = r.purse_num
left join core.account a on a.company_id = pu.company_id and a.num = pu.account_num
left join core.agreement g on g.company_id = a.company_id and g.num = a.agreement_num
left join core.customer c on c.company_id = g.company_id and c.num = g.customer_num
left join api.sale s on s.company_id = r.company_id and s.num = r.sale_num
where r.company_id = (select penstock.current_company()) and r.bulk_num = $1 order by r.row_no;

-- name: bulk_rows_to_sell
select r.row_no, a.id, r.purpose, r.amount_micro, coalesce(r.reference, '')
from api.bulk_sale_row r
join core.purse pu on pu.company_id = r.company_id and pu.num = r.purse_num
join core.account a on a.company_id = pu.company_id and a.num = pu.account_num
where r.company_id = (select penstock.current_company()) and r.bulk_num = $1 and r.problem is null order by pu.num, r.row_no;

-- name: bulk_row_problem
update api.bulk_sale_row set problem = $3
where company_id = (select penstock.current_company()) and bulk_num = $1 and row_no = $2;

-- name: bulk_row_sold
update api.bulk_sale_row set sale_num = $3
where company_id = (select penstock.current_company()) and bulk_num = $1 and row_no = $2;

-- name: bulk_confirm
update api.bulk_sale set confirmed_at = $2 where company_id = (select penstock.current_company()) and num = $1;
