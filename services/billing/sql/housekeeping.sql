-- name: partitions_ensure
select penstock.ensure_partitions($1::date, $2::date)

-- name: oldest_day_request
select min(q.requested_at) from billing.day_request q

-- name: leaves_drop
select billing.drop_expired($1::date, $2::date)

-- name: lag_oldest
-- The receipt of the oldest block that is not claimed; NULL when all are.
select min(b.received_at) from unnest($1::smallint[], $2::xid8[]) as own (partition, floor)
join ingest.reading_block b on b.partition = own.partition and b.xid >= own.floor
where (select c.block_id from billing.block_claim c where c.partition = b.partition and c.block_id = b.id) is null
