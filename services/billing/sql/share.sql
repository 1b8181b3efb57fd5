-- Which worker bills which partitions. A worker is one thread with one connection; its row is its beat.

-- name: replica_forget
-- The row of a number whose lock this session holds, and rows whose beat stopped long ago.
delete from billing.replica where num = $1 or beat_at < $2

-- name: replica_enter
insert into billing.replica (id, num, host, started_at, beat_at) values ($1, $2, $3, $4, $4)

-- name: replica_beat
-- $3: how far this worker is behind, in ms.
update billing.replica set beat_at = $2, lag_ms = $3 where id = $1

-- name: replica_leave
delete from billing.replica where id = $1

-- name: replica_live
-- Workers that beat and whose session still holds the lock of its number: a killed one is gone at once.
select count(*) from billing.replica r
where r.beat_at > $1
  and exists (select from pg_locks l
              where l.locktype = 'advisory' and l.granted and l.classid = 7001 and l.objid = r.num and l.objsubid = 2
                and l.database = (select d.oid from pg_database d where d.datname = current_database()))

-- name: partition_try_locks
-- Never waits: a partition that another session holds stays its.
select p.num, pg_try_advisory_lock(7002, p.num) from unnest($1::integer[]) as p (num)

-- name: partition_unlock
select pg_advisory_unlock(7002, $1::integer)

-- name: floor_open
-- A partition nobody billed before starts at its oldest possible block.
insert into billing.partition_floor (partition, floor)
select p.num, '3'::xid8 from unnest($1::smallint[]) as p (num)
on conflict on constraint partition_floor_partition_pk do nothing

-- name: floor_list
select f.partition, f.floor from billing.partition_floor f where f.partition = any($1::smallint[]) order by f.partition

-- name: floor_raise
-- Every transaction below the snapshot's xmin has ended. Where no unclaimed block lies between floor and xmin, the
-- floor rises to xmin: nothing can appear below it any more.
update billing.partition_floor f set floor = s.xmin
from (select pg_snapshot_xmin(pg_current_snapshot()) as xmin) s
where f.partition = any($1::smallint[]) and f.floor < s.xmin
  and not exists (select from ingest.reading_block b
                  where b.partition = f.partition and b.xid >= f.floor and b.xid < s.xmin
                    and (select c.block_id from billing.block_claim c where c.partition = b.partition and c.block_id = b.id) is null)
returning f.partition, f.floor

-- name: claims_forget
-- Claims are needed as long as a block may be looked at again, that is above the floor.
delete from billing.block_claim c using billing.partition_floor f
where f.partition = c.partition and c.partition = any($1::smallint[]) and c.xid < f.floor and c.claimed_at < $2
