-- name: bench_charging_company
insert into core.company (id, code, name, created_at)
values (gen_random_uuid(), 'bench-' || substr(md5(clock_timestamp()::text), 1, 12), 'Bench', clock_timestamp()) returning company_id

-- name: bench_charging_property
insert into core.property (company_id, id, code, name, time_zone, currency, calendar_name, partition, alarm_1_micro, alarm_2_micro, created_at)
values ($1, gen_random_uuid(), 'p', 'P', 'Asia/Shanghai', 'CNY', 'none', $2, 0, -1000000, clock_timestamp()) returning num

-- name: bench_charging_seller
with entity as (insert into core.legal_entity (company_id, id, name) values ($1, gen_random_uuid(), 'Seller') returning num)
insert into core.property_seller (company_id, property_num, item, legal_entity_num) select $1, $2, 'electricity', num from entity

-- name: bench_charging_room
with building as (
    insert into core.place (company_id, id, property_num, kind, name) values ($1, gen_random_uuid(), $2, 'building', 'B') returning num)
select num from building

-- name: bench_charging_agreement
with customer as (insert into core.customer (company_id, id, kind, name) values ($1, gen_random_uuid(), 'firm', 'F') returning num)
insert into core.agreement (company_id, id, property_num, customer_num, number, class, starts_on)
select $1, gen_random_uuid(), $2, num, 'A', 'shop', '2020-01-01' from customer returning num

-- name: bench_charging_tariff
with one as (
    insert into core.tariff (company_id, id, code, name, utility) values ($1, gen_random_uuid(), 'bench', 'Bench', 'electricity') returning num),
version as (
    insert into core.tariff_version (company_id, id, tariff_num, version, effective_from, document, sha256, published_at)
    select $1, gen_random_uuid(), num, 1, '2020-01-01', $3::text, sha256(convert_to($3::text, 'UTF8')), '2020-01-01' from one)
insert into core.tariff_assignment (company_id, property_num, utility, tariff_num, from_at, known_at)
select $1, $2, 'electricity', num, '2020-01-01', '2020-01-01' from one

-- name: bench_charging_gateway
with model as (
    insert into core.meter_model (id, code, maker, name, utility, protocol, channels, register_max, switch_kind)
    values (gen_random_uuid(), 'bench-' || $1::integer::text, 'M', 'M', 'electricity', 'push', 1, 1000000000, 'relay') returning num),
gateway as (
    insert into core.gateway (company_id, id, property_num, name, kind, key_id, secret_sealed, max_meters)
    values ($1, gen_random_uuid(), $2, 'G', 'http_push', 'bench-' || $1::integer::text, decode('00', 'hex'), 256) returning num)
select model.num, gateway.num from model, gateway

-- name: bench_charging_port
insert into core.gateway_port (company_id, gateway_num, port) values ($1, $2, 1)

-- name: bench_charging_points
-- $3 room, $4 agreement, $5 model, $6 gateway, $7 how many, $8 since when.
with n as (select generate_series(1, $7::integer) as i),
meter as (
    insert into core.meter (company_id, id, property_num, gateway_num, port, bus_address, model_num, serial, installed_at)
    select $1, gen_random_uuid(), $2, $6, 1, i::text, $5, i::text, $8 from n returning num, bus_address::integer as i),
channel as (
    insert into core.channel (company_id, id, meter_num) select $1, gen_random_uuid(), num from meter returning num, meter_num),
point as (
    insert into core.usage_point (company_id, id, property_num, place_num, utility, name)
    select $1, gen_random_uuid(), $2, $3, 'electricity', i::text from n returning num, name::integer as i),
account as (
    insert into core.account (company_id, id, property_num, agreement_num, number, opened_at)
    select $1, gen_random_uuid(), $2, $4, i::text, $8 from n returning num, number::integer as i),
purse as (
    insert into core.purse (company_id, id, account_num, purpose, currency, alarm_1_micro, alarm_2_micro, overdraft_micro)
    select $1, gen_random_uuid(), num, 'electricity', 'CNY', -1000000000000, -1000000000001, 2000000000000 from account returning num, account_num),
installed as (
    insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value)
    select $1, c.num, p.num, $8, 0 from channel c join meter m on m.num = c.meter_num join point p on p.i = m.i returning channel_num)
insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at)
select $1, p.num, a.num, u.num, $8 from point p join account a on a.i = p.i join purse u on u.account_num = a.num

-- name: bench_charging_channels
select c.num from core.channel_installation i join core.channel c on c.company_id = i.company_id and c.num = i.channel_num
where i.company_id = $1 order by c.num

-- name: bench_charging_analyze
analyze core.usage_point, core.channel, core.channel_installation, core.usage_point_account, core.purse, core.account, core.meter

-- name: bench_charging_vacuum_points
vacuum (analyze) billing.point

-- name: bench_charging_vacuum_purses
vacuum (analyze) billing.purse

