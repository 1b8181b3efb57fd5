-- name: schema_prepare
-- The record of what was applied; it exists before the first migration does.
do $$
begin
    create schema if not exists penstock;
    create table if not exists penstock.schema_version (
        version integer not null,
        slug text not null,
        sha256 bytea not null,
        applied_at timestamptz not null,
        constraint schema_version_version_pk primary key (version),
        constraint schema_version_version_ck check (version > 0),
        constraint schema_version_sha256_ck check (length(sha256) = 32)
    );
    grant select on penstock.schema_version to public;
end $$

-- name: schema_exists
select to_regclass('penstock.schema_version') is not null

-- name: schema_lock
-- One migration at a time; waits for the other one, up to lock_timeout.
select pg_advisory_lock(7000, 0)

-- name: schema_versions
select version, slug, sha256, applied_at from penstock.schema_version order by version

-- name: migration_time_out
-- A migration that waits for somebody's lock blocks everybody behind it: it gives up soon and is tried again.
select set_config('lock_timeout', '5s', true)

-- name: migration_hand_over
-- The text of a file becomes a setting of the transaction, because DO takes no parameters.
select set_config('penstock.migration', $1, true)

-- name: migration_run
do $$ begin execute current_setting('penstock.migration'); end $$

-- name: schema_version_insert
insert into penstock.schema_version (version, slug, sha256, applied_at) values ($1, $2, $3, $4)

-- name: schema_version_give
-- All objects belong to the role that cannot log in, this one too.
do $$
begin
    if exists (select from pg_roles where rolname = 'penstock_owner')
       and (select tableowner from pg_tables where schemaname = 'penstock' and tablename = 'schema_version') <> 'penstock_owner' then
        alter table penstock.schema_version owner to penstock_owner;
    end if;
end $$

-- name: partitions_known
select to_regproc('penstock.ensure_partitions') is not null

-- name: partitions_make
select penstock.ensure_partitions($1, $2)
