-- payments, control and alerts: their roles, schemas, outboxes and inboxes, and who sweeps whose outbox.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['penstock_payments', 'penstock_control', 'penstock_alerts'] loop
        begin
            execute format('create role %I login nosuperuser nobypassrls nocreatedb nocreaterole', wanted);
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
end $$;

create schema payments;
create schema control;
create schema alerts;
alter schema payments owner to penstock_owner;
alter schema control owner to penstock_owner;
alter schema alerts owner to penstock_owner;
grant usage on schema penstock, core, api, payments, billing to penstock_payments;
grant usage on schema penstock, core, api, ingest, billing, payments, control, alerts to penstock_control;
grant usage on schema penstock, core, api, ingest, billing, payments, control, alerts to penstock_alerts;
grant usage on schema payments, control, alerts to penstock_api, penstock_api_worker, penstock_admin, penstock_door;
grant usage on schema control to penstock_ingest;
grant execute on function penstock.current_company() to penstock_payments, penstock_control, penstock_alerts;

do $$
declare
    name text;
    role_name text;
begin
    foreach name in array array['payments', 'control', 'alerts'] loop
        role_name := 'penstock_' || name;
        execute format('create table %I.outbox (
            event_id uuid not null,
            company_id integer not null,
            stream text not null,
            type text not null,
            subject_num bigint not null,
            version bigint not null,
            payload jsonb not null,
            created_at timestamptz not null,
            published_at timestamptz,
            constraint outbox_event_id_pk primary key (event_id))', name);
        execute format('create index outbox_unpublished_ix on %I.outbox (created_at) where published_at is null', name);
        execute format('create index outbox_stream_created_at_ix on %I.outbox (stream, created_at)', name);
        execute format('create table %I.inbox (
            event_id uuid not null,
            seen_at timestamptz not null,
            refused text,
            constraint inbox_event_id_pk primary key (event_id))', name);
        execute format('create index inbox_seen_at_ix on %I.inbox (seen_at)', name);
        perform penstock.protect(format('%I.outbox', name)::regclass, array[role_name]);
        execute format('alter table %I.inbox owner to penstock_owner', name);
        execute format('grant select, insert, update, delete on %I.outbox to %I', name, role_name);
        execute format('grant select, insert, delete on %I.inbox to %I', name, role_name);
        execute format('grant select on %I.outbox to penstock_admin, penstock_api, penstock_api_worker', name);
        execute format('create policy outbox_sweep_api_worker on %I.outbox for select to penstock_api_worker using (true)', name);
    end loop;
end $$;

-- Who consumes whose facts.
do $$
declare
    arrow record;
begin
    for arrow in
        select * from (values
            ('api', 'penstock_payments'), ('api', 'penstock_control'), ('api', 'penstock_alerts'),
            ('billing', 'penstock_control'), ('billing', 'penstock_alerts'),
            ('ingest', 'penstock_control'), ('ingest', 'penstock_alerts'),
            ('control', 'penstock_ingest'), ('control', 'penstock_alerts'),
            ('payments', 'penstock_control'), ('payments', 'penstock_alerts')) as a (producer, consumer)
    loop
        execute format('create policy %I on %I.outbox for select to %I using (true)',
                       'outbox_sweep_' || replace(arrow.consumer, 'penstock_', ''), arrow.producer, arrow.consumer);
        execute format('grant select on %I.outbox to %I', arrow.producer, arrow.consumer);
    end loop;
end $$;

-- Numbers of transfers that are posted one by one from outside the live worker: like those of num_series, as replica
-- 1023, whose counter is a sequence.
create sequence billing.transfer_num_seq as integer minvalue 0 maxvalue 4095 cycle;
alter sequence billing.transfer_num_seq owner to penstock_owner;
grant usage on sequence billing.transfer_num_seq to penstock_door;
create function billing.transfer_num(at timestamptz) returns bigint
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as $$ select (((extract(epoch from at) * 1000)::bigint - 1704067200000) << 22) | (1023::bigint << 12) | nextval('billing.transfer_num_seq') $$;
alter function billing.transfer_num(timestamptz) owner to penstock_door;
grant execute on function billing.transfer_num(timestamptz) to penstock_api, penstock_payments, penstock_admin;
