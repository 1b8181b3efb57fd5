-- name: floor_create_schema
create schema if not exists floor

-- name: floor_drop_heap
drop table if exists floor.heap

-- name: floor_create_heap
-- A bare heap: no index, no constraint, no trigger. Nothing that keeps these columns can be cheaper.
create table floor.heap (company_id integer, channel_num bigint, read_at timestamptz, value bigint)

-- name: floor_drop_keyed
drop table if exists floor.keyed

-- name: floor_create_keyed
-- A row per reading with the key that refuses a reading twice.
create table floor.keyed (company_id integer, channel_num bigint, read_at timestamptz, value bigint, primary key (read_at, channel_num))

-- name: floor_copy_heap
copy floor.heap (company_id, channel_num, read_at, value) from stdin (format binary)

-- name: floor_copy_keyed
copy floor.keyed (company_id, channel_num, read_at, value) from stdin (format binary)

-- name: floor_insert_row
-- One reading, one transaction: what batches are measured against.
insert into floor.keyed (company_id, channel_num, read_at, value) values ($1, $2, $3, $4)
