-- core: companies, places, customers, accounts, meters, tariffs, operators. Written by the api and the command line.

-- One row per company; raised by each edit of that company's configuration, under its row lock, so that the order of
-- seq is the order of commits. Readers reload the rows whose change_seq is above what they know.
create table core.change_seq (
    company_id integer not null,
    seq bigint not null,
    constraint change_seq_pk primary key (company_id)
);

-- A transaction raises it once and gives all its rows the same seq: a bulk load of one company stays linear.
create function core.touch() returns trigger
    language plpgsql as $$
begin
    select c.seq into new.change_seq from core.change_seq c
    where c.company_id = new.company_id and c.xmin = pg_current_xact_id()::xid;
    if found then
        return new;
    end if;
    insert into core.change_seq as c (company_id, seq) values (new.company_id, 1)
    on conflict (company_id) do update set seq = c.seq + 1
    returning seq into new.change_seq;
    perform pg_notify('core_change', new.company_id::text);
    return new;
end $$;
alter function core.touch() owner to penstock_owner;

create table core.company (
    company_id integer generated always as identity,
    id uuid not null,
    code text not null,
    name text not null,
    quota_meters integer not null default 100000,
    quota_readings_per_s integer not null default 2000,
    created_at timestamptz not null,
    change_seq bigint not null default 0,
    constraint company_company_id_pk primary key (company_id),
    constraint company_id_uq unique (id),
    constraint company_code_uq unique (code),
    constraint company_code_ck check (code ~ '^[a-z0-9][a-z0-9-]{1,31}$'),
    constraint company_quota_ck check (quota_meters > 0 and quota_readings_per_s > 0)
);

-- Who sells a thing and receives its money.
create table core.legal_entity (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    name text not null,
    tax_id text,
    bank_account text,
    change_seq bigint not null default 0,
    constraint legal_entity_company_id_num_pk primary key (company_id, num),
    constraint legal_entity_company_id_id_uq unique (company_id, id),
    constraint legal_entity_company_id_fk foreign key (company_id) references core.company (company_id)
);

create table core.property (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    code text not null,
    name text not null,
    time_zone text not null,
    currency text not null,
    calendar_name text not null,
    partition smallint not null,
    poll_interval_s integer not null default 1800,
    alarm_1_micro bigint not null,
    alarm_2_micro bigint not null,
    created_at timestamptz not null,
    change_seq bigint not null default 0,
    constraint property_company_id_num_pk primary key (company_id, num),
    constraint property_company_id_id_uq unique (company_id, id),
    constraint property_company_id_code_uq unique (company_id, code),
    constraint property_company_id_fk foreign key (company_id) references core.company (company_id),
    constraint property_currency_ck check (currency ~ '^[A-Z]{3}$'),
    constraint property_partition_ck check (partition between 0 and 1023),
    constraint property_poll_interval_s_ck check (poll_interval_s between 5 and 86400),
    constraint property_alarms_ck check (alarm_1_micro >= alarm_2_micro)
);

-- (property, item) routes to the legal entity that sells it.
create table core.property_seller (
    company_id integer not null,
    property_num bigint not null,
    item text not null,
    legal_entity_num bigint not null,
    change_seq bigint not null default 0,
    constraint property_seller_company_id_property_num_item_pk primary key (company_id, property_num, item),
    constraint property_seller_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint property_seller_legal_entity_num_fk foreign key (company_id, legal_entity_num) references core.legal_entity (company_id, num),
    constraint property_seller_item_ck check (item in ('electricity', 'cold_water', 'hot_water', 'gas', 'heat', 'cooling', 'fees'))
);

create table core.place (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    property_num bigint not null,
    parent_num bigint,
    kind text not null,
    name text not null,
    sort integer not null default 0,
    change_seq bigint not null default 0,
    constraint place_company_id_num_pk primary key (company_id, num),
    constraint place_company_id_id_uq unique (company_id, id),
    constraint place_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint place_parent_num_fk foreign key (company_id, parent_num) references core.place (company_id, num),
    constraint place_kind_ck check (kind in ('building', 'floor', 'room')),
    constraint place_parent_ck check ((kind = 'building') = (parent_num is null))
);
create index place_company_id_property_num_ix on core.place (company_id, property_num);
create index place_company_id_parent_num_ix on core.place (company_id, parent_num);

