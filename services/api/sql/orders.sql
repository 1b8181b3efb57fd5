-- Payments through a channel, asked for at the counter.

-- name: order_place
-- Account $1, its purse of purpose $2, and what the payer reads on his phone.
select a.num, pu.num, left(p.name, 40) || ' ' || left(a.number, 40)
from core.account a
join core.property p on p.company_id = a.company_id and p.num = a.property_num
left join core.purse pu on pu.company_id = a.company_id and pu.account_num = a.num and pu.purpose = $2
where a.company_id = (select penstock.current_company()) and a.id = $1 and ($3::bigint[] is null or a.property_num = any($3::bigint[]));

-- name: order_open
-- An order's id, or why there is none.
select o.order_id, o.refusal from payments.open_order(penstock.current_company(), $1, $2, $3, $4, $5, '', '', $6, $7, $8) o;

-- name: order_cancel
-- False: it is final already.
select payments.cancel_order(penstock.current_company(), $1, $2);

-- name: order_show
select p.time_zone, o.id, o.state, a.id, a.number, o.purpose, o.amount_micro, o.currency, o.channel, o.handle, o.handle_valid_to,
       o.state = 'pending' and o.handle_kind = 'qr' and o.cancelled_at is null and o.handle_valid_to is not null,
       o.cancelled_at is not null and o.state in ('created', 'pending', 'unknown'), o.created_at, o.expires_at, o.credited_at, o.product,
       o.closed_at, case when o.state in ('failed', 'unknown') then nullif(o.last_code, '') end, o.num
from payments.payment_order o
join core.account a on a.company_id = o.company_id and a.num = o.account_num
join core.property p on p.company_id = o.company_id and p.num = o.property_num
where o.company_id = (select penstock.current_company()) and o.id = $1 and ($2::bigint[] is null or o.property_num = any($2::bigint[]));

-- name: orders_page
-- Orders of account $1, newest first, before num $2. Same columns as order_show.
select p.time_zone, o.id, o.state, a.id, a.number, o.purpose, o.amount_micro, o.currency, o.channel, o.handle, o.handle_valid_to,
       o.state = 'pending' and o.handle_kind = 'qr' and o.cancelled_at is null and o.handle_valid_to is not null,
       o.cancelled_at is not null and o.state in ('created', 'pending', 'unknown'), o.created_at, o.expires_at, o.credited_at, o.product,
       o.closed_at, case when o.state in ('failed', 'unknown') then nullif(o.last_code, '') end, o.num
from payments.payment_order o
join core.account a on a.company_id = o.company_id and a.num = o.account_num
join core.property p on p.company_id = o.company_id and p.num = o.property_num
where o.company_id = (select penstock.current_company()) and o.account_num = $1 and o.num < $2
order by o.num desc limit $3;
