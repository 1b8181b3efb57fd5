-- Functions through which one service acts in another's schema inside one transaction, and the making of partitions.

-- Who may post which kind of transfer: the numbers are those of libs/ledger.
create table billing.transfer_permission (
    role_name text not null,
    kind smallint not null,
    constraint transfer_permission_role_name_kind_pk primary key (role_name, kind)
);
alter table billing.transfer_permission owner to penstock_owner;
insert into billing.transfer_permission (role_name, kind) values
    ('penstock_admin', 2), ('penstock_admin', 6), ('penstock_api', 2), ('penstock_api', 6);
grant select on billing.transfer_permission to penstock_door;

create type billing.transfer_request as (
    id bigint, kind smallint,
    debit_class smallint, debit_num bigint, debit_item smallint,
    credit_class smallint, credit_num bigint, credit_item smallint,
    currency text, amount_micro bigint, source_num bigint, effective_at timestamptz, corrects bigint, note text);
alter type billing.transfer_request owner to penstock_owner;

grant select, insert on billing.posting, billing.transfer to penstock_door;
grant select, update on billing.purse to penstock_door;
grant insert on billing.purse to penstock_door;
grant insert on billing.outbox to penstock_door;
grant select on core.purse, core.account to penstock_door;

-- Locks a purse of the caller's company and returns its balance. Refuses when there is no such purse.
create function billing.lock_purse(company integer, purse bigint) returns bigint
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    balance bigint;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    select p.balance_micro into balance from billing.purse p where p.num = purse and p.company_id = company for update;
    if not found then
        raise exception 'no purse % in this company', purse using errcode = 'no_data_found';
    end if;
    return balance;
end $$;
alter function billing.lock_purse(integer, bigint) owner to penstock_door;

-- The projection row of a purse is made when money first reaches it. Refuses when the caller's company has no such purse.
create function billing.open_purse(company integer, purse bigint, at timestamptz) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    insert into billing.purse (num, company_id, account_num, property_num, purpose, currency, alarm_1_micro, alarm_2_micro,
                               overdraft_micro, level, updated_at)
    select p.num, p.company_id, p.account_num, a.property_num, p.purpose, p.currency, p.alarm_1_micro, p.alarm_2_micro, p.overdraft_micro,
           billing.credit_level(0, p.alarm_1_micro, p.alarm_2_micro, p.overdraft_micro), at
    from core.purse p join core.account a on a.company_id = p.company_id and a.num = p.account_num
    where p.company_id = company and p.num = purse
    on conflict (num) do nothing;
    if not found and not exists (select from billing.purse p where p.num = purse and p.company_id = company) then
        raise exception 'no purse % in this company', purse using errcode = 'no_data_found';
    end if;
end $$;
alter function billing.open_purse(integer, bigint, timestamptz) owner to penstock_door;

-- Posts transfers once per (source, key): true when posted now, false when the same content was posted before.
-- Other content under a known key, a kind the caller may not post, a purse of another currency or company: an error.
-- Levels are set under the row lock; a changed level writes its `balances` event in the same transaction.
create function billing.post_transfers(company integer, posting_source text, posting_key text, at timestamptz,
                                       requests billing.transfer_request[]) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    content bytea := sha256(convert_to(requests::text, 'UTF8'));
    stored bytea;
    touched record;
