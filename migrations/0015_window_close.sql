-- Lines that post when a tier window closes, gaps of readings, and what a replaced meter carries over.

-- Heads of an agreement from an instant on; before the first row those of the agreement itself. A tier window takes those
-- of its first instant, so that a change takes effect with the next window.
create table core.agreement_heads (
    company_id integer not null,
    agreement_num bigint not null,
    from_at timestamptz not null,
    heads smallint not null,
    change_seq bigint not null default 0,
    constraint agreement_heads_company_id_agreement_num_from_at_pk primary key (company_id, agreement_num, from_at),
    constraint agreement_heads_agreement_num_fk foreign key (company_id, agreement_num) references core.agreement (company_id, num),
    constraint agreement_heads_heads_ck check (heads between 1 and 1000)
);
create trigger agreement_heads_touch before insert or update on core.agreement_heads for each row execute function core.touch();
select penstock.protect('core.agreement_heads', array['penstock_billing']);
grant select, insert, update on core.agreement_heads to penstock_admin;
grant select on core.agreement_heads to penstock_api, penstock_billing;

-- Contracted capacity in VA while this account holds the usage point. A change ends one row and begins the next with the
-- same account.
alter table core.usage_point_account add column contracted_va bigint;
alter table core.usage_point_account add constraint usage_point_account_contracted_va_ck check (contracted_va > 0);

-- closing_estimated: the display was dead; closing_value is the last known reading and what is usually used since.
alter table core.channel_installation add column closing_estimated boolean not null default false;

-- One meter in the place of another. last_value is what was known of the old one before; estimated is what closing_value
-- adds to it without a reading, in register units. credit_micro left the old meter for the purse; difference_micro is what
-- the books of the old meter's credit had beyond it. Written once.
create table core.meter_replacement (
    company_id integer not null,
    num bigint generated always as identity,
    id uuid not null,
    usage_point_num bigint not null,
    at timestamptz not null,
    old_channel_num bigint not null,
    new_channel_num bigint not null,
    last_at timestamptz,
    last_value bigint not null,
    closing_value bigint not null,
    opening_value bigint not null,
    is_dead boolean not null,
    estimated bigint not null,
    credit_micro bigint not null default 0,
    difference_micro bigint not null default 0,
    purse_num bigint,
    requested_by bigint,
    approved_by bigint,
    content_sha256 bytea not null,
    made_at timestamptz not null,
    change_seq bigint not null default 0,
    constraint meter_replacement_company_id_num_pk primary key (company_id, num),
    constraint meter_replacement_company_id_id_uq unique (company_id, id),
    constraint meter_replacement_company_id_usage_point_num_at_uq unique (company_id, usage_point_num, at),
    constraint meter_replacement_usage_point_num_fk foreign key (company_id, usage_point_num) references core.usage_point (company_id, num),
    constraint meter_replacement_old_channel_num_fk foreign key (company_id, old_channel_num) references core.channel (company_id, num),
    constraint meter_replacement_new_channel_num_fk foreign key (company_id, new_channel_num) references core.channel (company_id, num),
    constraint meter_replacement_purse_num_fk foreign key (company_id, purse_num) references core.purse (company_id, num),
    constraint meter_replacement_requested_by_fk foreign key (company_id, requested_by) references core.operator (company_id, num),
    constraint meter_replacement_approved_by_fk foreign key (company_id, approved_by) references core.operator (company_id, num),
    constraint meter_replacement_dead_ck check (not is_dead or (requested_by is not null and approved_by is not null and requested_by <> approved_by)),
    constraint meter_replacement_estimated_ck check (estimated >= 0 and (is_dead or estimated = 0)),
    constraint meter_replacement_credit_ck check (credit_micro >= 0 and (credit_micro = 0 or purse_num is not null))
);
create trigger meter_replacement_touch before insert on core.meter_replacement for each row execute function core.touch();
select penstock.protect('core.meter_replacement', array[]::text[]);
grant select, insert on core.meter_replacement to penstock_admin;
grant select on core.meter_replacement to penstock_api;

-- A stretch without readings that was charged by the readings at its ends. The profile that spreads it (libs/charging,
-- charging_profile_pack; empty: nothing was known, time decides) is made once and never changed, so that whoever charges
-- the stretch again gets the same amounts.
create table billing.gap (
    company_id integer not null,
    usage_point_num bigint not null,
    from_at timestamptz not null,
    to_at timestamptz not null,
    longer_than_ms bigint not null,
    profile bytea not null,
    made_at timestamptz not null,
    constraint gap_company_id_usage_point_num_from_at_to_at_pk primary key (company_id, usage_point_num, from_at, to_at),
    constraint gap_to_at_ck check (to_at > from_at),
    constraint gap_longer_than_ms_ck check (longer_than_ms > 0)
);
select penstock.protect('billing.gap', array['penstock_billing']);
grant select, insert on billing.gap to penstock_billing;
grant select on billing.gap to penstock_api, penstock_admin;

-- The newest usage was charged over a gap that began here: its quantity is read, its time is estimated. NULL as soon as
-- an ordinary interval follows. Who decides about switching off reads it: a gap alone is no reason.
alter table billing.point add column estimated_since timestamptz;

-- A tier window under a tariff with lines that post at its close: one row from its first reading on. state is the packed
-- rating state it ended with, NULL while it is open; the measures are what demand and power-factor lines need.
-- requested_at: its closing amount has to be worked out (again). posted_micro is what was charged for the close so far,
-- charge_id the first charge of it, which later ones correct.
create table billing.window_close (
    company_id integer not null,
    usage_point_num bigint not null,
    account_num bigint not null,
    window_from timestamptz not null,
    window_to timestamptz not null,
    partition smallint not null,
    purse_num bigint not null,
    tariff_version_num bigint not null,
    state bytea,
    average_w bigint not null default 0,
    register_w bigint not null default 0,
    active bigint not null default 0,
    reactive bigint not null default 0,
    contracted_va bigint not null default 0,
    made_at timestamptz not null,
    requested_at timestamptz,
    closed_at timestamptz,
    posted_micro bigint not null default 0,
    charge_id bigint,
    attempts integer not null default 0,
    failed text,
    constraint window_close_usage_point_num_account_num_window_from_pk primary key (usage_point_num, account_num, window_from),
    constraint window_close_window_ck check (window_to > window_from)
);
create index window_close_requested_ix on billing.window_close (partition, requested_at) where requested_at is not null;
create index window_close_open_ix on billing.window_close (partition, window_to) where closed_at is null;
select penstock.protect('billing.window_close', array['penstock_billing']);
grant select, insert, update on billing.window_close to penstock_billing;
grant select on billing.window_close to penstock_api, penstock_admin;

-- How often a point is polled decides what a gap is; a gateway's own interval is one of the places that say so.
grant select (company_id, num, poll_interval_s) on core.gateway to penstock_billing;

comment on column billing.charge.kind is '0 base, 1 correction (names what it corrects), 2 close of a tier window; only base charges tile';
comment on column billing.charge.cause is
    '0 block and record, 1 replay of a window, 2 recharge run, 3 window close, 4 block and record after a gap: its time is estimated';