create table core.customer (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    kind text not null,
    name text not null,
    phone text,
    change_seq bigint not null default 0,
    constraint customer_company_id_num_pk primary key (company_id, num),
    constraint customer_company_id_id_uq unique (company_id, id),
    constraint customer_company_id_fk foreign key (company_id) references core.company (company_id),
    constraint customer_kind_ck check (kind in ('person', 'firm'))
);

create table core.agreement (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    property_num bigint not null,
    customer_num bigint not null,
    number text not null,
    class text not null,
    heads smallint not null default 1,
    area_milli_m2 bigint not null default 0,
    starts_on date not null,
    ends_on date,
    change_seq bigint not null default 0,
    constraint agreement_company_id_num_pk primary key (company_id, num),
    constraint agreement_company_id_id_uq unique (company_id, id),
    constraint agreement_company_id_property_num_number_uq unique (company_id, property_num, number),
    constraint agreement_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint agreement_customer_num_fk foreign key (company_id, customer_num) references core.customer (company_id, num),
    constraint agreement_class_ck check (class in ('shop', 'resident', 'public')),
    constraint agreement_heads_ck check (heads between 1 and 1000),
    constraint agreement_ends_on_ck check (ends_on is null or ends_on >= starts_on)
);

create table core.agreement_room (
    company_id integer not null,
    agreement_num bigint not null,
    place_num bigint not null,
    change_seq bigint not null default 0,
    constraint agreement_room_company_id_agreement_num_place_num_pk primary key (company_id, agreement_num, place_num),
    constraint agreement_room_agreement_num_fk foreign key (company_id, agreement_num) references core.agreement (company_id, num),
    constraint agreement_room_place_num_fk foreign key (company_id, place_num) references core.place (company_id, num)
);
create index agreement_room_company_id_place_num_ix on core.agreement_room (company_id, place_num);

create table core.account (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    property_num bigint not null,
    agreement_num bigint not null,
    number text not null,
    opened_at timestamptz not null,
    closed_at timestamptz,
    change_seq bigint not null default 0,
    constraint account_company_id_num_pk primary key (company_id, num),
    constraint account_company_id_id_uq unique (company_id, id),
    constraint account_company_id_property_num_number_uq unique (company_id, property_num, number),
    constraint account_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint account_agreement_num_fk foreign key (company_id, agreement_num) references core.agreement (company_id, num),
    constraint account_closed_at_ck check (closed_at is null or closed_at >= opened_at)
);

-- An account's money by purpose. The thresholds live here because operators edit them; the balance lives in billing.
create table core.purse (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    account_num bigint not null,
    purpose text not null,
    currency text not null,
    alarm_1_micro bigint not null,
    alarm_2_micro bigint not null,
    overdraft_micro bigint not null default 0,
    overdraft_until timestamptz,
    version integer not null default 1,
    change_seq bigint not null default 0,
    constraint purse_company_id_num_pk primary key (company_id, num),
    constraint purse_company_id_id_uq unique (company_id, id),
    constraint purse_company_id_account_num_purpose_uq unique (company_id, account_num, purpose),
    constraint purse_account_num_fk foreign key (company_id, account_num) references core.account (company_id, num),
    constraint purse_purpose_ck check (purpose in ('electricity', 'cold_water', 'hot_water', 'gas', 'heat', 'cooling', 'fees', 'deposit')),
    constraint purse_currency_ck check (currency ~ '^[A-Z]{3}$'),
    constraint purse_alarms_ck check (alarm_1_micro >= alarm_2_micro and alarm_2_micro >= -overdraft_micro),
    constraint purse_overdraft_micro_ck check (overdraft_micro >= 0)
);

