-- The journal's transaction.

-- name: counter_open
-- Makes the rows of gateways that never pushed; several replicas may try at once.
insert into ingest.gateway_counter (company_id, gateway_num, counter, raised_at)
select company_id, gateway_num, 0, $3
from unnest($1::integer[], $2::bigint[]) as wanted (company_id, gateway_num)
order by gateway_num
on conflict do nothing;

-- name: counter_lock
-- The high-water marks, locked in ascending order of gateways until the transaction ends.
select c.gateway_num, c.counter
from ingest.gateway_counter c
join unnest($1::integer[], $2::bigint[]) as wanted (company_id, gateway_num)
    on c.company_id = wanted.company_id and c.gateway_num = wanted.gateway_num
order by c.gateway_num
for update of c;

-- name: counter_raise
update ingest.gateway_counter c
set counter = raised.counter, raised_at = $4
from unnest($1::integer[], $2::bigint[], $3::bigint[]) as raised (company_id, gateway_num, counter)
where c.company_id = raised.company_id and c.gateway_num = raised.gateway_num and c.counter < raised.counter;

-- name: block_insert
-- One row per block; answers the transaction's id, to ask for its fate when the commit's answer is lost.
with inserted as (
    insert into ingest.reading_block (partition, id, received_at, record_count, records)
    select partition, id, $5, record_count, records
    from unnest($1::smallint[], $2::bigint[], $3::smallint[], $4::bytea[]) as b (partition, id, record_count, records)
    returning xid)
select xid from inserted limit 1;

-- name: refused_insert
insert into ingest.refused_reading (id, company_id, gateway_num, received_at, reason, place, detail, raw)
select id, company_id, gateway_num, $8, reason, place, detail, raw
from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bytea[])
    as r (id, company_id, gateway_num, reason, place, detail, raw);

-- name: transaction_fate
-- committed, aborted, or in progress; NULL when it is too long ago to be known.
select pg_xact_status($1::xid8);

-- name: block_exists
select exists (select from ingest.reading_block where partition = $1 and id = $2 and received_at = $3);

-- name: replica_beat
insert into ingest.replica (num, host, started_at, beat_at) values ($1, $2, $3, $4)
on conflict (num) do update set host = excluded.host, started_at = excluded.started_at, beat_at = excluded.beat_at;

-- name: partitions_ensure
select penstock.ensure_partitions($1, $2);
