-- api: sessions, stored answers, the event feed. Written by the api.

create table api.session (
    company_id integer not null,
    token_sha256 bytea not null,
    operator_num bigint not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    last_used_at timestamptz not null,
    constraint session_company_id_token_sha256_pk primary key (company_id, token_sha256),
    constraint session_operator_num_fk foreign key (company_id, operator_num) references core.operator (company_id, num)
);

-- Failed log-ins of one login name; known and unknown names are counted alike.
create table api.login_delay (
    company_id integer not null,
    login text not null,
    failures integer not null,
    failed_at timestamptz not null,
    constraint login_delay_company_id_login_pk primary key (company_id, login)
);

create table api.idempotency (
    company_id integer not null,
    principal text not null,
    key text not null,
    request_sha256 bytea not null,
    status smallint not null,
    response text not null,
    created_at timestamptz not null,
    constraint idempotency_company_id_principal_key_pk primary key (company_id, principal, key)
);

-- What the dashboards of a company are told; seq is the Last-Event-ID. Kept an hour.
create table api.event_feed (
    company_id integer not null,
    seq bigint not null,
    type text not null,
    payload jsonb not null,
    created_at timestamptz not null,
    constraint event_feed_company_id_seq_pk primary key (company_id, seq)
);
create index event_feed_company_id_created_at_ix on api.event_feed (company_id, created_at);

create table api.outbox (
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
create index outbox_unpublished_ix on api.outbox (created_at) where published_at is null;
create index outbox_stream_created_at_ix on api.outbox (stream, created_at);

create table api.inbox (
    event_id uuid not null,
    seen_at timestamptz not null,
    refused text,  -- why it had no effect: a dead letter
    constraint inbox_event_id_pk primary key (event_id)
);
create index inbox_seen_at_ix on api.inbox (seen_at);

-- The api's relay and feed worker serve all companies in one loop; they run as the api's worker role, which sees
-- these tables only.
do $$
begin
    create role penstock_api_worker login nosuperuser nobypassrls nocreatedb nocreaterole;
exception when duplicate_object or unique_violation then
    null;
end $$;
grant usage on schema penstock, api, billing, ingest to penstock_api_worker;

do $$
declare
    name text;
begin
    foreach name in array array['session', 'login_delay', 'idempotency', 'event_feed', 'outbox'] loop
        perform penstock.protect(format('api.%I', name)::regclass, array['penstock_api_worker']);
        execute format('grant select, insert, update, delete on api.%I to penstock_api', name);
        execute format('grant select on api.%I to penstock_admin', name);
    end loop;
end $$;
alter table api.inbox owner to penstock_owner;
grant select, update, delete on api.outbox to penstock_api_worker;
grant select, insert, delete on api.event_feed to penstock_api_worker;
grant select, delete on api.session, api.idempotency, api.login_delay to penstock_api_worker;
grant select, insert, delete on api.inbox to penstock_api_worker;

-- Outboxes are read by the consumers' sweeps.
create policy outbox_sweep on billing.outbox for select to penstock_api_worker using (true);
create policy outbox_sweep on ingest.outbox for select to penstock_api_worker using (true);
create policy outbox_sweep on api.outbox for select to penstock_ingest using (true);
grant select on billing.outbox, ingest.outbox to penstock_api_worker;
grant usage on schema api to penstock_ingest;
grant select on api.outbox to penstock_ingest;
