-- Price indices, and what is known when: which tariff version each stretch of usage was rated under, and recharges.

-- Agents' purchase prices and the like, published month by month. One list for the platform: a grid publishes one value
-- for everybody, and a value entered once cannot differ between two companies. Rows are never changed; a final value
-- stands beside the provisional one it replaces.
create table core.price_index_month (
    index_name text not null,
    month date not null,
    is_provisional boolean not null,
    value_micro bigint not null,
    published_at timestamptz not null,
    constraint price_index_month_index_name_month_is_provisional_pk primary key (index_name, month, is_provisional),
    constraint price_index_month_index_name_ck check (index_name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    constraint price_index_month_month_ck check (extract(day from month) = 1)
);
alter table core.price_index_month owner to penstock_owner;
grant select, insert on core.price_index_month to penstock_admin;
grant select on core.price_index_month to penstock_api;

-- The version whose index values this one replaces by final ones: same document, same effective_from.
alter table core.tariff_version add column replaces_num bigint;
alter table core.tariff_version add constraint tariff_version_replaces_num_fk
    foreign key (company_id, replaces_num) references core.tariff_version (company_id, num);
create unique index tariff_version_replaces_num_uq on core.tariff_version (company_id, replaces_num) where replaces_num is not null;

-- The index values a version's prices were made of. Written with the version, never changed.
create table core.tariff_version_index (
    company_id integer not null,
    version_num bigint not null,
    index_name text not null,
    month date not null,
    value_micro bigint not null,
    is_provisional boolean not null,
    constraint tariff_version_index_company_id_version_num_index_name_pk primary key (company_id, version_num, index_name),
    constraint tariff_version_index_version_num_fk foreign key (company_id, version_num) references core.tariff_version (company_id, num)
);
create index tariff_version_index_index_name_ix on core.tariff_version_index (company_id, index_name, month);
select penstock.protect('core.tariff_version_index', array['penstock_billing']);
grant select, insert on core.tariff_version_index to penstock_admin;
grant select on core.tariff_version_index to penstock_api, penstock_billing;

-- Which version rated the usage of a point from an instant on, in the order in which it was decided (num): a later row
-- hides earlier ones from its own from_at on. Billing writes a row in the transaction that first charges under another
-- version, a recharge writes those it changes; version_num 0: none applied, and nobody held the point. known_at is when
-- that was decided: what was published later does not count for the usage before.
create table billing.rated_version (
    company_id integer not null,
    usage_point_num bigint not null,
    num bigint generated always as identity,
    from_at timestamptz not null,
    version_num bigint not null,
    known_at timestamptz not null,
    run_num bigint,
    constraint rated_version_company_id_usage_point_num_num_pk primary key (company_id, usage_point_num, num)
);
create index rated_version_version_num_ix on billing.rated_version (company_id, version_num);
select penstock.protect('billing.rated_version', array['penstock_billing']);
grant select, insert on billing.rated_version to penstock_billing;
grant select on billing.rated_version to penstock_api, penstock_admin;
comment on column billing.tier_window.known_at is 'what opening_state takes into account was known then: readings, versions and assignments';

-- Usage that is rated again under other versions: an operator's, shown and confirmed, or the true-up that a final index
-- value brings. One row for each; its num is the cause of the difference charges.
create table billing.recharge_run (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    kind text not null,
    from_at timestamptz,
    reason text not null,
    shown_sha256 bytea,
    requested_at timestamptz not null,
    constraint recharge_run_company_id_num_pk primary key (company_id, num),
    constraint recharge_run_company_id_id_uq unique (company_id, id),
    constraint recharge_run_kind_ck check (kind in ('operator', 'index')),
    constraint recharge_run_from_at_ck check ((kind = 'operator') = (from_at is not null and shown_sha256 is not null)),
    constraint recharge_run_shown_sha256_ck check (shown_sha256 is null or length(shown_sha256) = 32)
);

-- A partition in which the points of a run still have to be found, by the worker that alone writes it.
create table billing.recharge_share (
    company_id integer not null,
    run_num bigint not null,
    partition smallint not null,
    constraint recharge_share_company_id_run_num_partition_pk primary key (company_id, run_num, partition),
    constraint recharge_share_run_num_fk foreign key (company_id, run_num) references billing.recharge_run (company_id, num)
);
create index recharge_share_partition_ix on billing.recharge_share (partition);

-- A usage point of a run. The expected arrays are what was confirmed: for each account the difference; anything else is
-- refused and posts nothing. NULL: nobody has to confirm. done_at with refused: why it posted nothing.
create table billing.recharge_item (
    company_id integer not null,
    run_num bigint not null,
    usage_point_num bigint not null,
    partition smallint not null,
    expected_accounts bigint[],
    expected_micro bigint[],
    requested_at timestamptz not null,
    attempts integer not null default 0,
    failed text,
    done_at timestamptz,
    refused text,
    posted_micro bigint,
    constraint recharge_item_company_id_run_num_usage_point_num_pk primary key (company_id, run_num, usage_point_num),
    constraint recharge_item_run_num_fk foreign key (company_id, run_num) references billing.recharge_run (company_id, num),
    constraint recharge_item_expected_ck check (array_length(expected_accounts, 1) is not distinct from array_length(expected_micro, 1))
);
create index recharge_item_waiting_ix on billing.recharge_item (partition, requested_at) where done_at is null;

do $$
declare
    name text;
begin
    foreach name in array array['recharge_run', 'recharge_share', 'recharge_item'] loop
        perform penstock.protect(format('billing.%I', name)::regclass, array['penstock_billing']);
        execute format('grant select on billing.%I to penstock_billing, penstock_api, penstock_admin', name);
        execute format('grant insert on billing.%I to penstock_admin', name);
    end loop;
end $$;
grant delete on billing.recharge_share to penstock_billing;
grant insert, update on billing.recharge_item to penstock_billing;