create table core.usage_point (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    property_num bigint not null,
    place_num bigint not null,
    utility text not null,
    name text not null,
    rated_power_w integer not null default 100000,
    never_cut boolean not null default false,
    shared boolean not null default false,
    poll_interval_s integer,
    change_seq bigint not null default 0,
    constraint usage_point_company_id_num_pk primary key (company_id, num),
    constraint usage_point_company_id_id_uq unique (company_id, id),
    constraint usage_point_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint usage_point_place_num_fk foreign key (company_id, place_num) references core.place (company_id, num),
    constraint usage_point_utility_ck check (utility in ('electricity', 'cold_water', 'hot_water', 'gas', 'heat', 'cooling')),
    constraint usage_point_rated_power_w_ck check (rated_power_w > 0),
    constraint usage_point_poll_interval_s_ck check (poll_interval_s between 5 and 86400)
);
create index usage_point_company_id_property_num_ix on core.usage_point (company_id, property_num);
create index usage_point_company_id_place_num_ix on core.usage_point (company_id, place_num);

-- Whose usage point it is, and which purse pays, for a time. Half-open: [from_at, to_at).
create table core.usage_point_account (
    company_id integer not null,
    num bigint generated always as identity,
    usage_point_num bigint not null,
    account_num bigint not null,
    purse_num bigint not null,
    from_at timestamptz not null,
    to_at timestamptz,
    change_seq bigint not null default 0,
    constraint usage_point_account_company_id_num_pk primary key (company_id, num),
    constraint usage_point_account_company_id_usage_point_num_from_at_uq unique (company_id, usage_point_num, from_at),
    constraint usage_point_account_usage_point_num_fk foreign key (company_id, usage_point_num) references core.usage_point (company_id, num),
    constraint usage_point_account_account_num_fk foreign key (company_id, account_num) references core.account (company_id, num),
    constraint usage_point_account_purse_num_fk foreign key (company_id, purse_num) references core.purse (company_id, num),
    constraint usage_point_account_to_at_ck check (to_at is null or to_at > from_at)
);
create unique index usage_point_account_open_uq on core.usage_point_account (company_id, usage_point_num) where to_at is null;
create index usage_point_account_company_id_account_num_ix on core.usage_point_account (company_id, account_num);

-- Kinds of devices, for the whole platform. register_max is the first value a register cannot show, in milli-units
-- (Wh). period_registers names the tariff period that registers t1…t5 count, in order; empty when the meter's own
-- clock does not follow the tariff and time splitting is right.
create table core.meter_model (
    num bigint generated always as identity,
    id uuid not null,
    code text not null,
    maker text not null,
    name text not null,
    utility text not null,
    protocol text not null,
    channels smallint not null,
    register_max bigint not null,
    period_registers text[] not null default '{}',
    switch_kind text not null,
    constraint meter_model_num_pk primary key (num),
    constraint meter_model_id_uq unique (id),
    constraint meter_model_code_uq unique (code),
    constraint meter_model_protocol_ck check (protocol in ('dlt645_2007', 'push')),
    constraint meter_model_channels_ck check (channels between 1 and 36),
    constraint meter_model_register_max_ck check (register_max > 0),
    constraint meter_model_period_registers_ck check (cardinality(period_registers) <= 5),
    constraint meter_model_switch_kind_ck check (switch_kind in ('none', 'relay', 'valve'))
);

