-- name: db_begin
begin

-- name: db_begin_repeatable
begin isolation level repeatable read, read only

-- name: db_commit
commit

-- name: db_rollback
rollback

-- name: db_set_company
-- For the rest of the transaction; row-level security reads it.
select set_config('app.company', $1::integer::text, true)

-- name: db_try_lock
-- Of the session; true when this session holds the lock now.
select pg_try_advisory_lock($1::integer, $2::integer)

-- name: db_unlock
select pg_advisory_unlock($1::integer, $2::integer)
