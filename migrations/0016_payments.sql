-- payments: merchants, orders, notifications, refunds, suspense. Money that a channel tells of is booked once, by the keys
-- of payments.channel_payment; an order's row lock serialises everything that is said about it.

grant execute on function billing.post_transfers(integer, text, text, timestamptz, billing.transfer_request[]),
    billing.lock_purse(integer, bigint), billing.open_purse(integer, bigint, timestamptz) to penstock_payments;
-- 3 top_up, 4 refund, 5 reversal, 10 suspense
insert into billing.transfer_permission (role_name, kind) values
    ('penstock_payments', 3), ('penstock_payments', 4), ('penstock_payments', 5), ('penstock_payments', 10);

-- Many postings of one transfer each: post_transfers for a batch, set-based. Every posting must be new: one that exists, whatever
-- its content, fails them all with its key's constraint. Purses are locked in ascending order.
create function billing.post_each(company integer, posting_source text[], posting_key text[], at timestamptz,
                                  requests billing.transfer_request[]) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    purses bigint[];
    found_count integer;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    if coalesce(cardinality(requests), 0) = 0 or cardinality(requests) is distinct from cardinality(posting_source)
        or cardinality(requests) is distinct from cardinality(posting_key) then
        raise exception 'each posting needs its source, its key and its transfer' using errcode = '22023';
    end if;
    if exists (select from unnest(requests) r where not exists (
                   select from billing.transfer_permission p where p.role_name = session_user and p.kind = r.kind)) then
        raise exception '% may not post this kind of transfer', session_user using errcode = '42501';
    end if;
    insert into billing.posting (company_id, source, key, content_sha256, transfer_ids, posted_at)
    select company, posting_source[i], posting_key[i], sha256(convert_to(array[requests[i]]::text, 'UTF8')), array[(requests[i]).id], at
    from generate_subscripts(requests, 1) i;

    purses := array(select r.debit_num from unnest(requests) r where r.debit_class = 1
                    union select r.credit_num from unnest(requests) r where r.credit_class = 1 order by 1);
    perform billing.open_purse(company, u.num, at) from unnest(purses) u (num)
    where not exists (select from billing.purse p where p.num = u.num);
    perform from billing.purse p where p.num = any(purses) and p.company_id = company order by p.num for update;
    update billing.purse p
    set balance_micro = p.balance_micro + t.amount, updated_at = at, level = l.level, level_version = p.level_version + (l.level <> p.level)::integer
    from (select u.num, sum(u.amount)::bigint as amount, min(u.currency) as currency, count(distinct u.currency) as currencies
          from (select r.debit_num as num, -r.amount_micro as amount, r.currency from unnest(requests) r where r.debit_class = 1
                union all
                select r.credit_num, r.amount_micro, r.currency from unnest(requests) r where r.credit_class = 1) u
          group by u.num) t
    join billing.purse b on b.num = t.num
    cross join lateral (select billing.credit_level(b.balance_micro + t.amount, b.alarm_1_micro, b.alarm_2_micro, b.overdraft_micro) as level) l
    where p.num = t.num and p.company_id = company and p.currency = t.currency and t.currencies = 1;
    get diagnostics found_count = row_count;
    if found_count is distinct from coalesce(cardinality(purses), 0) then
        raise exception 'a purse does not hold this currency or is none of this company' using errcode = '22023';
    end if;

    insert into billing.transfer (id, company_id, kind, debit_class, debit_item, credit_class, credit_item, debit_num, credit_num,
                                  amount_micro, source_num, booked_at, effective_at, currency, corrects, note)
    select r.id, company, r.kind, r.debit_class, r.debit_item, r.credit_class, r.credit_item, r.debit_num, r.credit_num,
           r.amount_micro, r.source_num, at, r.effective_at, r.currency, r.corrects, r.note
    from unnest(requests) r;
    insert into billing.outbox (company_id, stream, type, subject_num, version, payload, created_at)
    select company, 'balances', 'balance_changed', p.num, p.level_version,
           jsonb_build_object('purse', p.num, 'account', p.account_num, 'property', p.property_num, 'purpose', p.purpose,
                              'balance_micro', p.balance_micro::text, 'currency', p.currency, 'level', p.level,
                              'level_version', p.level_version), at
    from billing.purse p where p.company_id = company and p.num = any(purses);
