-- The checks of `ledger verify` that a set answers. Each gives: how many were looked at, how many differ, one of those in
-- words. $1: the company, NULL for all.

-- name: verify_company
select company_id from core.company where code = $1

-- name: verify_balances
-- A purse's balance is the sum of its transfers.
with moved as (
    select m.num, sum(m.amount) as amount
    from (select t.debit_num as num, -t.amount_micro as amount from billing.transfer t
          where t.debit_class = 1 and ($1::integer is null or t.company_id = $1)
          union all
          select t.credit_num, t.amount_micro from billing.transfer t
          where t.credit_class = 1 and ($1::integer is null or t.company_id = $1)) m
    group by m.num),
compared as (
    select coalesce(p.num, m.num) as num, coalesce(p.balance_micro, 0) as balance, coalesce(m.amount, 0) as amount, p.num is null as is_missing
    from (select * from billing.purse where $1::integer is null or company_id = $1) p full join moved m on m.num = p.num)
select count(*), count(*) filter (where balance <> amount or is_missing),
       min(format('purse %s shows %s but its transfers sum to %s', num, balance, amount)) filter (where balance <> amount or is_missing)
from compared

-- name: verify_levels
-- A purse's level is the one its balance gives.
select count(*), count(*) filter (where p.level <> l.level),
       min(format('purse %s with balance %s has level %s, not %s', p.num, p.balance_micro, p.level, l.level)) filter (where p.level <> l.level)
from billing.purse p
cross join lateral (select billing.credit_level(p.balance_micro, p.alarm_1_micro, p.alarm_2_micro, p.overdraft_micro) as level) l
where $1::integer is null or p.company_id = $1

-- name: verify_purse_sides
-- A transfer that touches a purse has its company and currency.
select count(*), count(*) filter (where p.num is null or p.company_id <> s.company_id or p.currency <> s.currency),
       min(format('transfer %s touches purse %s of another company or currency', s.id, s.num))
           filter (where p.num is null or p.company_id <> s.company_id or p.currency <> s.currency)
from (select t.id, t.company_id, t.currency, t.debit_num as num from billing.transfer t where t.debit_class = 1
      union all
      select t.id, t.company_id, t.currency, t.credit_num from billing.transfer t where t.credit_class = 1) s
left join billing.purse p on p.num = s.num
where $1::integer is null or s.company_id = $1

-- name: verify_charge_transfers
-- A charge that moves money has exactly its transfer, and the other way round.
with compared as (
    select coalesce(c.id, t.id) as id,
           case when c.id is null then 'has no charge'
                when t.id is null then 'has no transfer'
                when t.amount_micro <> abs(c.amount_micro) then 'moves another amount'
                when c.amount_micro > 0 and (t.debit_class, t.debit_num) is distinct from (1::smallint, c.purse_num) then 'debits another account'
                when c.amount_micro < 0 and (t.credit_class, t.credit_num) is distinct from (1::smallint, c.purse_num) then 'credits another account'
                when t.kind <> case c.kind when 1 then 9 else 1 end then 'is of another kind' end as fault
    from (select * from billing.charge where amount_micro <> 0 and account_num <> 0 and ($1::integer is null or company_id = $1)) c
    full join (select * from billing.transfer where kind in (1, 9) and ($1::integer is null or company_id = $1)) t on t.id = c.id)
select count(*), count(fault), min(format('%s %s', id, fault)) filter (where fault is not null) from compared

-- name: verify_unique_ids
-- No transfer and no charge exists twice.
select sum(n)::bigint, count(*) filter (where n > 1), min(format('%s %s exists %s times', what, id, n)) filter (where n > 1)
from (select 'transfer' as what, id, count(*) as n from billing.transfer where $1::integer is null or company_id = $1 group by id
      union all
      select 'charge', id, count(*) from billing.charge where $1::integer is null or company_id = $1 group by id) counted

-- name: verify_postings
-- What was posted from outside exists, and nothing else of its kind does.
with posted as (
    select p.company_id, p.source, p.key, u.id from billing.posting p cross join lateral unnest(p.transfer_ids) as u (id)
    where $1::integer is null or p.company_id = $1),