-- A registration is a bearer secret of a transparent link: random, at least 16 characters, or a serial that is
-- accepted from allowed_sources only.
create table core.gateway (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    property_num bigint not null,
    name text not null,
    kind text not null,
    registration text,
    allowed_sources inet[] not null default '{}',
    key_id text,
    secret_sealed bytea,
    heartbeat_s integer not null default 60,
    poll_interval_s integer,
    max_meters integer not null default 256,
    disabled_at timestamptz,
    change_seq bigint not null default 0,
    constraint gateway_company_id_num_pk primary key (company_id, num),
    constraint gateway_company_id_id_uq unique (company_id, id),
    constraint gateway_registration_uq unique (registration),
    constraint gateway_key_id_uq unique (key_id),
    constraint gateway_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint gateway_kind_ck check (kind in ('dtu_tcp', 'http_push')),
    constraint gateway_credentials_ck check (
        (kind = 'dtu_tcp' and registration is not null and (length(registration) between 16 and 64 or cardinality(allowed_sources) > 0))
        or (kind = 'http_push' and key_id is not null and secret_sealed is not null)),
    constraint gateway_heartbeat_s_ck check (heartbeat_s between 5 and 3600),
    constraint gateway_poll_interval_s_ck check (poll_interval_s between 5 and 86400),
    constraint gateway_max_meters_ck check (max_meters between 1 and 4096)
);

create table core.gateway_port (
    company_id integer not null,
    gateway_num bigint not null,
    port smallint not null,
    baud integer not null default 2400,
    change_seq bigint not null default 0,
    constraint gateway_port_company_id_gateway_num_port_pk primary key (company_id, gateway_num, port),
    constraint gateway_port_gateway_num_fk foreign key (company_id, gateway_num) references core.gateway (company_id, num),
    constraint gateway_port_port_ck check (port between 1 and 64),
    constraint gateway_port_baud_ck check (baud between 300 and 1000000)
);

create table core.meter (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    property_num bigint not null,
    gateway_num bigint not null,
    port smallint not null default 1,
    bus_address text not null,
    model_num bigint not null,
    serial text not null,
    password_sealed bytea,
    poll_interval_s integer,
    installed_at timestamptz not null,
    removed_at timestamptz,
    change_seq bigint not null default 0,
    constraint meter_company_id_num_pk primary key (company_id, num),
    constraint meter_company_id_id_uq unique (company_id, id),
    constraint meter_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint meter_gateway_num_port_fk foreign key (company_id, gateway_num, port) references core.gateway_port (company_id, gateway_num, port),
    constraint meter_model_num_fk foreign key (model_num) references core.meter_model (num),
    constraint meter_bus_address_ck check (bus_address ~ '^[0-9A-Za-z]{1,20}$'),
    constraint meter_poll_interval_s_ck check (poll_interval_s between 5 and 86400),
    constraint meter_removed_at_ck check (removed_at is null or removed_at >= installed_at)
);
create unique index meter_company_id_gateway_num_port_bus_address_uq
    on core.meter (company_id, gateway_num, port, bus_address) where removed_at is null;
create index meter_company_id_property_num_ix on core.meter (company_id, property_num);

-- A phase group or circuit of a meter. Its readings are multiplied by ratio_num / ratio_den (CT × PT).
create table core.channel (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    meter_num bigint not null,
    ordinal smallint not null default 1,
    ratio_num integer not null default 1,
    ratio_den integer not null default 1,
    change_seq bigint not null default 0,
    constraint channel_company_id_num_pk primary key (company_id, num),
    constraint channel_company_id_id_uq unique (company_id, id),
    constraint channel_company_id_meter_num_ordinal_uq unique (company_id, meter_num, ordinal),
    constraint channel_meter_num_fk foreign key (company_id, meter_num) references core.meter (company_id, num),
    constraint channel_ordinal_ck check (ordinal between 1 and 36),
    constraint channel_ratio_ck check (ratio_num > 0 and ratio_den > 0)
);

