-- The transaction that applies what channels say: reads under locks, then writes, then posts.

-- name: orders_lock
-- The orders of these numbers, locked in the order of their numbers until the transaction ends. What is looked for goes first and
-- each is found by its key, here and below: a plan made while a company had few rows must not scan them when it has many.
select o.company_id, o.num, o.id, o.number, o.account_num, o.purse_num, o.property_num, o.purpose, o.legal_entity_num, o.merchant_num,
       o.channel, o.product, o.payer, o.client_ip, o.description, o.amount_micro, o.currency, o.state, o.version, o.handle,
       o.handle_valid_to, o.channel_id, o.created_at, o.expires_at, o.cancelled_at, o.step, o.attempts, o.closed_at
from (select distinct number from unnest($2::text[]) u (number) order by number) w
cross join lateral (select * from payments.payment_order q where q.company_id = $1 and q.number = w.number for update) o;

-- name: refunds_lock
select r.num, r.id, r.number, r.order_num, r.amount_micro, r.currency, r.state, r.version, r.reserve_transfer_id, r.created_at, r.reason,
       r.step, r.attempts
from (select distinct number from unnest($2::text[]) u (number) order by number) w
cross join lateral (select * from payments.refund q where q.company_id = $1 and q.number = w.number for update) r;

-- name: known
-- What was recorded before: money by the channel's ids of it, and events by theirs with what became of them. Run after the
-- orders are locked, so that it sees what their last holder committed.
select c.channel, c.kind, c.channel_id, null::bigint, null::text
from unnest($2::text[], $3::text[], $4::text[]) as w (channel, kind, channel_id)
cross join lateral (select * from payments.channel_payment q
                    where q.company_id = $1 and q.channel = w.channel and q.kind = w.kind and q.channel_id = w.channel_id offset 0) c
union all
select null, null, n.event_id, n.merchant_num, n.outcome
from unnest($5::bigint[], $6::text[]) as w (merchant_num, event_id)
cross join lateral (select q.merchant_num, q.event_id, q.outcome from payments.notification q
                    where q.company_id = $1 and q.merchant_num = w.merchant_num and q.event_id = w.event_id offset 0) n;

-- name: facts_store
-- Notifications, money, final states of orders and events in one go. A repetition is counted; only one whose first coming ended
-- in an error takes another outcome. A closed order is asked about once more when the channel's day is over.
with inboxed as (
    insert into payments.notification as n (company_id, merchant_num, event_id, event_type, received_at, headers, body, body_sha256, plaintext,
                                            outcome, order_num)
    select $1, merchant_num, event_id, event_type, received_at, headers::jsonb, body, sha256(body), plaintext, outcome, order_num
    from unnest($3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::bytea[], $9::text[], $10::text[], $11::bigint[])
        as w (merchant_num, event_id, event_type, received_at, headers, body, plaintext, outcome, order_num)
    on conflict on constraint notification_company_id_merchant_num_event_id_uq do update
    set repeats = n.repeats + 1, outcome = case when n.outcome = 'error' then excluded.outcome else n.outcome end),
recorded as (
    insert into payments.channel_payment (company_id, channel, kind, channel_id, merchant_num, order_num, amount_micro, currency, received_at, outcome)
    select $1, channel, kind, channel_id, merchant_num, order_num, amount_micro, currency, $2, outcome
    from unnest($12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::text[], $19::text[])
        as w (channel, kind, channel_id, merchant_num, order_num, amount_micro, currency, outcome)),