compared as (
    select coalesce(p.id, t.id) as id, count(p.id) as postings, count(t.id) as transfers
    from posted p
    full join (select id, company_id from billing.transfer where kind not in (1, 9) and ($1::integer is null or company_id = $1)) t
        on t.id = p.id and t.company_id = p.company_id
    group by coalesce(p.id, t.id))
select count(*), count(*) filter (where postings <> 1 or transfers <> 1),
       min(format('transfer %s: %s postings name it, %s rows exist', id, postings, transfers)) filter (where postings <> 1 or transfers <> 1)
from compared

-- name: verify_corrections
-- A correction names a base charge of the same usage point, or the close of a tier window.
select count(*), count(*) filter (where b.id is null),
       min(format('correction %s names %s, which is no base charge of its usage point', c.id, coalesce(c.corrects::text, 'nothing')))
           filter (where b.id is null)
from billing.charge c
left join billing.charge b on b.usage_point_num = c.usage_point_num and b.id = c.corrects and (b.kind = 0 or (b.kind = 2 and c.cause = 3))
where c.kind = 1 and ($1::integer is null or c.company_id = $1)

-- name: verify_readings
-- A reading is stored once.
select coalesce(sum(n), 0)::bigint, count(*) filter (where n > 1),
       min(format('channel %s register %s at %s is stored %s times', channel_num, register, read_at, n)) filter (where n > 1)
from (select channel_num, epoch, register, read_at, count(*) as n from billing.reading
      where $1::integer is null or company_id = $1
      group by channel_num, epoch, register, read_at) counted

-- name: verify_blocks
-- A claimed block is in the journal exactly once. Claims older than two days are left out: their blocks may be gone.
-- Blocks mix companies; $1 is not looked at.
select count(*), count(*) filter (where n <> 1), min(format('block %s of partition %s is in the journal %s times', block_id, partition, n)) filter (where n <> 1)
from (select c.partition, c.block_id, count(b.id) as n
      from billing.block_claim c
      left join ingest.reading_block b on b.partition = c.partition and b.id = c.block_id
      where c.claimed_at > $2::timestamptz - interval '2 days' and ($1::integer is null or $1 > 0)
      group by c.partition, c.block_id) counted

-- name: verify_defaults
-- No row fell through the partitions.
select 6::bigint, count(*), min(format('%s holds rows', name))
from (select distinct tableoid::regclass::text as name from billing.charge where booked_at < '2020-01-01' or tableoid = 'billing.charge_default'::regclass
      union all select distinct tableoid::regclass::text from billing.transfer where tableoid = 'billing.transfer_default'::regclass
      union all select distinct tableoid::regclass::text from billing.reading where tableoid = 'billing.reading_default'::regclass
      union all select distinct tableoid::regclass::text from billing.day where tableoid = 'billing.day_default'::regclass
      union all select distinct tableoid::regclass::text from ingest.reading_block where tableoid = 'ingest.reading_block_default'::regclass
      union all select distinct tableoid::regclass::text from ingest.refused_reading where tableoid = 'ingest.refused_reading_default'::regclass) fallen
where $1::integer is null or $1 > 0

-- name: verify_points
-- The usage points that were ever read, with what they stand at.
select p.company_id, p.num, p.channel_num, p.epoch, p.last_at, p.last_value, p.stopped_since is not null, q.usage_point_num is not null,
       p.state, exists (select from billing.rated_version r where r.company_id = p.company_id and r.usage_point_num = p.num and r.run_num is not null)
from billing.point p left join billing.replay_request q on q.usage_point_num = p.num
where $1::integer is null or p.company_id = $1
order by p.num

-- name: verify_point_charges
select c.id, c.kind, c.account_num, c.channel_num, c.epoch, c.from_at, c.to_at, c.from_value, c.to_value, c.quantity, c.amount_micro,
       c.tariff_version_num
from billing.charge c where c.usage_point_num = $1 and c.cause <> 3 order by c.kind, c.from_at, c.id