-- Which channel measures a usage point, for a time. opening_value is the total register when it began to count here
-- (milli-units, as the register shows it); closing_value when it ended. A replaced meter ends one and begins the next.
create table core.channel_installation (
    company_id integer not null,
    num bigint generated always as identity,
    channel_num bigint not null,
    usage_point_num bigint not null,
    from_at timestamptz not null,
    opening_value bigint not null,
    to_at timestamptz,
    closing_value bigint,
    change_seq bigint not null default 0,
    constraint channel_installation_company_id_num_pk primary key (company_id, num),
    constraint channel_installation_company_id_channel_num_from_at_uq unique (company_id, channel_num, from_at),
    constraint channel_installation_channel_num_fk foreign key (company_id, channel_num) references core.channel (company_id, num),
    constraint channel_installation_usage_point_num_fk foreign key (company_id, usage_point_num) references core.usage_point (company_id, num),
    constraint channel_installation_opening_value_ck check (opening_value >= 0),
    constraint channel_installation_closing_ck check ((to_at is null) = (closing_value is null) and (to_at is null or to_at > from_at))
);
create unique index channel_installation_open_uq on core.channel_installation (company_id, channel_num) where to_at is null;
create index channel_installation_company_id_usage_point_num_ix on core.channel_installation (company_id, usage_point_num);

-- The platform's dated calendars, and what a property says otherwise.
create table core.calendar_day (
    calendar_name text not null,
    day date not null,
    kind text not null,
    name text not null,
    constraint calendar_day_calendar_name_day_pk primary key (calendar_name, day),
    constraint calendar_day_kind_ck check (kind in ('holiday', 'workday'))
);

create table core.property_calendar_day (
    company_id integer not null,
    property_num bigint not null,
    day date not null,
    kind text not null,
    change_seq bigint not null default 0,
    constraint property_calendar_day_company_id_property_num_day_pk primary key (company_id, property_num, day),
    constraint property_calendar_day_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint property_calendar_day_kind_ck check (kind in ('normal', 'holiday', 'workday'))
);

create table core.tariff (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    code text not null,
    name text not null,
    utility text not null,
    change_seq bigint not null default 0,
    constraint tariff_company_id_num_pk primary key (company_id, num),
    constraint tariff_company_id_id_uq unique (company_id, id),
    constraint tariff_company_id_code_uq unique (company_id, code),
    constraint tariff_company_id_fk foreign key (company_id) references core.company (company_id)
);

-- Immutable once published: the document whole, as it was published.
create table core.tariff_version (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    tariff_num bigint not null,
    version integer not null,
    effective_from timestamptz not null,
    document text not null,
    sha256 bytea not null,
    published_at timestamptz not null,
    change_seq bigint not null default 0,
    constraint tariff_version_company_id_num_pk primary key (company_id, num),
    constraint tariff_version_company_id_id_uq unique (company_id, id),
    constraint tariff_version_company_id_tariff_num_version_uq unique (company_id, tariff_num, version),
    constraint tariff_version_tariff_num_fk foreign key (company_id, tariff_num) references core.tariff (company_id, num),
    constraint tariff_version_sha256_ck check (length(sha256) = 32)
);

-- Which tariff prices a usage point from an instant on; usage_point_num NULL is the property's default for the utility.
create table core.tariff_assignment (
    company_id integer not null,
    num bigint generated always as identity,
    property_num bigint not null,
    usage_point_num bigint,
    utility text not null,
    tariff_num bigint not null,
    from_at timestamptz not null,
    known_at timestamptz not null,
    change_seq bigint not null default 0,
    constraint tariff_assignment_company_id_num_pk primary key (company_id, num),
    constraint tariff_assignment_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint tariff_assignment_usage_point_num_fk foreign key (company_id, usage_point_num) references core.usage_point (company_id, num),
    constraint tariff_assignment_tariff_num_fk foreign key (company_id, tariff_num) references core.tariff (company_id, num)
);
create index tariff_assignment_company_id_property_num_ix on core.tariff_assignment (company_id, property_num, utility, from_at);

create table core.operator (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    login text not null,
    name text not null,
    password_hash text not null,
    locale text not null default 'zh-CN',
    disabled_at timestamptz,
    change_seq bigint not null default 0,
    constraint operator_company_id_num_pk primary key (company_id, num),
    constraint operator_company_id_id_uq unique (company_id, id),
    constraint operator_company_id_login_uq unique (company_id, login),
    constraint operator_company_id_fk foreign key (company_id) references core.company (company_id),
    constraint operator_login_ck check (login ~ '^[a-z0-9][a-z0-9._-]{1,63}$'),
    constraint operator_locale_ck check (locale in ('zh-CN', 'en'))
);