settled as (
    update payments.payment_order o
    set state = w.state, version = o.version + 1, channel_id = coalesce(w.channel_id, o.channel_id), happened_at = w.happened_at,
        is_time_doubtful = w.is_doubtful, has_foreign_refund = o.has_foreign_refund or w.has_foreign_refund,
        credited_at = case when w.is_credited then $2::timestamptz else o.credited_at end,
        closed_at = case when w.state = 'closed' then $2::timestamptz else o.closed_at end,
        next_query_at = case when w.state = 'closed' then $2::timestamptz + interval '26 hours' end
    from unnest($20::bigint[], $21::text[], $22::text[], $23::timestamptz[], $24::boolean[], $25::boolean[], $26::boolean[])
        as w (num, state, channel_id, happened_at, is_doubtful, has_foreign_refund, is_credited)
    cross join lateral (select q.ctid as place from payments.payment_order q where q.company_id = $1 and q.num = w.num offset 0) f
    where o.ctid = f.place)
insert into payments.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
select event_id, $1, 'payments', type, subject_num, version, payload::jsonb, $2
from unnest($27::uuid[], $28::text[], $29::bigint[], $30::bigint[], $31::text[]) as w (event_id, type, subject_num, version, payload);

-- name: orders_ask
-- To be queried at once: a notification spoke of them and said nothing to book.
update payments.payment_order o set next_query_at = least(o.next_query_at, $2), has_foreign_refund = o.has_foreign_refund or w.has_foreign_refund
from unnest($3::bigint[], $4::boolean[]) as w (num, has_foreign_refund)
where o.company_id = $1 and o.num = w.num and (o.next_query_at is not null or w.has_foreign_refund);

-- name: refunds_settle
update payments.refund r
set state = w.state, version = r.version + 1, channel_id = coalesce(w.channel_id, r.channel_id), step = 0,
    ended_at = case when w.is_final then $2::timestamptz end,
    next_query_at = case when w.is_final then null when w.state = 'abnormal' then $2::timestamptz + interval '1 hour'
                         else greatest(coalesce(r.next_query_at, $2::timestamptz), $2::timestamptz + interval '1 minute') end
from unnest($3::bigint[], $4::text[], $5::text[], $6::boolean[]) as w (num, state, channel_id, is_final)
where r.company_id = $1 and r.num = w.num;

-- name: suspense_add
insert into payments.suspense (company_id, id, merchant_num, legal_entity_num, channel, channel_id, is_received, order_num, account_num, reason,
                               amount_micro, currency, order_number, received_at)
select $1, id, merchant_num, legal_entity_num, channel, channel_id, is_received, order_num, account_num, reason, amount_micro, currency,
       order_number, $2
from unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::boolean[], $9::bigint[], $10::bigint[], $11::text[],
            $12::bigint[], $13::text[], $14::text[])
    as w (id, merchant_num, legal_entity_num, channel, channel_id, is_received, order_num, account_num, reason, amount_micro, currency,
          order_number);

-- name: outbox_add
insert into payments.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
select event_id, $1, 'payments', type, subject_num, version, payload::jsonb, $2
from unnest($3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::text[]) as w (event_id, type, subject_num, version, payload);

-- name: transfer_number
select billing.transfer_num($1);

-- name: post
-- One transfer a posting. Last in its transaction. The company is set on the way: the function's first argument comes from there.
select billing.post_each(c.company::integer, $3, $4, $2,
    array(select row(coalesce(w.id, billing.transfer_num($2)), w.kind, w.debit_class, w.debit_num, w.debit_item, w.credit_class, w.credit_num,
                     w.credit_item, w.currency, w.amount_micro, w.source_num, w.effective_at, w.corrects, null)::billing.transfer_request
          from unnest($5::bigint[], $6::smallint[], $7::smallint[], $8::bigint[], $9::smallint[], $10::smallint[],
                      $11::bigint[], $12::smallint[], $13::text[], $14::bigint[], $15::bigint[], $16::timestamptz[], $17::bigint[])
              with ordinality as w (id, kind, debit_class, debit_num, debit_item, credit_class, credit_num, credit_item, currency,
                                    amount_micro, source_num, effective_at, corrects, place)
          order by place))
from (select set_config('app.company', $1::integer::text, true) as company offset 0) c;
