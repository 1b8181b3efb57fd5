-- Roles and schemas. The owner of all objects cannot log in; services own nothing and bypass nothing; functions that
-- let one service act in another's schema belong to penstock_door, which owns no table and stands under the company
-- policies like everybody else.
do $$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            ('penstock_owner', 'nologin'), ('penstock_door', 'nologin'),
            ('penstock_ingest', 'login'), ('penstock_billing', 'login'),
            ('penstock_api', 'login'), ('penstock_admin', 'login')) as r(name, login)
    loop
        begin
            execute format('create role %I %s nosuperuser nobypassrls nocreatedb nocreaterole', wanted.name, wanted.login);
        exception when duplicate_object or unique_violation then
            null;  -- roles are shared by all databases of a cluster
        end;
    end loop;
end $$;

-- A migrating login that is no superuser acts as the owner.
do $$
begin
    if not (select rolsuper from pg_roles where rolname = current_user) then
        execute format('grant penstock_owner, penstock_door to %I', current_user);
    end if;
end $$;

alter default privileges revoke execute on functions from public;
revoke create on schema public from public;

create schema if not exists penstock;
create schema core;
create schema ingest;
create schema billing;
create schema api;
alter schema penstock owner to penstock_owner;
alter schema core owner to penstock_owner;
alter schema ingest owner to penstock_owner;
alter schema billing owner to penstock_owner;
alter schema api owner to penstock_owner;

grant usage on schema penstock, core, ingest, billing, api to penstock_admin, penstock_door;
grant usage on schema penstock, core, ingest to penstock_ingest;
grant usage on schema penstock, core, ingest, billing to penstock_billing;
grant usage on schema penstock, core, ingest, billing, api to penstock_api;

-- The company of the running transaction; NULL when none is set, so that every comparison with it fails.
create function penstock.current_company() returns integer
    language sql stable parallel safe
    as $$ select nullif(current_setting('app.company', true), '')::integer $$;
alter function penstock.current_company() owner to penstock_owner;
grant execute on function penstock.current_company() to
    penstock_ingest, penstock_billing, penstock_api, penstock_admin, penstock_door;

-- Puts a table with company_id under row-level security: the api and the doors see the company of their transaction,
-- the named workers serve all companies. penstock_admin is the operators' command line and always among them.
create function penstock.protect(target regclass, workers text[]) returns void
    language plpgsql as $$
declare
    short_name text := (select relname from pg_class where oid = target);
    worker text;
begin
    execute format('alter table %s owner to penstock_owner', target);
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format('create policy %I on %s to penstock_api, penstock_door
                    using (company_id = (select penstock.current_company()))
                    with check (company_id = (select penstock.current_company()))', short_name || '_company', target);
    foreach worker in array workers || array['penstock_admin'] loop
        execute format('create policy %I on %s to %I using (true) with check (true)',
                       short_name || '_' || replace(worker, 'penstock_', ''), target, worker);
    end loop;
end $$;
alter function penstock.protect(regclass, text[]) owner to penstock_owner;
