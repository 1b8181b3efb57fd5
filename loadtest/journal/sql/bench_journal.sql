-- name: bench_journal_partitions
-- Leaves for today and tomorrow.
select penstock.ensure_partitions($1::date, $2::date)

-- name: bench_journal_insert
-- One flush of ingest: the blocks of all partitions in one transaction.
insert into ingest.reading_block (partition, id, received_at, record_count, records)
select * from unnest($1::smallint[], $2::bigint[], $3::timestamptz[], $4::smallint[], $5::bytea[])

-- name: bench_journal_create_schema
create schema if not exists floor

-- name: bench_journal_drop_rows
drop table if exists floor.reading_row

-- name: bench_journal_create_rows
-- The least a row per reading can be.
create table floor.reading_row (company_id integer, channel_num bigint, read_at timestamptz, value bigint)

-- name: bench_journal_drop_full_rows
drop table if exists floor.reading_full_row

-- name: bench_journal_create_full_rows
-- A row per reading that says what a journal record says.
create table floor.reading_full_row (
    company_id integer, register smallint, quality smallint, channel_num bigint, read_at timestamptz, value bigint, flags integer)

-- name: bench_journal_copy_rows
copy floor.reading_row (company_id, channel_num, read_at, value) from stdin (format binary)

-- name: bench_journal_copy_full_rows
copy floor.reading_full_row (company_id, register, quality, channel_num, read_at, value, flags) from stdin (format binary)