-- name: verify_claimed_records
-- How many records the blocks hold that were claimed in the last two days.
select coalesce(sum(b.record_count), 0)::bigint
from billing.block_claim k join ingest.reading_block b on b.partition = k.partition and b.id = k.block_id
where k.claimed_at > $1::timestamptz - interval '2 days'

-- name: verify_incomplete_blocks
-- Blocks claimed in the last two days of which a record was neither stored nor set aside, with the numbers of those that were.
with kept as (
    select r.block_id, r.record_no from billing.reading r where r.booked_at > $1::timestamptz - interval '3 days'
    union select q.block_id, q.record_no from billing.quarantine q where q.created_at > $1::timestamptz - interval '3 days'
    union select d.block_id, d.record_no from billing.dead_letter d where d.created_at > $1::timestamptz - interval '3 days'),
counted as (select block_id, count(*) as n, array_agg(record_no::integer) as numbers from kept group by block_id)
select b.id, b.records, coalesce(c.numbers, array[]::integer[])
from billing.block_claim k join ingest.reading_block b on b.partition = k.partition and b.id = k.block_id
left join counted c on c.block_id = b.id
where k.claimed_at > $1::timestamptz - interval '2 days' and coalesce(c.n, 0) <> b.record_count

-- name: verify_lost_records
-- Which of these readings are stored under no block: a repetition is stored already, with the same value.
select w.ordinal
from unnest($1::integer[], $2::bigint[], $3::smallint[], $4::timestamptz[], $5::bigint[]) as w (ordinal, channel_num, register, read_at, value)
where not exists (select from billing.reading r
                  where r.channel_num = w.channel_num and r.read_at = w.read_at and r.register = w.register and r.value = w.value)

-- name: verify_closes
-- What closed tier windows is what their rows say was posted, and nothing else.
with charged as (
    select c.usage_point_num, c.account_num, c.from_at, sum(c.amount_micro)::bigint as amount, count(*) filter (where c.kind = 2) as firsts
    from billing.charge c where c.cause = 3 and ($1::integer is null or c.company_id = $1)
    group by c.usage_point_num, c.account_num, c.from_at),
compared as (
    select coalesce(w.usage_point_num, c.usage_point_num) as num, coalesce(w.window_from, c.from_at) as window_from,
           coalesce(w.posted_micro, 0) as posted, coalesce(c.amount, 0) as amount, coalesce(c.firsts, 0) as firsts
    from (select * from billing.window_close where $1::integer is null or company_id = $1) w
    full join charged c
        on c.usage_point_num = w.usage_point_num and c.account_num = w.account_num and c.from_at = w.window_from)
select count(*), count(*) filter (where posted <> amount or firsts > 1),
       min(format('usage point %s, window from %s: posted %s, charged %s in %s closes', num, window_from, posted, amount, firsts))
           filter (where posted <> amount or firsts > 1)
from compared

-- name: verify_point_windows
select w.account_num, w.window_from, w.state, w.requested_at is not null, w.posted_micro
from billing.window_close w where w.usage_point_num = $1 order by w.window_from, w.account_num

-- name: verify_meter_credit
-- What a removed meter had left is in the purse, the rest of its books against adjustment, and nothing is left in them.
with moved as (
    select t.company_id, t.source_num,
           coalesce(sum(t.amount_micro) filter (where t.debit_class = 4 and t.credit_class = 1), 0)::bigint as to_purse,
           (coalesce(sum(t.amount_micro) filter (where t.debit_class = 4 and t.credit_class = 9), 0)
            - coalesce(sum(t.amount_micro) filter (where t.debit_class = 9 and t.credit_class = 4), 0))::bigint as to_adjustment
    from billing.transfer t where t.kind = 6 and (t.debit_class = 4 or t.credit_class = 4) and ($1::integer is null or t.company_id = $1)
    group by t.company_id, t.source_num),
books as (
    select u.company_id, u.num, sum(u.amount)::bigint as amount
    from (select t.company_id, t.credit_num as num, t.amount_micro as amount from billing.transfer t
          where t.credit_class = 4 and ($1::integer is null or t.company_id = $1)
          union all
          select t.company_id, t.debit_num, -t.amount_micro from billing.transfer t
          where t.debit_class = 4 and ($1::integer is null or t.company_id = $1)) u
    group by u.company_id, u.num),