end $$;
alter function billing.post_each(integer, text[], text[], timestamptz, billing.transfer_request[]) owner to penstock_door;
grant execute on function billing.post_each(integer, text[], text[], timestamptz, billing.transfer_request[]) to penstock_payments;

-- A merchant account of a legal entity with a payment channel. active: new orders go there; paused: none do; retired: it is
-- replaced, but still receives and refunds. One merchant of an entity and channel is active at a time.
create table core.merchant (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    legal_entity_num bigint not null,
    channel text not null,
    mode text not null,
    state text not null default 'active',
    merchant text not null,
    sub_merchant text not null default '',
    app text not null,
    sub_app text not null default '',
    base_url text not null,
    standby_url text not null default '',
    order_life_s integer not null default 1800,
    created_at timestamptz not null,
    change_seq bigint not null default 0,
    constraint merchant_company_id_num_pk primary key (company_id, num),
    constraint merchant_company_id_id_uq unique (company_id, id),
    constraint merchant_legal_entity_num_fk foreign key (company_id, legal_entity_num) references core.legal_entity (company_id, num),
    constraint merchant_channel_ck check (channel in ('wechat')),
    constraint merchant_mode_ck check (mode in ('direct', 'partner')),
    constraint merchant_state_ck check (state in ('active', 'paused', 'retired')),
    constraint merchant_order_life_s_ck check (order_life_s between 60 and 86400)
);
create unique index merchant_company_id_legal_entity_num_channel_uq on core.merchant (company_id, legal_entity_num, channel) where state = 'active';
create trigger merchant_touch before insert or update on core.merchant for each row execute function core.touch();
select penstock.protect('core.merchant', array['penstock_payments']);
grant select, insert, update on core.merchant to penstock_admin;
grant select on core.merchant to penstock_payments, penstock_api, penstock_door;

-- Keys of a merchant, sealed for "merchant_key/<merchant id>/<use>/<version>". Nothing is overwritten: a new version is a new row, an old one
-- gets an end. Those fetched from the channel are entered by the service itself.
create table payments.merchant_key (
    company_id integer not null,
    num bigint generated always as identity,
    merchant_num bigint not null,
    use text not null,
    version integer not null,
    serial text not null default '',
    sealed bytea not null,
    valid_from timestamptz not null default '-infinity',
    valid_to timestamptz not null default 'infinity',
    created_at timestamptz not null,
    constraint merchant_key_company_id_num_pk primary key (company_id, num),
    constraint merchant_key_company_id_merchant_num_use_version_uq unique (company_id, merchant_num, use, version),
    constraint merchant_key_merchant_num_fk foreign key (company_id, merchant_num) references core.merchant (company_id, num),
    constraint merchant_key_use_ck check (use in ('signing', 'signing_certificate', 'channel_public', 'channel_certificate', 'trust', 'symmetric')),
    constraint merchant_key_version_ck check (version > 0)
);