begin
    if company is null or company is distinct from penstock.current_company() then
        raise exception 'the company of the transaction is not set' using errcode = '42501';
    end if;
    if coalesce(cardinality(requests), 0) = 0 then
        raise exception 'nothing to post' using errcode = '22023';
    end if;
    if exists (select from unnest(requests) r where not exists (
                   select from billing.transfer_permission p where p.role_name = session_user and p.kind = r.kind)) then
        raise exception '% may not post this kind of transfer', session_user using errcode = '42501';
    end if;

    insert into billing.posting (company_id, source, key, content_sha256, transfer_ids, posted_at)
    values (company, posting_source, posting_key, content, array(select r.id from unnest(requests) r), at)
    on conflict on constraint posting_company_id_source_key_pk do nothing;
    if not found then
        select p.content_sha256 into stored from billing.posting p
        where p.company_id = company and p.source = posting_source and p.key = posting_key;
        if stored is distinct from content then
            raise exception 'posting % of % exists with other content', posting_key, posting_source using errcode = '23505',
                constraint = 'posting_company_id_source_key_pk';
        end if;
        return false;
    end if;

    for touched in
        select t.num, sum(t.amount) as amount, min(t.currency) as currency, count(distinct t.currency) as currencies
        from (select r.debit_num as num, -r.amount_micro as amount, r.currency from unnest(requests) r where r.debit_class = 1
              union all
              select r.credit_num, r.amount_micro, r.currency from unnest(requests) r where r.credit_class = 1) t
        group by t.num order by t.num
    loop
        perform billing.open_purse(company, touched.num, at);
        perform billing.lock_purse(company, touched.num);
        update billing.purse p
        set balance_micro = p.balance_micro + touched.amount, updated_at = at,
            level = billing.credit_level(p.balance_micro + touched.amount::bigint, p.alarm_1_micro, p.alarm_2_micro, p.overdraft_micro),
            level_version = p.level_version
                + (billing.credit_level(p.balance_micro + touched.amount::bigint, p.alarm_1_micro, p.alarm_2_micro, p.overdraft_micro) <> p.level)::integer
        where p.num = touched.num and p.company_id = company and p.currency = touched.currency and touched.currencies = 1;
        if not found then
            raise exception 'purse % does not hold this currency', touched.num using errcode = '22023';
        end if;
    end loop;

    insert into billing.transfer (id, company_id, kind, debit_class, debit_item, credit_class, credit_item, debit_num, credit_num,
                                  amount_micro, source_num, booked_at, effective_at, currency, corrects, note)
    select r.id, company, r.kind, r.debit_class, r.debit_item, r.credit_class, r.credit_item, r.debit_num, r.credit_num,
           r.amount_micro, r.source_num, at, r.effective_at, r.currency, r.corrects, r.note
    from unnest(requests) r;

    -- A sale tells its consumers the new balance even when the level stayed.
    insert into billing.outbox (company_id, stream, type, subject_num, version, payload, created_at)
    select company, 'balances', 'balance_changed', p.num, p.level_version,
           jsonb_build_object('purse', p.num, 'account', p.account_num, 'property', p.property_num, 'purpose', p.purpose,
                              'balance_micro', p.balance_micro::text, 'currency', p.currency, 'level', p.level,
                              'level_version', p.level_version), at
    from billing.purse p
    where p.company_id = company and p.num in (
        select r.debit_num from unnest(requests) r where r.debit_class = 1
        union select r.credit_num from unnest(requests) r where r.credit_class = 1);
    return true;
end $$;
alter function billing.post_transfers(integer, text, text, timestamptz, billing.transfer_request[]) owner to penstock_door;
grant execute on function billing.post_transfers(integer, text, text, timestamptz, billing.transfer_request[]) to penstock_admin, penstock_api;
grant execute on function billing.lock_purse(integer, bigint), billing.open_purse(integer, bigint, timestamptz) to penstock_admin, penstock_api, penstock_door;

-- Makes the daily and monthly partitions that cover [from_day, to_day]; idempotent. Leaves of the hot tables carry no
-- policy (COPY is impossible under row-level security) and are granted to billing alone; the journal's to its two.
create function penstock.ensure_partitions(from_day date, to_day date) returns integer
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    made integer := 0;
    parent record;
    low date;
    high date;
    leaf text;
begin
    for parent in
        select * from (values
            ('ingest', 'reading_block', 'day', 'select, insert', 'penstock_ingest'),
            ('ingest', 'refused_reading', 'day', '', ''),
            ('billing', 'reading', 'day', 'select, insert', 'penstock_billing'),
            ('billing', 'charge', 'day', 'select, insert', 'penstock_billing'),
            ('billing', 'transfer', 'day', 'select, insert', 'penstock_billing'),
            ('billing', 'day', 'month', '', '')) as p(schema_name, table_name, step, privileges, grantee)
    loop
        low := date_trunc(parent.step, from_day)::date;
        while low <= to_day loop
            high := (low + ('1 ' || parent.step)::interval)::date;
            leaf := parent.table_name || to_char(low, case parent.step when 'day' then '_YYYYMMDD' else '_YYYYMM' end);
            if to_regclass(format('%I.%I', parent.schema_name, leaf)) is null then
                execute format('create table %I.%I partition of %I.%I for values from (%L) to (%L)',
                               parent.schema_name, leaf, parent.schema_name, parent.table_name,
                               case parent.step when 'day' then low::text || ' 00:00:00+00' else low::text end,
                               case parent.step when 'day' then high::text || ' 00:00:00+00' else high::text end);
                if parent.privileges <> '' then
                    execute format('grant %s on %I.%I to %I', parent.privileges, parent.schema_name, leaf, parent.grantee);
                end if;
                made := made + 1;
            end if;
            low := high;
        end loop;
    end loop;
    return made;
end $$;
alter function penstock.ensure_partitions(date, date) owner to penstock_owner;
grant execute on function penstock.ensure_partitions(date, date) to penstock_ingest, penstock_billing, penstock_admin;

-- A row that lands in a default partition is never lost, and is an alarm.
create table ingest.reading_block_default partition of ingest.reading_block default;
create table ingest.refused_reading_default partition of ingest.refused_reading default;
create table billing.reading_default partition of billing.reading default;
create table billing.charge_default partition of billing.charge default;
create table billing.transfer_default partition of billing.transfer default;
create table billing.day_default partition of billing.day default;
alter table ingest.reading_block_default owner to penstock_owner;
alter table ingest.refused_reading_default owner to penstock_owner;
alter table billing.reading_default owner to penstock_owner;
alter table billing.charge_default owner to penstock_owner;
alter table billing.transfer_default owner to penstock_owner;
alter table billing.day_default owner to penstock_owner;
