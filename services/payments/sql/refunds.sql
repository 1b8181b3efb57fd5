-- Refunds that operators ask for, and decisions about suspense.

-- name: refund_order_lock
-- The order by its id, locked: all its refunds pass here one after the other.
select o.company_id, o.num, o.id, o.number, o.account_num, o.purse_num, o.property_num, o.purpose, o.legal_entity_num, o.merchant_num,
       o.channel, o.product, o.payer, o.client_ip, o.description, o.amount_micro, o.currency, o.state, o.version, o.handle,
       o.handle_valid_to, o.channel_id, o.created_at, o.expires_at, o.cancelled_at, o.step, o.attempts, o.closed_at
from payments.payment_order o where o.company_id = $1 and o.id = $2 for update;

-- name: refund_promised
-- What of the order is refunded or on its way, how often, and when the last was asked for.
select coalesce(sum(r.amount_micro) filter (where r.state not in ('refused', 'failed')), 0)::bigint,
       count(*) filter (where r.state <> 'refused'), max(r.created_at) filter (where r.state <> 'refused')
from payments.refund r where r.company_id = $1 and r.order_num = $2;

-- name: refund_balance
select billing.lock_purse($1, $2);

-- name: refund_add
insert into payments.refund (company_id, id, number, order_num, amount_micro, currency, reason, requested_by, state, reserve_transfer_id,
                             created_at, next_query_at, last_code, ended_at)
values ($1, $2::uuid, replace(($2::uuid)::text, '-', ''), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, case when $8 = 'refused' then $10::timestamptz end)
on conflict on constraint refund_company_id_id_uq do nothing
returning num;

-- name: suspense_claim
-- A decided one that is not carried out yet.
select s.company_id, s.num, s.id, s.legal_entity_num, s.channel, s.is_received, s.amount_micro, s.currency, s.state, s.credit_purse_num,
       s.order_num, s.account_num, s.reason
from payments.suspense s where s.state in ('crediting', 'returning')
order by s.decided_at limit 1 for update skip locked;

-- name: suspense_end
update payments.suspense s set state = case s.state when 'crediting' then 'credited' else 'returned' end, ended_at = $3
where s.company_id = $1 and s.num = $2 and s.state in ('crediting', 'returning');
