-- ingest: what came in over the wires. Written by the ingest service.

create table ingest.replica (
    num smallint not null,
    host text not null,
    started_at timestamptz not null,
    beat_at timestamptz not null,
    constraint replica_num_pk primary key (num),
    constraint replica_num_ck check (num between 0 and 511)
);

-- The journal: up to 240 packed readings of one partition, 32 bytes each. It mixes companies, therefore it has no
-- policy and is granted to ingest and billing alone. xid orders blocks so that nothing that commits late is skipped.
create table ingest.reading_block (
    partition smallint not null,
    id bigint not null,
    xid xid8 not null default pg_current_xact_id(),
    received_at timestamptz not null,
    record_count smallint not null,
    records bytea not null,
    constraint reading_block_record_count_ck check (record_count between 1 and 240 and length(records) = record_count * 32)
) partition by range (received_at);
alter table ingest.reading_block alter column records set storage plain;
create index reading_block_partition_xid_ix on ingest.reading_block (partition, xid);

-- The high-water mark of a pushing gateway's counter, raised in the transaction that journals the request.
create table ingest.gateway_counter (
    company_id integer not null,
    gateway_num bigint not null,
    counter bigint not null,
    raised_at timestamptz not null,
    constraint gateway_counter_company_id_gateway_num_pk primary key (company_id, gateway_num)
);

create table ingest.gateway_session (
    company_id integer not null,
    gateway_num bigint not null,
    replica smallint not null,
    epoch bigint not null,
    remote text not null,
    connected_at timestamptz not null,
    last_seen_at timestamptz not null,
    closed_at timestamptz,
    constraint gateway_session_company_id_gateway_num_pk primary key (company_id, gateway_num)
);

-- lost_since is NULL while in contact.
create table ingest.gateway_contact (
    company_id integer not null,
    gateway_num bigint not null,
    last_seen_at timestamptz,
    lost_since timestamptz,
    constraint gateway_contact_company_id_gateway_num_pk primary key (company_id, gateway_num)
);

create table ingest.meter_contact (
    company_id integer not null,
    meter_num bigint not null,
    last_seen_at timestamptz,
    lost_since timestamptz,
    last_fault text,
    constraint meter_contact_company_id_meter_num_pk primary key (company_id, meter_num)
);

-- The newest value of each register of a channel, in the register's milli-unit.
create table ingest.last_value (
    company_id integer not null,
    channel_num bigint not null,
    register smallint not null,
    value bigint not null,
    quality smallint not null,
    read_at timestamptz not null,
    received_at timestamptz not null,
    constraint last_value_company_id_channel_num_register_pk primary key (company_id, channel_num, register)
) with (fillfactor = 70);

-- What needs no history to be refused. company_id is NULL when not even the gateway is known.
create table ingest.refused_reading (
    id bigint not null,
    company_id integer,
    gateway_num bigint,
    received_at timestamptz not null,
    reason text not null,
    place text not null,
    detail text not null,
    raw bytea not null,
    constraint refused_reading_raw_ck check (length(raw) <= 4096)
) partition by range (received_at);
create index refused_reading_company_id_received_at_ix on ingest.refused_reading (company_id, received_at);

create table ingest.device_event (
    company_id integer not null,
    id uuid not null,
    at timestamptz not null,
    kind text not null,
    gateway_num bigint,
    meter_num bigint,
    channel_num bigint,
    detail jsonb not null default '{}',
    constraint device_event_company_id_id_pk primary key (company_id, id)
);
create index device_event_company_id_at_ix on ingest.device_event (company_id, at);

create table ingest.outbox (
    event_id uuid not null,
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
create index outbox_unpublished_ix on ingest.outbox (created_at) where published_at is null;
create index outbox_stream_created_at_ix on ingest.outbox (stream, created_at);

create table ingest.inbox (
    event_id uuid not null,
    seen_at timestamptz not null,
    refused text,  -- why it had no effect: a dead letter
    constraint inbox_event_id_pk primary key (event_id)
);
create index inbox_seen_at_ix on ingest.inbox (seen_at);

do $$
declare
    name text;
begin
    foreach name in array array['gateway_counter', 'gateway_session', 'gateway_contact', 'meter_contact', 'last_value',
                                'refused_reading', 'device_event', 'outbox'] loop
        perform penstock.protect(format('ingest.%I', name)::regclass, array['penstock_ingest']);
        execute format('grant select, insert on ingest.%I to penstock_ingest', name);
        execute format('grant select on ingest.%I to penstock_admin, penstock_api', name);
    end loop;
end $$;
alter table ingest.replica owner to penstock_owner;
alter table ingest.reading_block owner to penstock_owner;
alter table ingest.inbox owner to penstock_owner;
grant select, insert, update, delete on ingest.replica to penstock_ingest;
-- Events and refused readings are insert-only.
grant update on ingest.gateway_counter, ingest.gateway_session, ingest.gateway_contact, ingest.meter_contact, ingest.last_value,
    ingest.outbox to penstock_ingest;
grant select, insert on ingest.reading_block to penstock_ingest;
grant select on ingest.reading_block to penstock_billing;
grant select on ingest.replica to penstock_admin;
grant select, insert, delete on ingest.inbox to penstock_ingest;
grant delete on ingest.outbox to penstock_ingest;
