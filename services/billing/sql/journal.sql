-- name: journal_xmin
-- Every transaction below it has ended and is seen by any later statement.
select pg_snapshot_xmin(pg_current_snapshot())

-- name: journal_unclaimed
-- Unclaimed blocks of the given partitions in commit-safe order: whatever commits late still has a xid at or above its
-- partition's floor. $3: blocks per partition, $4: blocks in all, $5 and $6: bounds of received_at.
select b.partition, b.id, b.xid, b.received_at, b.records
from unnest($1::smallint[], $2::xid8[]) as own (partition, floor)
cross join lateral (
    select r.partition, r.id, r.xid, r.received_at, r.records
    from ingest.reading_block r
    where r.partition = own.partition and r.xid >= own.floor and r.received_at >= $5 and r.received_at < $6
      and not exists (select from billing.block_claim c where c.partition = r.partition and c.block_id = r.id)
    order by r.xid, r.id limit $3) b
order by b.xid, b.id limit $4

-- name: journal_claim
-- In the transaction of the blocks' effects; a block that is claimed already is a conflict and nothing happens.
insert into billing.block_claim (partition, block_id, xid, claimed_at)
select c.partition, c.block_id, c.xid, $4 from unnest($1::smallint[], $2::bigint[], $3::xid8[]) as c (partition, block_id, xid)
