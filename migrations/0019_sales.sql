-- api: counter sales and everything beside them: what operators do with money, its limits, and the receipts.

insert into billing.transfer_permission (role_name, kind) values
    ('penstock_api', 4), ('penstock_api', 5), ('penstock_api', 7), ('penstock_api', 8);

-- What operators may do at the counter; property_num NULL is the company's rule. A missing limit (NULL) limits nothing.
create table core.sales_policy (
    company_id integer not null,
    num bigint generated always as identity,
    property_num bigint,
    single_max_micro bigint,             -- one sale, refund, adjustment or gift
    operator_day_max_micro bigint,       -- all of one operator in a local day
    second_person_above_micro bigint,    -- above it another person approves
    balance_max_micro bigint,            -- no sale lifts a purse above it
    reversal_within_minutes integer not null default 1440,
    change_seq bigint not null default 0,
    constraint sales_policy_company_id_num_pk primary key (company_id, num),
    constraint sales_policy_company_id_fk foreign key (company_id) references core.company (company_id),
    constraint sales_policy_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint sales_policy_limits_ck check (single_max_micro > 0 and operator_day_max_micro > 0 and second_person_above_micro >= 0
                                             and balance_max_micro > 0 and reversal_within_minutes >= 0)
);
create unique index sales_policy_company_id_property_num_uq on core.sales_policy (company_id, coalesce(property_num, 0));
create trigger sales_policy_touch before insert or update on core.sales_policy for each row execute function core.touch();
select penstock.protect('core.sales_policy', array[]::text[]);
grant select, insert, update on core.sales_policy to penstock_admin;
grant select on core.sales_policy to penstock_api;

-- One row a movement of money that an operator asked for. kind is the transfer's. state: waiting for a second person,
-- requested of the payment channel, done (posted), failed (the channel refused), rejected by the second person.
create table api.sale (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    kind smallint not null,
    state text not null,
    method text,
    account_num bigint not null,
    purse_num bigint not null,
    property_num bigint not null,
    legal_entity_num bigint not null,
    is_credit boolean not null,
    amount_micro bigint not null,
    currency text not null,
    reference text,
    reason text,
    operator_num bigint not null,
    decided_by bigint,
    requested_at timestamptz not null,
    done_at timestamptz,
    transfer_id bigint,
    reverses_num bigint,
    order_id uuid,
    bulk_num bigint,
    receipt_number bigint,
    receipt_copies integer not null default 0,
    constraint sale_company_id_num_pk primary key (company_id, num),
    constraint sale_company_id_id_uq unique (company_id, id),
    constraint sale_company_id_legal_entity_num_receipt_number_uq unique (company_id, legal_entity_num, receipt_number),
    constraint sale_account_num_fk foreign key (company_id, account_num) references core.account (company_id, num),
    constraint sale_purse_num_fk foreign key (company_id, purse_num) references core.purse (company_id, num),
    constraint sale_legal_entity_num_fk foreign key (company_id, legal_entity_num) references core.legal_entity (company_id, num),
    constraint sale_operator_num_fk foreign key (company_id, operator_num) references core.operator (company_id, num),
    constraint sale_reverses_num_fk foreign key (company_id, reverses_num) references api.sale (company_id, num),
    constraint sale_kind_ck check (kind in (2, 4, 5, 6, 7, 8)),
    constraint sale_state_ck check (state in ('waiting', 'requested', 'done', 'failed', 'rejected')),
    constraint sale_method_ck check (method in ('cash', 'bank', 'voucher', 'channel')),
    constraint sale_amount_micro_ck check (amount_micro > 0),
    constraint sale_done_ck check ((state = 'done') = (done_at is not null)),
    constraint sale_two_persons_ck check (decided_by <> operator_num)
);
create unique index sale_company_id_reverses_num_uq on api.sale (company_id, reverses_num) where state in ('waiting', 'done');
create index sale_company_id_account_num_ix on api.sale (company_id, account_num, num);
create index sale_company_id_operator_num_requested_at_ix on api.sale (company_id, operator_num, requested_at);
create index sale_company_id_waiting_ix on api.sale (company_id, num) where state = 'waiting';

-- The last receipt number of a legal entity; raised under its row lock in the sale's transaction: no gaps.
create table api.receipt_series (
    company_id integer not null,
    legal_entity_num bigint not null,
    last_number bigint not null,
    constraint receipt_series_company_id_legal_entity_num_pk primary key (company_id, legal_entity_num),
    constraint receipt_series_legal_entity_num_fk foreign key (company_id, legal_entity_num) references core.legal_entity (company_id, num)
);

-- A file of sales: looked at first, then confirmed; the same file a second time is a conflict.
create table api.bulk_sale (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    property_num bigint not null,
    operator_num bigint not null,
    file_name text not null,
    file_sha256 bytea not null,
    created_at timestamptz not null,
    confirmed_at timestamptz,
    constraint bulk_sale_company_id_num_pk primary key (company_id, num),
    constraint bulk_sale_company_id_id_uq unique (company_id, id),
    constraint bulk_sale_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint bulk_sale_operator_num_fk foreign key (company_id, operator_num) references core.operator (company_id, num)
);
create unique index bulk_sale_company_id_property_num_file_sha256_uq on api.bulk_sale (company_id, property_num, file_sha256)
    where confirmed_at is not null;

-- problem is NULL where the row can be sold; sale_num is set when it was.
create table api.bulk_sale_row (
    company_id integer not null,
    bulk_num bigint not null,
    row_no integer not null,
    account_number text not null,
    purpose text not null,
    amount_micro bigint,
    reference text,
    purse_num bigint,
    problem text,
    sale_num bigint,
    constraint bulk_sale_row_company_id_bulk_num_row_no_pk primary key (company_id, bulk_num, row_no),
    constraint bulk_sale_row_bulk_num_fk foreign key (company_id, bulk_num) references api.bulk_sale (company_id, num),
    constraint bulk_sale_row_sale_num_fk foreign key (company_id, sale_num) references api.sale (company_id, num)
);

do $$
declare
    name text;
begin
    foreach name in array array['sale', 'receipt_series', 'bulk_sale', 'bulk_sale_row'] loop
        perform penstock.protect(format('api.%I', name)::regclass, array['penstock_api_worker']);
        execute format('grant select, insert, update on api.%I to penstock_api', name);
        execute format('grant select on api.%I to penstock_admin', name);
    end loop;
end $$;
-- What became of a refund through a payment channel is told by payments, to the worker.
grant select, update on api.sale to penstock_api_worker;
