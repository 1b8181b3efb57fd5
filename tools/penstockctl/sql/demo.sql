-- The demo, written set by set: parents are found by the ids the plan gave them.

-- name: demo_lock
-- One demo load at a time; ends with the transaction.
select pg_advisory_xact_lock(7000, 1)

-- name: demo_months
-- Where the packed days of the history will lie.
select penstock.ensure_day_months($1, $2)

-- name: demo_loaded
-- What was loaded, from the audit trail: plan version, meters, days, seed, end of the history.
select (a.detail ->> 'plan')::bigint, (a.detail ->> 'meters')::bigint, (a.detail ->> 'days')::bigint, (a.detail ->> 'seed')::bigint,
       (a.detail ->> 'end_at')::timestamptz
from core.audit a where a.action = 'demo_load' order by a.num limit 1

-- name: demo_audit
insert into core.audit (company_id, at, actor, action, subject_kind, detail)
values ($1, $2, 'penstockctl', 'demo_load', 'platform',
        jsonb_build_object('plan', $3::bigint, 'meters', $4::bigint, 'days', $5::bigint, 'seed', $6::bigint, 'end_at', $7::timestamptz))

-- name: demo_entities
insert into core.legal_entity (company_id, id, name, tax_id, bank_account)
select * from unnest($1::integer[], $2::uuid[], $3::text[], $4::text[], $5::text[])

-- name: demo_properties
-- Partitions in turn, behind those that are taken.
insert into core.property (company_id, id, code, name, time_zone, currency, calendar_name, partition, poll_interval_s,
                           alarm_1_micro, alarm_2_micro, created_at)
select u.company_id, u.id, u.code, u.name, 'Asia/Shanghai', 'CNY', 'cn-public',
       ((select count(*) from core.property) + u.ordinality - 1) % $8, u.poll_interval_s, u.alarm_1, u.alarm_2, $9
from unnest($1::integer[], $2::uuid[], $3::text[], $4::text[], $5::integer[], $6::bigint[], $7::bigint[])
     with ordinality as u (company_id, id, code, name, poll_interval_s, alarm_1, alarm_2, ordinality)

-- name: demo_property_partitions
select id, partition from core.property where company_id = any ($1) and id = any ($2)

-- name: demo_sellers
insert into core.property_seller (company_id, property_num, item, legal_entity_num)
select u.company_id, p.num, 'electricity', e.num
from unnest($1::integer[], $2::uuid[], $3::uuid[]) as u (company_id, property_id, entity_id)
join core.property p on p.company_id = u.company_id and p.id = u.property_id
join core.legal_entity e on e.company_id = u.company_id and e.id = u.entity_id

