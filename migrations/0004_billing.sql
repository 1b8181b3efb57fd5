-- billing: readings that count, charges, transfers, balances. Written by the billing service; others post through
-- billing.post_transfers. Hot tables have no foreign keys, triggers or serial ids, and are partitioned by booked day.

create table billing.replica (
    id uuid not null,
    num smallint not null,
    host text not null,
    started_at timestamptz not null,
    beat_at timestamptz not null,
    constraint replica_id_pk primary key (id),
    constraint replica_num_uq unique (num),
    constraint replica_num_ck check (num between 512 and 1023)
);

-- All blocks of a partition whose xid lies below the floor are claimed.
create table billing.partition_floor (
    partition smallint not null,
    floor xid8 not null,
    constraint partition_floor_partition_pk primary key (partition)
);

create table billing.block_claim (
    partition smallint not null,
    block_id bigint not null,
    xid xid8 not null,
    claimed_at timestamptz not null,
    constraint block_claim_partition_block_id_pk primary key (partition, block_id)
);

create table billing.reading (
    company_id integer not null,
    channel_num bigint not null,
    epoch integer not null,
    register smallint not null,
    quality smallint not null,
    flags smallint not null,
    read_at timestamptz not null,
    value bigint not null,
    block_id bigint not null,
    record_no smallint not null,
    booked_at timestamptz not null
) partition by range (booked_at);
create index reading_channel_num_read_at_ix on billing.reading (channel_num, read_at);

-- One rated piece of usage of a usage point: from the register's last reading to this one. kind: 0 base, 1 correction
-- (names its base and does not tile). cause: 0 block and record, 1 replay of a window, 2 recharge run, 3 window close.
create table billing.charge (
    id bigint not null,
    company_id integer not null,
    usage_point_num bigint not null,
    account_num bigint not null,
    purse_num bigint not null,
    channel_num bigint not null,
    epoch integer not null,
    kind smallint not null,
    cause smallint not null,
    cause_record smallint not null,
    cause_num bigint not null,
    from_at timestamptz not null,
    to_at timestamptz not null,
    from_value bigint not null,
    to_value bigint not null,
    quantity bigint not null,
    amount_micro bigint not null,
    tariff_version_num bigint not null,
    corrects bigint,
    booked_at timestamptz not null
) partition by range (booked_at);
create index charge_usage_point_num_id_ix on billing.charge (usage_point_num, id);

-- One immutable movement of money. A ledger account is (class, num, item); the classes are those of libs/ledger:
-- 1 purse, 2 receivable, 3 deposit, 4 meter_credit (num: purse, account, account, channel), 5 revenue, 6 clearing,
-- 7 cash, 8 tax, 9 adjustment, 10 suspense (num: legal entity). item tells the utility or payment channel, 0 if none.
create table billing.transfer (
    id bigint not null,
    company_id integer not null,
    kind smallint not null,
    debit_class smallint not null,
    debit_item smallint not null,
    credit_class smallint not null,
    credit_item smallint not null,
    debit_num bigint not null,
    credit_num bigint not null,
    amount_micro bigint not null,
    source_num bigint not null,
    booked_at timestamptz not null,
    effective_at timestamptz not null,
    currency text not null,
    corrects bigint,
    note text,
    constraint transfer_amount_micro_ck check (amount_micro > 0)
) partition by range (booked_at);
create index transfer_debit_num_id_ix on billing.transfer (debit_class, debit_num, id) where kind <> 1;
create index transfer_credit_num_id_ix on billing.transfer (credit_class, credit_num, id) where kind <> 1;

-- The projection of all transfers that touch a purse; changed by SQL arithmetic in their transaction. level: 0 normal,
-- 1 alarm_1, 2 alarm_2, 3 arrears; level_version rises with each change of level.
create table billing.purse (
    num bigint not null,
    company_id integer not null,
    account_num bigint not null,
    property_num bigint not null,
    purpose text not null,
    currency text not null,
    balance_micro bigint not null default 0,
    alarm_1_micro bigint not null,
    alarm_2_micro bigint not null,
    overdraft_micro bigint not null,
    level smallint not null default 0,
    level_version bigint not null default 0,
    updated_at timestamptz not null,
    constraint purse_num_pk primary key (num),
    constraint purse_level_ck check (level between 0 and 3)
) with (fillfactor = 60);

create function billing.credit_level(balance bigint, alarm_1 bigint, alarm_2 bigint, overdraft bigint) returns smallint
    language sql immutable parallel safe
    as $$ select case when balance <= -overdraft then 3 when balance <= alarm_2 then 2 when balance <= alarm_1 then 1 else 0 end::smallint $$;
alter function billing.credit_level(bigint, bigint, bigint, bigint) owner to penstock_owner;
grant execute on function billing.credit_level(bigint, bigint, bigint, bigint) to penstock_billing, penstock_door, penstock_admin;