-- created: the channel was not asked yet; pending: payable; unknown: the channel's word is missing; paid, paid_late (after
-- it was closed or failed), closed (confirmed by the channel), failed (never payable, or other money than ordered came).
create table payments.payment_order (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    number text not null,
    account_num bigint not null,
    purse_num bigint not null,
    property_num bigint not null,
    purpose text not null,
    legal_entity_num bigint not null,
    merchant_num bigint not null,
    channel text not null,
    product text not null,
    payer text not null,
    client_ip text not null,
    description text not null,
    amount_micro bigint not null,
    currency text not null,
    request_key text not null,
    state text not null default 'created',
    version integer not null default 1,
    handle_kind text,
    handle text,
    handle_valid_to timestamptz,
    channel_id text,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    cancelled_at timestamptz,
    next_query_at timestamptz,
    step integer not null default 0,
    attempts integer not null default 0,
    last_result text,
    last_code text,
    last_message text,
    happened_at timestamptz,
    is_time_doubtful boolean not null default false,
    has_foreign_refund boolean not null default false,
    credited_at timestamptz,
    closed_at timestamptz,
    constraint payment_order_company_id_num_pk primary key (company_id, num),
    constraint payment_order_company_id_id_uq unique (company_id, id),
    constraint payment_order_company_id_number_uq unique (company_id, number),
    constraint payment_order_company_id_account_num_request_key_uq unique (company_id, account_num, request_key),
    constraint payment_order_account_num_fk foreign key (company_id, account_num) references core.account (company_id, num),
    constraint payment_order_purse_num_fk foreign key (company_id, purse_num) references core.purse (company_id, num),
    constraint payment_order_merchant_num_fk foreign key (company_id, merchant_num) references core.merchant (company_id, num),
    constraint payment_order_state_ck check (state in ('created', 'pending', 'unknown', 'paid', 'paid_late', 'closed', 'failed')),
    constraint payment_order_product_ck check (product in ('native', 'jsapi', 'h5')),
    constraint payment_order_amount_micro_ck check (amount_micro > 0),
    constraint payment_order_credited_ck check ((state in ('paid', 'paid_late')) = (credited_at is not null)),
    constraint payment_order_times_ck check (expires_at > created_at)
) with (fillfactor = 80);
create index payment_order_next_query_at_ix on payments.payment_order (next_query_at) where next_query_at is not null;
create index payment_order_created_ix on payments.payment_order (next_query_at) where state = 'created';
create index payment_order_company_id_account_num_ix on payments.payment_order (company_id, account_num, num);

-- refused: not sent, unused credit or the order's rest did not cover it; reserved: the purse was debited, the channel not asked
-- yet or not able; unknown; pending: accepted; settled: the payer has it; failed: the channel refused, the purse has it back;
-- abnormal: it left the merchant and did not reach the payer, a person must see to it.
create table payments.refund (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    number text not null,
    order_num bigint not null,
    amount_micro bigint not null,
    currency text not null,
    reason text not null,
    requested_by text not null,
    state text not null,
    version integer not null default 1,
    channel_id text,
    reserve_transfer_id bigint,
    created_at timestamptz not null,
    next_query_at timestamptz,
    step integer not null default 0,
    attempts integer not null default 0,
    last_result text,
    last_code text,
    last_message text,
    ended_at timestamptz,
    constraint refund_company_id_num_pk primary key (company_id, num),
    constraint refund_company_id_id_uq unique (company_id, id),
    constraint refund_company_id_number_uq unique (company_id, number),
    constraint refund_order_num_fk foreign key (company_id, order_num) references payments.payment_order (company_id, num),
    constraint refund_state_ck check (state in ('refused', 'reserved', 'unknown', 'pending', 'settled', 'failed', 'abnormal')),
    constraint refund_amount_micro_ck check (amount_micro > 0)
);
create index refund_next_query_at_ix on payments.refund (next_query_at) where next_query_at is not null;
create index refund_company_id_order_num_ix on payments.refund (company_id, order_num);

-- What was asked of a channel and what it said: only grows.
create table payments.attempt (
    company_id integer not null,
    num bigint generated always as identity,
    order_num bigint not null,
    refund_num bigint,
    action text not null,
    at timestamptz not null,
    duration_ms integer not null,
    result text not null,
    http_status integer not null,
    code text not null,
    message text not null,
    request_id text not null,
    constraint attempt_company_id_num_pk primary key (company_id, num),
    constraint attempt_order_num_fk foreign key (company_id, order_num) references payments.payment_order (company_id, num),
    constraint attempt_action_ck check (action in ('create', 'query', 'close', 'refund', 'query_refund'))
);
create index attempt_company_id_order_num_ix on payments.attempt (company_id, order_num, num);

