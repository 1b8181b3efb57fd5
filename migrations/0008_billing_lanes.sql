-- Work that billing does beside the live lane, and the end of what is kept for a time only.

-- A usage point whose stored readings have to be rated anew from an instant on: a late reading came, or the point was
-- stopped and its configuration changed. failed tells why the last attempt did not succeed.
create table billing.replay_request (
    company_id integer not null,
    usage_point_num bigint not null,
    partition smallint not null,
    from_at timestamptz not null,
    reason text not null,
    requested_at timestamptz not null,
    attempts integer not null default 0,
    failed text,
    constraint replay_request_usage_point_num_pk primary key (usage_point_num)
);
create index replay_request_partition_ix on billing.replay_request (partition);

-- A finished local day of a usage point whose readings have to be packed, or packed anew.
create table billing.day_request (
    company_id integer not null,
    usage_point_num bigint not null,
    day date not null,
    partition smallint not null,
    requested_at timestamptz not null,
    constraint day_request_usage_point_num_day_pk primary key (usage_point_num, day)
);
create index day_request_partition_ix on billing.day_request (partition);

do $$
declare
    name text;
begin
    foreach name in array array['replay_request', 'day_request'] loop
        perform penstock.protect(format('billing.%I', name)::regclass, array['penstock_billing']);
        execute format('grant select, insert, update, delete on billing.%I to penstock_billing', name);
        execute format('grant select on billing.%I to penstock_admin', name);
    end loop;
end $$;
grant select on core.calendar_day to penstock_billing;

-- Drops the leaves of readings and of the journal that end before the given days. A leaf of the journal goes only when
-- every block in it is claimed. The caller has made sure that the readings are packed.
create function billing.drop_expired(readings_before date, blocks_before date) returns integer
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    dropped integer := 0;
    leaf record;
    waits boolean;
begin
    if readings_before is null or blocks_before is null or readings_before > current_date - 7 or blocks_before > current_date - 1 then
        raise exception 'too young to be dropped' using errcode = '22023';
    end if;
    for leaf in
        select n.nspname as schema_name, c.relname as leaf_name, p.relname as parent_name,
               to_date(right(c.relname, 8), 'YYYYMMDD') as day
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        join pg_class p on p.oid = i.inhparent
        join pg_namespace n on n.oid = c.relnamespace
        where (n.nspname, p.relname) in (('billing', 'reading'), ('ingest', 'reading_block')) and c.relname ~ '_[0-9]{8}$'
    loop
        continue when leaf.day >= case leaf.parent_name when 'reading' then readings_before else blocks_before end;
        if leaf.parent_name = 'reading_block' then
            execute format('select exists (select from %I.%I b where not exists (select from billing.block_claim c
                            where c.partition = b.partition and c.block_id = b.id))', leaf.schema_name, leaf.leaf_name) into waits;
            continue when waits;
        end if;
        execute format('drop table %I.%I', leaf.schema_name, leaf.leaf_name);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;
alter function billing.drop_expired(date, date) owner to penstock_owner;
grant execute on function billing.drop_expired(date, date) to penstock_billing;