compared as (
    select r.num, r.credit_micro, r.difference_micro, coalesce(m.to_purse, 0) as to_purse, coalesce(m.to_adjustment, 0) as to_adjustment,
           coalesce(b.amount, 0) as left_over
    from core.meter_replacement r
    left join moved m on m.company_id = r.company_id and m.source_num = r.num
    left join books b on b.company_id = r.company_id and b.num = r.old_channel_num
    where $1::integer is null or r.company_id = $1)
select count(*), count(*) filter (where credit_micro <> to_purse or difference_micro <> to_adjustment or left_over <> 0),
       min(format('replacement %s carried %s and %s, booked are %s and %s, left over %s', num, credit_micro, difference_micro, to_purse,
                  to_adjustment, left_over))
           filter (where credit_micro <> to_purse or difference_micro <> to_adjustment or left_over <> 0),
       coalesce(sum(credit_micro), 0)::bigint, coalesce(sum(to_purse), 0)::bigint
from compared

-- name: verify_paid_orders
-- A paid order has one credit, of its amount, into its purse; what no order paid for has none.
with orders as (
    select o.company_id, o.number, o.num, o.amount_micro, o.purse_num, o.currency from payments.payment_order o
    where o.state in ('paid', 'paid_late') and ($1::integer is null or o.company_id = $1)),
credits as (
    select p.company_id, p.key, t.amount_micro, t.credit_num, t.currency
    from billing.posting p cross join lateral unnest(p.transfer_ids) as u (id)
    join billing.transfer t on t.id = u.id and t.company_id = p.company_id
    where p.source = 'payment' and ($1::integer is null or p.company_id = $1)),
compared as (
    select coalesce(o.number, c.key) as number, count(o.num) as orders, count(c.key) as credits,
           bool_and(o.amount_micro = c.amount_micro and o.purse_num = c.credit_num and o.currency = c.currency) as fits
    from orders o full join credits c on c.company_id = o.company_id and c.key = o.number
    group by coalesce(o.company_id, c.company_id), coalesce(o.number, c.key))
select count(*), count(*) filter (where orders <> 1 or credits <> 1 or not fits),
       min(format('order %s is paid %s times and credited %s times%s', number, orders, credits,
                  case when fits then '' else ', or in another amount or purse' end))
           filter (where orders <> 1 or credits <> 1 or not fits)
from compared

-- name: verify_clearing
-- What a channel owes a legal entity by the ledger is what payments know: paid, less refunded and on its way, with suspense.
with told as (
    select o.company_id, o.legal_entity_num as entity, o.currency, o.amount_micro as amount from payments.payment_order o
    where o.state in ('paid', 'paid_late')
    union all
    select o.company_id, o.legal_entity_num, r.currency, -r.amount_micro
    from payments.refund r join payments.payment_order o on o.company_id = r.company_id and o.num = r.order_num
    where r.state not in ('refused', 'failed')
    union all
    select s.company_id, s.legal_entity_num, s.currency, case when s.is_received then s.amount_micro else -s.amount_micro end
    from payments.suspense s where s.state <> 'returned'),
booked as (
    select t.company_id, t.debit_num as entity, t.currency, t.amount_micro as amount from billing.transfer t where t.debit_class = 6 and t.kind <> 1
    union all
    select t.company_id, t.credit_num, t.currency, -t.amount_micro from billing.transfer t where t.credit_class = 6 and t.kind <> 1),
compared as (
    select company_id, entity, currency, sum(amount) filter (where side = 1) as told, sum(amount) filter (where side = 2) as booked
    from (select 1 as side, * from told union all select 2, * from booked) both_sides
    where $1::integer is null or company_id = $1
    group by company_id, entity, currency)
select count(*), count(*) filter (where coalesce(told, 0) <> coalesce(booked, 0)),
       min(format('clearing of legal entity %s holds %s by the ledger and %s by its payments', entity, coalesce(booked, 0), coalesce(told, 0)))
           filter (where coalesce(told, 0) <> coalesce(booked, 0))
from compared