-- Verified notifications, as they came; a repetition raises `repeats`. outcome is what was done about it.
create table payments.notification (
    company_id integer not null,
    num bigint generated always as identity,
    merchant_num bigint not null,
    event_id text not null,
    event_type text not null,
    received_at timestamptz not null,
    headers jsonb not null,
    body bytea not null,
    body_sha256 bytea not null,
    plaintext text not null,
    outcome text not null,
    order_num bigint,
    repeats integer not null default 0,
    constraint notification_company_id_num_pk primary key (company_id, num),
    constraint notification_company_id_merchant_num_event_id_uq unique (company_id, merchant_num, event_id),
    constraint notification_merchant_num_fk foreign key (company_id, merchant_num) references core.merchant (company_id, num)
);

create index notification_company_id_error_ix on payments.notification (company_id, order_num) where outcome = 'error';

-- Money a channel told of, once: the company stands in the key so that no company's channel can take another's id away.
create table payments.channel_payment (
    company_id integer not null,
    channel text not null,
    kind text not null,
    channel_id text not null,
    merchant_num bigint not null,
    order_num bigint,
    amount_micro bigint not null,
    currency text not null,
    received_at timestamptz not null,
    outcome text not null,
    constraint channel_payment_company_id_channel_kind_channel_id_pk primary key (company_id, channel, kind, channel_id),
    constraint channel_payment_merchant_num_fk foreign key (company_id, merchant_num) references core.merchant (company_id, num),
    constraint channel_payment_kind_ck check (kind in ('payment', 'refund'))
);

-- Money that fits nothing: received (is_received) and not credited, or gone from the merchant without us. It waits for a person:
-- open → crediting (to credit_purse_num) or returning → credited or returned; the service does the posting.
create table payments.suspense (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    merchant_num bigint not null,
    legal_entity_num bigint not null,
    channel text not null,
    channel_id text not null,
    is_received boolean not null,
    order_num bigint,
    account_num bigint,
    reason text not null,
    amount_micro bigint not null,
    currency text not null,
    order_number text not null,
    received_at timestamptz not null,
    state text not null default 'open',
    credit_purse_num bigint,
    decided_at timestamptz,
    decided_by text,
    note text,
    ended_at timestamptz,
    constraint suspense_company_id_num_pk primary key (company_id, num),
    constraint suspense_company_id_id_uq unique (company_id, id),
    constraint suspense_merchant_num_fk foreign key (company_id, merchant_num) references core.merchant (company_id, num),
    constraint suspense_credit_purse_num_fk foreign key (company_id, credit_purse_num) references core.purse (company_id, num),
    constraint suspense_reason_ck check (reason in ('unknown_order', 'amount_mismatch', 'currency_mismatch', 'second_payment', 'external_refund',
                                                    'refund_mismatch', 'refund_after_release')),
    constraint suspense_state_ck check (state in ('open', 'crediting', 'returning', 'credited', 'returned')),
    constraint suspense_crediting_ck check ((state in ('crediting', 'credited')) = (credit_purse_num is not null))
);
create index suspense_company_id_account_num_ix on payments.suspense (company_id, account_num) where ended_at is null;
create index suspense_waiting_ix on payments.suspense (decided_at) where state in ('crediting', 'returning');

do $$
declare
    name text;
begin
    foreach name in array array['merchant_key', 'payment_order', 'refund', 'attempt', 'notification', 'channel_payment', 'suspense'] loop
        perform penstock.protect(format('payments.%I', name)::regclass, array['penstock_payments']);
        execute format('grant select, insert%s on payments.%I to penstock_payments',
                       case when name in ('attempt', 'merchant_key') then '' else ', update' end, name);
        if name = 'merchant_key' then
            grant select, insert, update on payments.merchant_key to penstock_admin;
        else
            execute format('grant select on payments.%I to penstock_admin', name);
        end if;
        if name in ('payment_order', 'refund', 'attempt', 'suspense') then
            execute format('grant select on payments.%I to penstock_api', name);
        end if;
    end loop;
