-- name: measure_wal_position
-- Bytes of write-ahead log ever inserted; the difference of two calls is what was written between them.
select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint

-- name: measure_checkpoint
-- So that the full-page images of one subject do not fall on the next.
checkpoint