-- A role on the place tree: property_num NULL is the whole company.
create table core.operator_role (
    company_id integer not null,
    num bigint generated always as identity,
    operator_num bigint not null,
    role text not null,
    property_num bigint,
    change_seq bigint not null default 0,
    constraint operator_role_company_id_num_pk primary key (company_id, num),
    constraint operator_role_operator_num_fk foreign key (company_id, operator_num) references core.operator (company_id, num),
    constraint operator_role_property_num_fk foreign key (company_id, property_num) references core.property (company_id, num),
    constraint operator_role_role_ck check (role in ('manager', 'clerk', 'technician', 'viewer'))
);
create unique index operator_role_company_id_operator_num_role_property_num_uq
    on core.operator_role (company_id, operator_num, role, coalesce(property_num, 0));

create table core.audit (
    company_id integer not null,
    num bigint generated always as identity,
    at timestamptz not null,
    actor text not null,
    action text not null,
    subject_kind text not null,
    subject_id uuid,
    detail jsonb not null default '{}',
    constraint audit_company_id_num_pk primary key (company_id, num)
);

do $$
declare
    name text;
begin
    foreach name in array array['company', 'legal_entity', 'property', 'property_seller', 'place', 'customer', 'agreement', 'agreement_room',
        'account', 'purse', 'usage_point', 'usage_point_account', 'gateway', 'gateway_port', 'meter', 'channel', 'channel_installation',
        'property_calendar_day', 'tariff', 'tariff_version', 'tariff_assignment', 'operator', 'operator_role'] loop
        execute format('create trigger %I before insert or update on core.%I for each row execute function core.touch()', name || '_touch', name);
        perform penstock.protect(format('core.%I', name)::regclass, array['penstock_ingest', 'penstock_billing']);
        execute format('grant select, insert, update on core.%I to penstock_admin', name);
        execute format('grant select on core.%I to penstock_api', name);
    end loop;
    perform penstock.protect('core.change_seq', array['penstock_ingest', 'penstock_billing']);
    perform penstock.protect('core.audit', array[]::text[]);
end $$;
alter table core.meter_model owner to penstock_owner;
alter table core.calendar_day owner to penstock_owner;

-- Published tariff versions never change, whoever asks.
revoke update on core.tariff_version from penstock_admin;
grant select on core.audit to penstock_api;
grant insert on core.audit to penstock_api, penstock_admin;
grant select, insert, update on core.change_seq to penstock_admin, penstock_api;
grant select on core.change_seq to penstock_ingest, penstock_billing;
grant select, insert, update on core.meter_model, core.calendar_day to penstock_admin;
grant select on core.meter_model, core.calendar_day to penstock_api, penstock_ingest, penstock_billing;
grant update (alarm_1_micro, alarm_2_micro, version, change_seq) on core.purse to penstock_api;
grant update (locale, change_seq) on core.operator to penstock_api;
grant select on core.company, core.property, core.gateway, core.gateway_port, core.meter, core.channel, core.channel_installation,
    core.usage_point to penstock_ingest;
grant select on core.company, core.property, core.property_seller, core.place, core.agreement, core.account, core.purse, core.usage_point,
    core.usage_point_account, core.meter, core.channel, core.channel_installation, core.property_calendar_day,
    core.tariff, core.tariff_version, core.tariff_assignment to penstock_billing;

-- Log-in: the code a person types becomes the company's number. Knows codes only, nothing else of any company.
create policy company_door_code on core.company for select to penstock_door using (true);
grant select (company_id, code) on core.company to penstock_door;
create function core.company_by_code(wanted text) returns integer
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select company_id from core.company where code = wanted $$;
alter function core.company_by_code(text) owner to penstock_door;
grant execute on function core.company_by_code(text) to penstock_api;