end $$;
grant select, insert, update on payments.payment_order to penstock_door;
grant select, update on payments.suspense to penstock_door;
grant select on payments.notification to penstock_door;
grant select on core.property_seller to penstock_door;

-- Opens an order, or gives back the one of the same request, or one just like it that can still be paid. Without an order
-- `refusal` says why: unknown_purse, account_closed, no_merchant, amount, product, payer, too_many, key_reused. The service is
-- rung by the commit and writes the channel's handle into the order's row.
create function payments.open_order(company integer, account bigint, purse bigint, amount_micro bigint, channel text, product text, payer text,
                                    client_ip text, description text, request_key text, at timestamptz,
                                    out order_id uuid, out refusal text)
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    a record;
    m record;
    o record;
    new_id uuid;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    if account is null or purse is null or at is null or coalesce(request_key, '') = '' or coalesce(description, '') = '' then
        raise exception 'an order needs an account, a purse, a description, a key and a time' using errcode = '22023';
    end if;
    -- One order of an account at a time: what follows counts and compares.
    select p.purpose, p.currency, c.property_num, c.closed_at into a
    from core.purse p join core.account c on c.company_id = p.company_id and c.num = p.account_num
    where p.company_id = company and p.num = purse and p.account_num = account;
    if not found then refusal := 'unknown_purse'; return; end if;
    perform pg_advisory_xact_lock(7010, hashint8(account));
    select q.* into o from payments.payment_order q where q.company_id = company and q.account_num = account and q.request_key = open_order.request_key;
    if found then
        if o.purse_num = purse and o.amount_micro = open_order.amount_micro and o.product = open_order.product and o.payer = coalesce(open_order.payer, '')
            and o.channel = open_order.channel then
            order_id := o.id;
        else
            refusal := 'key_reused';
        end if;
        return;
    end if;
    if a.closed_at is not null and a.closed_at <= at then refusal := 'account_closed'; return; end if;
    if open_order.amount_micro is null or open_order.amount_micro not between 10000 and 1000000000000 or open_order.amount_micro % 10000 <> 0 then
        refusal := 'amount'; return;
    end if;
    if open_order.product is null or open_order.product not in ('native', 'jsapi', 'h5') then refusal := 'product'; return; end if;
    if (open_order.product = 'jsapi' and coalesce(open_order.payer, '') = '') or (open_order.product = 'h5' and coalesce(open_order.client_ip, '') = '') then
        refusal := 'payer'; return;
    end if;
    select t.num, t.legal_entity_num, t.order_life_s into m
    from core.property_seller s join core.merchant t on t.company_id = s.company_id and t.legal_entity_num = s.legal_entity_num
    where s.company_id = company and s.property_num = a.property_num and s.item = a.purpose and t.channel = open_order.channel and t.state = 'active';
    if not found then refusal := 'no_merchant'; return; end if;

    select q.id into order_id from payments.payment_order q
    where q.company_id = company and q.account_num = account and q.purse_num = purse and q.merchant_num = m.num and q.amount_micro = open_order.amount_micro
      and q.product = open_order.product and q.payer = coalesce(open_order.payer, '') and q.client_ip = coalesce(open_order.client_ip, '')
      and q.cancelled_at is null
      and (q.state = 'created' or (q.state = 'pending' and q.handle_valid_to > at + interval '1 minute'))
      and q.expires_at > at + interval '1 minute'
    order by q.num desc limit 1;
    if found then return; end if;
    if (select count(*) from payments.payment_order q where q.company_id = company and q.account_num = account
            and q.state in ('created', 'pending', 'unknown')) >= 20 then
        refusal := 'too_many'; return;
    end if;

    new_id := gen_random_uuid();
    insert into payments.payment_order (company_id, id, number, account_num, purse_num, property_num, purpose, legal_entity_num, merchant_num, channel,
        product, payer, client_ip, description, amount_micro, currency, request_key, created_at, expires_at, next_query_at)
    values (company, new_id, replace(new_id::text, '-', ''), account, purse, a.property_num, a.purpose, m.legal_entity_num, m.num, open_order.channel,
        open_order.product, coalesce(open_order.payer, ''), coalesce(open_order.client_ip, ''), open_order.description, open_order.amount_micro,
        a.currency, open_order.request_key, at, date_trunc('second', at) + make_interval(secs => m.order_life_s), at);
    perform pg_notify('payment_order', company::text);
    order_id := new_id;