-- name: demo_places
-- One level of the tree at a time.
insert into core.place (company_id, id, property_num, parent_num, kind, name, sort)
select u.company_id, u.id, p.num, parent.num, u.kind, u.name, u.sort
from unnest($1::integer[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::integer[])
     as u (company_id, id, property_id, parent_id, kind, name, sort)
join core.property p on p.company_id = u.company_id and p.id = u.property_id
left join core.place parent on parent.company_id = u.company_id and parent.id = u.parent_id

-- name: demo_customers
insert into core.customer (company_id, id, kind, name, phone)
select * from unnest($1::integer[], $2::uuid[], $3::text[], $4::text[], $5::text[])

-- name: demo_agreements
insert into core.agreement (company_id, id, property_num, customer_num, number, class, heads, area_milli_m2, starts_on)
select u.company_id, u.id, p.num, c.num, u.number, u.class, u.heads, u.area, $9
from unnest($1::integer[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::integer[], $8::bigint[])
     as u (company_id, id, property_id, customer_id, number, class, heads, area)
join core.property p on p.company_id = u.company_id and p.id = u.property_id
join core.customer c on c.company_id = u.company_id and c.id = u.customer_id

-- name: demo_agreement_rooms
insert into core.agreement_room (company_id, agreement_num, place_num)
select u.company_id, a.num, p.num
from unnest($1::integer[], $2::uuid[], $3::uuid[]) as u (company_id, agreement_id, place_id)
join core.agreement a on a.company_id = u.company_id and a.id = u.agreement_id
join core.place p on p.company_id = u.company_id and p.id = u.place_id

-- name: demo_accounts
insert into core.account (company_id, id, property_num, agreement_num, number, opened_at)
select u.company_id, u.id, a.property_num, a.num, u.number, $5
from unnest($1::integer[], $2::uuid[], $3::uuid[], $4::text[]) as u (company_id, id, agreement_id, number)
join core.agreement a on a.company_id = u.company_id and a.id = u.agreement_id

-- name: demo_purses
-- With the thresholds of their property.
insert into core.purse (company_id, id, account_num, purpose, currency, alarm_1_micro, alarm_2_micro)
select u.company_id, u.id, a.num, 'electricity', p.currency, p.alarm_1_micro, p.alarm_2_micro
from unnest($1::integer[], $2::uuid[], $3::uuid[]) as u (company_id, id, account_id)
join core.account a on a.company_id = u.company_id and a.id = u.account_id
join core.property p on p.company_id = a.company_id and p.num = a.property_num

-- name: demo_usage_points
insert into core.usage_point (company_id, id, property_num, place_num, utility, name, rated_power_w, never_cut)
select u.company_id, u.id, p.property_num, p.num, 'electricity', u.name, u.rated_power_w, u.never_cut
from unnest($1::integer[], $2::uuid[], $3::uuid[], $4::text[], $5::integer[], $6::boolean[])
     as u (company_id, id, place_id, name, rated_power_w, never_cut)
join core.place p on p.company_id = u.company_id and p.id = u.place_id

-- name: demo_holders
insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at)
select u.company_id, up.num, pu.account_num, pu.num, $4
from unnest($1::integer[], $2::uuid[], $3::uuid[]) as u (company_id, usage_point_id, purse_id)
join core.usage_point up on up.company_id = u.company_id and up.id = u.usage_point_id
join core.purse pu on pu.company_id = u.company_id and pu.id = u.purse_id

-- name: demo_meter_models
-- Registers of eight digits with two decimals end before 1 000 000 kWh.
insert into core.meter_model (id, code, maker, name, utility, protocol, channels, register_max, switch_kind)
select id, code, 'Penstock', name, 'electricity', protocol, 1, 1000000000, 'relay'
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as u (id, code, name, protocol)
on conflict (code) do nothing

-- name: demo_gateways
insert into core.gateway (company_id, id, property_num, name, kind, registration, key_id, secret_sealed)
select u.company_id, u.id, p.num, u.name, u.kind, u.registration, u.key_id, u.secret
from unnest($1::integer[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[])
     as u (company_id, id, property_id, name, kind, registration, key_id, secret)
join core.property p on p.company_id = u.company_id and p.id = u.property_id

-- name: demo_gateway_ports
insert into core.gateway_port (company_id, gateway_num, port)
select g.company_id, g.num, 1 from core.gateway g where g.company_id = any ($1) and g.id = any ($2)

-- name: demo_meters
insert into core.meter (company_id, id, property_num, gateway_num, bus_address, model_num, serial, password_sealed, installed_at)
select u.company_id, u.id, g.property_num, g.num, u.address, m.num, u.address, u.password, $7
from unnest($1::integer[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bytea[])
     as u (company_id, id, gateway_id, address, model, password)
join core.gateway g on g.company_id = u.company_id and g.id = u.gateway_id
join core.meter_model m on m.code = u.model

-- name: demo_channels
insert into core.channel (company_id, id, meter_num, ratio_num)
select u.company_id, u.id, m.num, u.ratio
from unnest($1::integer[], $2::uuid[], $3::uuid[], $4::integer[]) as u (company_id, id, meter_id, ratio)
join core.meter m on m.company_id = u.company_id and m.id = u.meter_id

-- name: demo_installations
insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value)
select u.company_id, c.num, up.num, $5, u.opening
from unnest($1::integer[], $2::uuid[], $3::uuid[], $4::bigint[]) as u (company_id, channel_id, usage_point_id, opening)
join core.channel c on c.company_id = u.company_id and c.id = u.channel_id
join core.usage_point up on up.company_id = u.company_id and up.id = u.usage_point_id

-- name: demo_tariffs
insert into core.tariff (company_id, id, code, name, utility)
select u.company_id, u.id, u.code, u.name, 'electricity'
from unnest($1::integer[], $2::uuid[], $3::text[], $4::text[]) as u (company_id, id, code, name)

-- name: demo_tariff_versions
insert into core.tariff_version (company_id, id, tariff_num, version, effective_from, document, sha256, published_at)
select u.company_id, u.id, t.num, 1, $6, u.document, u.sha256, $6
from unnest($1::integer[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[]) as u (company_id, id, tariff_id, document, sha256)
join core.tariff t on t.company_id = u.company_id and t.id = u.tariff_id

-- name: demo_property_tariffs
insert into core.tariff_assignment (company_id, property_num, utility, tariff_num, from_at, known_at)
select u.company_id, p.num, 'electricity', t.num, $4, $4
from unnest($1::integer[], $2::uuid[], $3::uuid[]) as u (company_id, property_id, tariff_id)
join core.property p on p.company_id = u.company_id and p.id = u.property_id
join core.tariff t on t.company_id = u.company_id and t.id = u.tariff_id

-- name: demo_usage_point_tariffs
insert into core.tariff_assignment (company_id, property_num, usage_point_num, utility, tariff_num, from_at, known_at)
select u.company_id, up.property_num, up.num, 'electricity', t.num, $4, $4
from unnest($1::integer[], $2::uuid[], $3::uuid[]) as u (company_id, usage_point_id, tariff_id)
join core.usage_point up on up.company_id = u.company_id and up.id = u.usage_point_id
join core.tariff t on t.company_id = u.company_id and t.id = u.tariff_id

-- name: demo_calendar_days
insert into core.calendar_day (calendar_name, day, kind, name)
select 'cn-public', u.day, u.kind, u.name from unnest($1::date[], $2::text[], $3::text[]) as u (day, kind, name)
on conflict (calendar_name, day) do nothing

-- name: demo_operators
insert into core.operator (company_id, id, login, name, password_hash)
select * from unnest($1::integer[], $2::uuid[], $3::text[], $4::text[], $5::text[])

-- name: demo_operator_roles
insert into core.operator_role (company_id, operator_num, role)
select o.company_id, o.num, u.role
from unnest($1::integer[], $2::uuid[], $3::text[]) as u (company_id, operator_id, role)
join core.operator o on o.company_id = u.company_id and o.id = u.operator_id

-- name: demo_channel_nums
-- What history needs to know of each usage point, in no order.
select c.id, c.num, ci.usage_point_num
from core.channel c join core.channel_installation ci on ci.company_id = c.company_id and ci.channel_num = c.num
where c.company_id = any ($1) and c.id = any ($2)

-- name: demo_block_copy
copy ingest.reading_block (partition, id, received_at, record_count, records) from stdin (format binary)

-- name: demo_sales
-- Counter sales: the seller's cash to the purse, one posting each.
select count(*)
from (select billing.post_transfers($1, 'counter', u.key, $2,
             array[row(u.id, 2, 7, s.legal_entity_num, 0, 1, p.num, 0, p.currency, u.amount, 0, u.effective_at, null, 'demo')
                   ::billing.transfer_request]) as posted
      from unnest($3::bigint[], $4::text[], $5::uuid[], $6::bigint[], $7::timestamptz[]) as u (id, key, purse_id, amount, effective_at)
      join core.purse p on p.company_id = $1 and p.id = u.purse_id
      join core.account a on a.company_id = $1 and a.num = p.account_num
      join core.property_seller s on s.company_id = $1 and s.property_num = a.property_num and s.item = 'electricity'
      order by p.num, u.effective_at) sold
where posted

-- name: demo_credentials
-- How gateways log in, by company and name.
select c.code, g.name, g.company_id, g.id, g.registration, g.key_id, g.secret_sealed
from core.gateway g join core.company c on c.company_id = g.company_id
where c.code = any ($1)
