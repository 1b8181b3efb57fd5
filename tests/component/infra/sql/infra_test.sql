-- name: t_create
create temporary table thing (
    num bigint constraint thing_num_pk primary key, small smallint, flag boolean, words text, bytes bytea,
    at timestamptz, day date, id uuid, doc jsonb)

-- name: t_insert
insert into thing values ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: t_select
select num, small, flag, words, bytes, at, day, id, doc from thing order by num

-- name: t_count
select count(*) from thing

-- name: t_unnest
select a, b, c, d, e, f, g, h, i
from unnest($1::bigint[], $2::integer[], $3::smallint[], $4::boolean[], $5::text[], $6::bytea[], $7::timestamptz[], $8::date[], $9::uuid[])
     as u(a, b, c, d, e, f, g, h, i)

-- name: t_arrays
select array[1, 2, 3]::smallint[], array[4, 5]::integer[], array[6, 7]::bigint[], array[]::bigint[]

-- name: t_copy
copy pg_temp.thing (num, small, flag, words, bytes, at, day, id) from stdin (format binary)

-- name: t_copy_leaf
copy pg_temp.leaf_{leaf} (num) from stdin (format binary)

-- name: t_create_leaf
create temporary table leaf_20261121 (num bigint)

-- name: t_count_leaf
select count(*) from leaf_20261121

-- name: t_sleep
select 1 from pg_sleep($1::integer)

-- name: t_divide
select 1 / $1::integer

-- name: t_set_low_timeout
select set_config('statement_timeout', '100', false)

-- name: t_company
select current_setting('app.company', true)

-- name: t_kill
select pg_terminate_backend($1::integer)

-- name: t_raise
do $$ begin raise exception 'no'; end $$

-- name: t_forbidden
select count(*) from pg_authid

-- name: t_settings
select current_setting('timezone'), current_setting('search_path'), current_setting('lock_timeout'), current_setting('application_name')

-- name: t_notify
select pg_notify('infra_test', $1::text)

-- name: t_one_of
select num from thing where words = $1

-- name: t_deferred
create temporary table strict_thing (num bigint constraint strict_thing_uq unique deferrable initially deferred)

-- name: t_deferred_insert
insert into strict_thing values (1), (1)
