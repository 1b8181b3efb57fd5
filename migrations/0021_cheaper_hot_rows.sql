-- Hot rows that cost less.

-- Unclaimed blocks of partitions from their floors on, at most so many of each, in commit-safe order within each. A
-- function because of its setting: the walk of the index (partition, xid) then stops at the bound, where the planner,
-- which takes the journal for small, would rather read and sort all that waits, the more the further billing is behind.
create function billing.unclaimed_blocks(owned smallint[], floors xid8[], of_each bigint, since timestamptz, before timestamptz)
    returns table (partition smallint, id bigint, xid xid8, received_at timestamptz, records bytea)
    language plpgsql stable set enable_sort = off as $$
#variable_conflict use_column
begin
    return query
    select b.partition, b.id, b.xid, b.received_at, b.records
    from unnest(owned, floors) as own (partition, floor)
    cross join lateral (
        select r.partition, r.id, r.xid, r.received_at, r.records
        from ingest.reading_block r
        where r.partition = own.partition and r.xid >= own.floor and r.received_at >= since and r.received_at < before
          and (select c.block_id from billing.block_claim c where c.partition = r.partition and c.block_id = r.id) is null
        order by r.xid, r.id limit of_each) b;
end $$;
alter function billing.unclaimed_blocks(smallint[], xid8[], bigint, timestamptz, timestamptz) owner to penstock_owner;
grant execute on function billing.unclaimed_blocks(smallint[], xid8[], bigint, timestamptz, timestamptz) to penstock_billing;

-- The keys of a charge are unique: looking for equal ones before each split of a page is in vain.
drop index billing.charge_usage_point_num_id_ix;
create index charge_usage_point_num_id_ix on billing.charge (usage_point_num, id) with (deduplicate_items = off);
