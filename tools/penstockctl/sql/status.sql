-- What `penstockctl status` tells; $1 is the time of asking.

-- name: status_replicas
select 'ingest', r.num, r.host, r.started_at, r.beat_at from ingest.replica r
union all
select 'billing', r.num, r.host, r.started_at, r.beat_at from billing.replica r
order by 1, 2

-- name: status_backlog
-- Blocks that wait to be claimed: how many, with how many readings, since when. Everything below a floor is claimed.
select count(*), coalesce(sum(w.record_count), 0)::bigint, min(w.received_at)
from (select distinct partition from core.property) p
left join billing.partition_floor f on f.partition = p.partition
cross join lateral (
    select b.record_count, b.received_at
    from ingest.reading_block b
    where b.partition = p.partition and b.xid >= coalesce(f.floor, '0'::xid8) and b.received_at > $1::timestamptz - interval '14 days'
      and not exists (select from billing.block_claim c where c.partition = b.partition and c.block_id = b.id)) w

-- name: status_charged_blocks
-- Readings of the blocks made since the number $2 and claimed: numbers rise with time.
select coalesce(sum(b.record_count), 0)::bigint
from (select distinct partition from core.property) p
join billing.block_claim c on c.partition = p.partition and c.block_id >= $2
join ingest.reading_block b on b.partition = c.partition and b.xid = c.xid and b.id = c.block_id and b.received_at > $1::timestamptz - interval '1 hour'

-- name: status_counts
-- What waits or went wrong.
select (select count(*) from ingest.outbox where published_at is null),
       (select count(*) from billing.outbox where published_at is null),
       (select count(*) from api.outbox where published_at is null),
       (select count(*) from billing.dead_letter where resolved_at is null),
       (select count(*) from billing.quarantine where resolved_at is null),
       (select count(*) from ingest.refused_reading where received_at > $1::timestamptz - interval '1 hour'),
       (select count(*) from billing.point where stopped_since is not null),
       (select count(*) from billing.replay_request),
       (select count(*) from billing.recharge_item where done_at is null) + (select count(*) from billing.recharge_share)

-- name: status_meters
-- In contact, silent, never heard.
select count(*),
       count(*) filter (where mc.last_seen_at is not null and mc.lost_since is null),
       count(*) filter (where mc.lost_since is not null)
from core.meter m
left join ingest.meter_contact mc on mc.company_id = m.company_id and mc.meter_num = m.num
where m.removed_at is null

-- name: status_charged_today
-- Of the local day that runs at each usage point.
select p.currency, sum(pt.day_amount_micro)::bigint
from billing.point pt join billing.purse p on p.num = pt.purse_num
where pt.day_start > $1::timestamptz - interval '24 hours'
group by p.currency order by p.currency