-- name: bench_charging_journal
insert into ingest.reading_block (partition, id, received_at, record_count, records)
select $1, b.id, $4, length(b.records) / 32, b.records from unnest($2::bigint[], $3::bytea[]) as b (id, records)

-- name: bench_charging_unclaimed
select count(*) from ingest.reading_block b
where b.partition = $1 and not exists (select from billing.block_claim c where c.partition = b.partition and c.block_id = b.id)

-- name: bench_charging_worker
-- The server process of the one billing worker.
select a.pid from pg_stat_activity a where a.application_name = 'penstock-billing/billing' and a.datname = current_database()

-- name: bench_charging_counts
select (select count(*) from billing.reading where booked_at >= $1), (select count(*) from billing.charge where booked_at >= $1),
       (select count(*) from billing.transfer where booked_at >= $1)

-- name: bench_charging_set_aside
select (select count(*) from billing.quarantine) + (select count(*) from billing.dead_letter)

-- name: bench_charging_readings
select company_id, channel_num, epoch, register, quality, flags, read_at, value, block_id, record_no, booked_at
from billing.reading where booked_at >= $1

-- name: bench_charging_charges
select id, company_id, usage_point_num, account_num, purse_num, channel_num, epoch, kind, cause, cause_record, cause_num, from_at, to_at,
       from_value, to_value, quantity, amount_micro, tariff_version_num, booked_at
from billing.charge where booked_at >= $1

-- name: bench_charging_transfers
select id, company_id, kind, debit_class, debit_item, credit_class, credit_item, debit_num, credit_num, amount_micro, source_num,
       booked_at, effective_at, currency
from billing.transfer where booked_at >= $1

-- name: bench_charging_floor_drop
drop table if exists floor.charging_reading, floor.charging_charge, floor.charging_transfer

-- name: bench_charging_floor_schema
create schema if not exists floor

-- name: bench_charging_floor_reading
create table floor.charging_reading (company_id integer, channel_num bigint, epoch integer, register smallint, quality smallint, flags smallint,
    read_at timestamptz, value bigint, block_id bigint, record_no smallint, booked_at timestamptz)

-- name: bench_charging_floor_charge
create table floor.charging_charge (id bigint, company_id integer, usage_point_num bigint, account_num bigint, purse_num bigint,
    channel_num bigint, epoch integer, kind smallint, cause smallint, cause_record smallint, cause_num bigint, from_at timestamptz,
    to_at timestamptz, from_value bigint, to_value bigint, quantity bigint, amount_micro bigint, tariff_version_num bigint, booked_at timestamptz)

-- name: bench_charging_floor_transfer
create table floor.charging_transfer (id bigint, company_id integer, kind smallint, debit_class smallint, debit_item smallint,
    credit_class smallint, credit_item smallint, debit_num bigint, credit_num bigint, amount_micro bigint, source_num bigint,
    booked_at timestamptz, effective_at timestamptz, currency text)

-- name: bench_charging_copy_reading
copy floor.charging_reading from stdin (format binary)

-- name: bench_charging_copy_charge
copy floor.charging_charge from stdin (format binary)

-- name: bench_charging_copy_transfer
copy floor.charging_transfer from stdin (format binary)

-- name: bench_naive_claim
insert into billing.block_claim (partition, block_id, xid, claimed_at) values ($1, $2, pg_current_xact_id(), $3)

-- name: bench_naive_config
select seq from core.change_seq where company_id = $1

-- name: bench_naive_point
select state, last_value, purse_num, account_num from billing.point where num = $1 for update

-- name: bench_naive_reading
insert into billing.reading (company_id, channel_num, epoch, register, quality, flags, read_at, value, block_id, record_no, booked_at)
values ($1, $2, 0, 0, 0, 0, $3, $4, 0, 0, $5)

-- name: bench_naive_charge
insert into billing.charge (id, company_id, usage_point_num, account_num, purse_num, channel_num, epoch, kind, cause, cause_record, cause_num,
    from_at, to_at, from_value, to_value, quantity, amount_micro, tariff_version_num, booked_at)
values ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, $7, $7, $8, $8, 10, 10000, 1, $9)

-- name: bench_naive_transfer
insert into billing.transfer (id, company_id, kind, debit_class, debit_item, credit_class, credit_item, debit_num, credit_num, amount_micro,
    source_num, booked_at, effective_at, currency)
values ($1, $2, 1, 1, 0, 5, 1, $3, 1, 10000, 0, $4, $4, 'CNY')

-- name: bench_naive_move
update billing.point set last_at = $2, last_value = $3, state = $4 where num = $1

-- name: bench_naive_purse
update billing.purse set balance_micro = balance_micro - 10000, updated_at = $2,
    level = billing.credit_level(balance_micro - 10000, alarm_1_micro, alarm_2_micro, overdraft_micro)
where num = $1
returning balance_micro, level, level_version

-- name: bench_naive_points
select p.num, p.channel_num from billing.point p where p.company_id = $1 order by p.num limit $2