-- The last reading and the packed rating state of a usage point. registers packs the last value of the period
-- registers where the meter delivers them.
create table billing.point (
    num bigint not null,
    company_id integer not null,
    partition smallint not null,
    channel_num bigint not null,
    account_num bigint not null,
    purse_num bigint not null,
    epoch integer not null,
    last_at timestamptz not null,
    last_value bigint not null,
    day_start timestamptz not null,
    day_quantity bigint not null default 0,
    day_amount_micro bigint not null default 0,
    registers bytea,
    state bytea not null,
    stopped_since timestamptz,
    constraint point_num_pk primary key (num)
) with (fillfactor = 60);
create index point_partition_ix on billing.point (partition);

-- The tier window a usage point is or was rated in: what a replay starts from. known_at pins the tariff versions and
-- assignments it is rated under. dirty_since tells that a late or corrected reading waits for the replay.
create table billing.tier_window (
    company_id integer not null,
    usage_point_num bigint not null,
    account_num bigint not null,
    window_from timestamptz not null,
    known_at timestamptz not null,
    opening_state bytea not null,
    dirty_since timestamptz,
    constraint tier_window_usage_point_num_account_num_window_from_pk primary key (usage_point_num, account_num, window_from)
);
create index tier_window_dirty_ix on billing.tier_window (dirty_since) where dirty_since is not null;

create table billing.quarantine (
    id bigint not null,
    company_id integer not null,
    usage_point_num bigint,
    channel_num bigint not null,
    epoch integer not null,
    register smallint not null,
    read_at timestamptz not null,
    value bigint not null,
    reason text not null,
    detail text not null,
    block_id bigint not null,
    record_no smallint not null,
    created_at timestamptz not null,
    resolved_at timestamptz,
    constraint quarantine_company_id_id_pk primary key (company_id, id)
);
create index quarantine_channel_num_read_at_ix on billing.quarantine (channel_num, read_at);

create table billing.dead_letter (
    id bigint not null,
    company_id integer not null,
    usage_point_num bigint,
    block_id bigint not null,
    record_no smallint not null,
    record bytea not null,
    error text not null,
    created_at timestamptz not null,
    resolved_at timestamptz,
    constraint dead_letter_company_id_id_pk primary key (company_id, id)
);

-- One packed, lossless row per usage point and local day of the reading; archive and daily rollup at once.
create table billing.day (
    company_id integer not null,
    usage_point_num bigint not null,
    day date not null,
    reading_count integer not null,
    quantity bigint not null,
    amount_micro bigint not null,
    min_value bigint not null,
    max_value bigint not null,
    readings bytea not null,
    constraint day_usage_point_num_day_pk primary key (usage_point_num, day)
) partition by range (day);

create table billing.outbox (
    event_id uuid not null default gen_random_uuid(),
    company_id integer not null,
    stream text not null,
    type text not null,
    subject_num bigint not null,
    version bigint not null,
    payload jsonb not null,
    created_at timestamptz not null,
    published_at timestamptz,
    constraint outbox_event_id_pk primary key (event_id)
);
create index outbox_unpublished_ix on billing.outbox (created_at) where published_at is null;
create index outbox_stream_created_at_ix on billing.outbox (stream, created_at);

create table billing.inbox (
    event_id uuid not null,
    seen_at timestamptz not null,
    refused text,  -- why it had no effect: a dead letter
    constraint inbox_event_id_pk primary key (event_id)
);
create index inbox_seen_at_ix on billing.inbox (seen_at);

-- What was posted from outside the live worker, by the caller's key: the same key with the same content is answered
-- again, with other content refused.
create table billing.posting (
    company_id integer not null,
    source text not null,
    key text not null,
    content_sha256 bytea not null,
    transfer_ids bigint[] not null,
    posted_at timestamptz not null,
    constraint posting_company_id_source_key_pk primary key (company_id, source, key)
);

do $$
declare
    name text;
begin
    foreach name in array array['reading', 'charge', 'transfer', 'purse', 'point', 'tier_window', 'quarantine', 'dead_letter',
                                'day', 'outbox', 'posting'] loop
        perform penstock.protect(format('billing.%I', name)::regclass, array['penstock_billing']);
        execute format('grant select on billing.%I to penstock_billing, penstock_admin, penstock_api', name);
    end loop;
end $$;
alter table billing.replica owner to penstock_owner;
alter table billing.partition_floor owner to penstock_owner;
alter table billing.block_claim owner to penstock_owner;
alter table billing.inbox owner to penstock_owner;
grant select, insert, update, delete on billing.replica to penstock_billing;
grant select, insert, update on billing.partition_floor to penstock_billing;
grant select, insert, delete on billing.block_claim to penstock_billing;
grant select, insert, delete on billing.inbox to penstock_billing;
grant select on billing.replica, billing.partition_floor, billing.block_claim to penstock_admin;
-- Readings, charges and transfers are insert-only: nobody holds UPDATE or DELETE.
grant insert on billing.reading, billing.charge, billing.transfer to penstock_billing;
grant insert, update on billing.purse, billing.point, billing.tier_window, billing.quarantine, billing.dead_letter, billing.day, billing.outbox
    to penstock_billing;
grant delete on billing.outbox to penstock_billing;
-- ledger verify, on behalf of the command line, reads the journal too.
grant select on ingest.reading_block to penstock_admin;
