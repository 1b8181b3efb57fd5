-- What is to be asked of channels, and what they answered.

-- name: order_claim_new
-- The oldest order the channel was not asked for yet; its lease runs until $2.
update payments.payment_order o set next_query_at = $2, attempts = o.attempts + 1
where (o.company_id, o.num) = (
    select q.company_id, q.num from payments.payment_order q where q.state = 'created' and q.next_query_at <= $1
    order by q.next_query_at limit 1 for update skip locked)
returning o.company_id, o.num, o.id, o.number, o.account_num, o.purse_num, o.property_num, o.purpose, o.legal_entity_num, o.merchant_num,
       o.channel, o.product, o.payer, o.client_ip, o.description, o.amount_micro, o.currency, o.state, o.version, o.handle,
       o.handle_valid_to, o.channel_id, o.created_at, o.expires_at, o.cancelled_at, o.step, o.attempts, o.closed_at;

-- name: order_claim
update payments.payment_order o set next_query_at = $2, attempts = o.attempts + 1
where (o.company_id, o.num) = (
    select q.company_id, q.num from payments.payment_order q where q.next_query_at <= $1
    order by q.next_query_at limit 1 for update skip locked)
returning o.company_id, o.num, o.id, o.number, o.account_num, o.purse_num, o.property_num, o.purpose, o.legal_entity_num, o.merchant_num,
       o.channel, o.product, o.payer, o.client_ip, o.description, o.amount_micro, o.currency, o.state, o.version, o.handle,
       o.handle_valid_to, o.channel_id, o.created_at, o.expires_at, o.cancelled_at, o.step, o.attempts, o.closed_at;

-- name: refund_claim
update payments.refund r set next_query_at = $2, attempts = r.attempts + 1
where (r.company_id, r.num) = (
    select q.company_id, q.num from payments.refund q where q.next_query_at <= $1
    order by q.next_query_at limit 1 for update skip locked)
returning r.num, r.id, r.number, r.order_num, r.amount_micro, r.currency, r.state, r.version, r.reserve_transfer_id, r.created_at, r.reason,
       r.step, r.attempts, r.company_id;

-- name: order_of_refund
select o.company_id, o.num, o.id, o.number, o.account_num, o.purse_num, o.property_num, o.purpose, o.legal_entity_num, o.merchant_num,
       o.channel, o.product, o.payer, o.client_ip, o.description, o.amount_micro, o.currency, o.state, o.version, o.handle,
       o.handle_valid_to, o.channel_id, o.created_at, o.expires_at, o.cancelled_at, o.step, o.attempts, o.closed_at
from payments.payment_order o where o.company_id = $1 and o.num = $2;

-- name: attempt_add
insert into payments.attempt (company_id, order_num, refund_num, action, at, duration_ms, result, http_status, code, message, request_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: order_record
-- What a call changed. An order that became final meanwhile stays as it is; the answer tells whether its state moved.
with old as (
    select q.company_id, q.num, q.state from payments.payment_order q
    where q.company_id = $1 and q.num = $2 and q.state in ('created', 'pending', 'unknown') for update)
update payments.payment_order o
set state = $3, version = o.version + (old.state <> $3)::integer, next_query_at = $4, step = $5, last_result = $6, last_code = $7,
    last_message = $8, handle_kind = coalesce($9, o.handle_kind), handle = coalesce($10, o.handle),
    handle_valid_to = coalesce($11, o.handle_valid_to)
from old where o.company_id = old.company_id and o.num = old.num
returning old.state <> $3, o.version;

-- name: order_rest
-- A final order that was asked about once more needs no further question.
update payments.payment_order o set next_query_at = $3
where o.company_id = $1 and o.num = $2 and o.state in ('closed', 'failed', 'paid', 'paid_late');

-- name: refund_record
with old as (
    select q.company_id, q.num, q.state from payments.refund q
    where q.company_id = $1 and q.num = $2 and q.state in ('reserved', 'unknown', 'pending', 'abnormal') for update)
update payments.refund r
set state = $3, version = r.version + (old.state <> $3)::integer, next_query_at = $4, step = $5, last_result = $6, last_code = $7,
    last_message = $8
from old where r.company_id = old.company_id and r.num = old.num
returning old.state <> $3, r.version;

-- name: overdue_count
-- Orders and refunds that should have been asked about a while ago, for the gauge.
select (select count(*) from payments.payment_order o where o.next_query_at < $1) + (select count(*) from payments.refund r where r.next_query_at < $1);

-- name: open_counts
select (select count(*) from payments.payment_order o where o.state = 'unknown' and o.next_query_at is not null),
       (select count(*) from payments.suspense s where s.ended_at is null);
