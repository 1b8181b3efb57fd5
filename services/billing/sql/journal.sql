-- name: journal_xmin
-- Every transaction below it has ended and is seen by any later statement.
select pg_snapshot_xmin(pg_current_snapshot())

-- name: journal_unclaimed
-- Unclaimed blocks of the given partitions in commit-safe order: whatever commits late still has a xid at or above its
-- partition's floor. $3: blocks per partition, $4: blocks in all, $5 and $6: bounds of received_at.
select b.partition, b.id, b.xid, b.received_at, b.records
from billing.unclaimed_blocks($1::smallint[], $2::xid8[], $3, $5, $6) b order by b.xid, b.id limit $4

-- name: journal_claim
-- In the transaction of the blocks' effects; a block that is claimed already is a conflict and nothing happens.
insert into billing.block_claim (partition, block_id, xid, claimed_at)
select c.partition, c.block_id, c.xid, $4 from unnest($1::smallint[], $2::bigint[], $3::xid8[]) as c (partition, block_id, xid)