end $$;

-- Nobody wants to pay it any more: it is closed at the channel, and paid all the same if that comes too late. False: it is
-- final already, or there is no such order.
create function payments.cancel_order(company integer, order_id uuid, at timestamptz) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    update payments.payment_order o set cancelled_at = coalesce(o.cancelled_at, at), next_query_at = least(o.next_query_at, at), step = 0
    where o.company_id = company and o.id = order_id and o.state in ('created', 'pending', 'unknown');
    if found then perform pg_notify('payment_order', company::text); end if;
    return found;
end $$;

-- A person's decision about money in suspense: credited to a purse of its currency (credit_purse), or, with NULL, settled outside. False: it was
-- decided before, or there is none.
create function payments.decide_suspense(company integer, suspense_id uuid, credit_purse bigint, decider text, why text, at timestamptz) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    if coalesce(decider, '') = '' or coalesce(why, '') = '' or at is null then
        raise exception 'a decision needs who, why and when' using errcode = '22023';
    end if;
    update payments.suspense s
    set state = case when credit_purse is null then 'returning' else 'crediting' end, credit_purse_num = credit_purse, decided_at = at,
        decided_by = decider, note = why
    where s.company_id = company and s.id = suspense_id and s.state = 'open'
      and (credit_purse is null or (s.is_received and exists (
               select from core.purse p where p.company_id = company and p.num = credit_purse and p.currency = s.currency)));
    if found then perform pg_notify('payment_order', company::text); end if;
    return found;
end $$;

-- Why no supply of this account may be switched off, as far as payments know; NULL: nothing stands against it. A payment whose
-- fate is unknown counts whatever its age.
create function payments.switch_off_block(company integer, account bigint, at timestamptz) returns text
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    if account is null or at is null or not exists (select from core.account a where a.company_id = company and a.num = account) then
        raise exception 'no account % in this company', account using errcode = 'no_data_found';
    end if;
    if exists (select from payments.payment_order o where o.company_id = company and o.account_num = account and o.state = 'unknown') then
        return 'payment_unknown';
    end if;
    if exists (select from payments.notification n join payments.payment_order o on o.company_id = n.company_id and o.num = n.order_num
               where n.company_id = company and n.outcome = 'error' and o.account_num = account and o.credited_at is null) then
        return 'payment_not_credited';
    end if;
    if exists (select from payments.suspense s where s.company_id = company and s.account_num = account and s.is_received
               and s.ended_at is null) then
        return 'payment_in_suspense';
    end if;
    if exists (select from payments.payment_order o where o.company_id = company and o.account_num = account
               and o.credited_at > at - interval '10 minutes') then
        return 'payment_recent';
    end if;
    return null;
end $$;

do $$
declare
    door record;
begin
    for door in
        select * from (values
            ('open_order(integer, bigint, bigint, bigint, text, text, text, text, text, text, timestamptz)', 'penstock_api, penstock_admin'),
            ('cancel_order(integer, uuid, timestamptz)', 'penstock_api, penstock_admin'),
            ('decide_suspense(integer, uuid, bigint, text, text, timestamptz)', 'penstock_api, penstock_admin'),
            ('switch_off_block(integer, bigint, timestamptz)', 'penstock_control, penstock_door')) as d (signature, callers)
    loop
        execute format('alter function payments.%s owner to penstock_door', door.signature);
        execute format('grant execute on function payments.%s to %s', door.signature, door.callers);
    end loop;
end $$;
