-- What the tests of setups find in core: two companies with numbers known to the program. Every test rolls back.

-- name: test_site
do $site$
declare
    company integer;
    p record;
    line jsonb := '[{"name": "energy", "kind": "quantity", "prices": {"flat": ["0.6"]}}]';
    document jsonb := jsonb_build_object('code', 'a', 'utility', 'electricity', 'unit', 'kWh', 'currency', 'CNY', 'time_zone', 'Asia/Shanghai',
        'effective_from', '2025-12-01T00:00:00+08:00', 'lines', line, 'rounding', '{"mode": "half_up", "scale": 2, "at": "total"}'::jsonb);
    holidays jsonb := document || '{"calendar_name": "test", "periods": ["plain", "feast"],
        "calendar": [{"from": "01-01", "to": "12-31", "days": ["holiday"], "bands": [{"from": "00:00", "to": "24:00", "period": "feast"}]},
                     {"from": "01-01", "to": "12-31", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "workday"],
                      "bands": [{"from": "00:00", "to": "24:00", "period": "plain"}]}],
        "lines": [{"name": "energy", "kind": "quantity", "prices": {"plain": ["0.6"], "feast": ["0.3"]}}]}';
begin
    insert into core.calendar_day (calendar_name, day, kind, name) values
        ('test', '2026-05-01', 'holiday', 'a'), ('test', '2026-05-04', 'holiday', 'b'), ('test', '2026-05-09', 'workday', 'c');
    insert into core.meter_model (num, id, code, maker, name, utility, protocol, channels, register_max, period_registers, switch_kind)
    overriding system value values
        (71, gen_random_uuid(), 'test-push', 'M', 'push', 'electricity', 'push', 1, 1000000000, '{}', 'none'),
        (72, gen_random_uuid(), 'test-bus', 'M', 'bus', 'electricity', 'dlt645_2007', 1, 100000000, '{peak,flat,valley}', 'relay');
    foreach company in array array[8001, 8002] loop
        insert into core.company (company_id, id, code, name, created_at) overriding system value
        values (company, gen_random_uuid(), 'c' || company, 'C', '2026-01-01');
        insert into core.legal_entity (company_id, num, id, name) overriding system value values (company, company, gen_random_uuid(), 'E');
        insert into core.customer (company_id, num, id, kind, name) overriding system value values (company, company, gen_random_uuid(), 'firm', 'F');
    end loop;
    -- Properties 11… of company 8001, 21 of company 8002; each with one room, one usage point of the same number + 100,
    -- and tariff version number + 200 from 2026-01-01.
    for p in select * from (values
        (8001, 11, 'Asia/Shanghai', 'CNY', true, document),
        (8001, 12, 'Asia/Shanghai', 'QQQ', true, document),
        (8001, 13, 'Asia/Shanghai', 'CNY', true, document - 'lines'),
        (8001, 14, 'Mars/Olympus', 'CNY', true, document),
        (8001, 15, 'Asia/Shanghai', 'CNY', false, document),
        (8001, 16, 'Asia/Shanghai', 'USD', true, document),
        (8001, 17, 'Asia/Shanghai', 'CNY', true, holidays),
        (8001, 18, 'Asia/Shanghai', 'CNY', true, holidays),
        (8001, 19, 'Asia/Shanghai', 'CNY', true, null),
        (8002, 21, 'Asia/Shanghai', 'CNY', true, document)) as v (company, num, zone, currency, is_sold, document)
    loop
        insert into core.property (company_id, num, id, code, name, time_zone, currency, calendar_name, partition, alarm_1_micro, alarm_2_micro, created_at)
        overriding system value values (p.company, p.num, gen_random_uuid(), 'p' || p.num, 'P', p.zone, p.currency, 'test', 5, 0, 0, '2026-01-01');
        if p.is_sold then
            insert into core.property_seller (company_id, property_num, item, legal_entity_num) values (p.company, p.num, 'electricity', p.company);
        end if;
        insert into core.place (company_id, num, id, property_num, kind, name) overriding system value
        values (p.company, p.num, gen_random_uuid(), p.num, 'building', 'B');
        insert into core.agreement (company_id, num, id, property_num, customer_num, number, class, starts_on) overriding system value
        values (p.company, p.num, gen_random_uuid(), p.num, p.company, 'A', 'shop', '2026-01-01');
        insert into core.account (company_id, num, id, property_num, agreement_num, number, opened_at) overriding system value
        values (p.company, p.num + 300, gen_random_uuid(), p.num, p.num, '1', '2026-01-01');
        insert into core.purse (company_id, num, id, account_num, purpose, currency, alarm_1_micro, alarm_2_micro) overriding system value
        values (p.company, p.num + 400, gen_random_uuid(), p.num + 300, 'electricity', p.currency, 0, 0);
        insert into core.usage_point (company_id, num, id, property_num, place_num, utility, name, rated_power_w) overriding system value
        values (p.company, p.num + 100, gen_random_uuid(), p.num, p.num, 'electricity', 'U', 20000);
        insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at)
        values (p.company, p.num + 100, p.num + 300, p.num + 400, '2026-01-01 00:00+00');
        insert into core.gateway (company_id, num, id, property_num, name, kind, key_id, secret_sealed) overriding system value
        values (p.company, p.num, gen_random_uuid(), p.num, 'G', 'http_push', 'test-' || p.num, decode('00', 'hex'));
        insert into core.gateway_port (company_id, gateway_num, port) values (p.company, p.num, 1);
        insert into core.meter (company_id, num, id, property_num, gateway_num, bus_address, model_num, serial, installed_at) overriding system value
        values (p.company, p.num, gen_random_uuid(), p.num, p.num, '1', 71, '1', '2026-01-01');
        insert into core.channel (company_id, num, id, meter_num) overriding system value values (p.company, p.num + 500, gen_random_uuid(), p.num);
        insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value)
        values (p.company, p.num + 500, p.num + 100, '2026-01-01 00:00+00', 1000);
        continue when p.document is null;
        insert into core.tariff (company_id, num, id, code, name, utility) overriding system value
        values (p.company, p.num + 600, gen_random_uuid(), 't' || p.num, 'T', 'electricity');
        insert into core.tariff_version (company_id, num, id, tariff_num, version, effective_from, document, sha256, published_at) overriding system value
        values (p.company, p.num + 200, gen_random_uuid(), p.num + 600, 1, '2026-01-01 00:00+00', p.document, sha256(''), '2026-01-01');
        insert into core.tariff_assignment (company_id, property_num, utility, tariff_num, from_at, known_at)
        values (p.company, p.num, 'electricity', p.num + 600, '2026-01-01 00:00+00', '2026-01-01');
    end loop;
    -- Property 18 keeps its own calendar: one holiday of the platform is normal, another day is a holiday of its own.
    insert into core.property_calendar_day (company_id, property_num, day, kind) values
        (8001, 18, '2026-05-01', 'normal'), (8001, 18, '2026-05-05', 'holiday'), (8001, 18, '2026-05-09', 'holiday');
end $site$

-- name: test_tariffs
-- In property 11: tariff 651 beside 611, and a second usage point 1111 with an assignment of its own.
do $more$
declare
    document text := (select v.document from core.tariff_version v where v.num = 211);
begin
    insert into core.tariff (company_id, num, id, code, name, utility) overriding system value values (8001, 651, gen_random_uuid(), 'other', 'T', 'electricity');
    insert into core.tariff_version (company_id, num, id, tariff_num, version, effective_from, document, sha256, published_at) overriding system value values
        (8001, 251, gen_random_uuid(), 651, 1, '2026-01-01 00:00+00', document, sha256(''), '2026-01-01'),
        (8001, 252, gen_random_uuid(), 651, 2, '2026-04-01 00:00+00', document, sha256(''), '2026-01-01'),
        (8001, 253, gen_random_uuid(), 651, 3, '2026-04-01 00:00+00', document, sha256(''), '2026-06-01'),
        (8001, 292, gen_random_uuid(), 611, 2, '2026-02-01 00:00+00', document, sha256(''), '2026-01-01');
    insert into core.tariff_assignment (company_id, property_num, usage_point_num, utility, tariff_num, from_at, known_at) values
        (8001, 11, null, 'electricity', 651, '2026-03-01 00:00+00', '2026-01-01'),
        (8001, 11, null, 'cold_water', 611, '2026-03-15 00:00+00', '2026-01-01'),
        (8001, 11, null, 'electricity', 611, '2026-05-01 00:00+00', '2026-06-01');
    insert into core.usage_point (company_id, num, id, property_num, place_num, utility, name, rated_power_w) overriding system value
    values (8001, 1111, gen_random_uuid(), 11, 11, 'electricity', 'own', 20000);
    insert into core.tariff_assignment (company_id, property_num, usage_point_num, utility, tariff_num, from_at, known_at)
    values (8001, 11, 1111, 'electricity', 611, '2026-02-15 00:00+00', '2026-01-01');
end $more$

-- name: test_replacement
-- In property 11 the meter is replaced on 2026-03-01 by one on the bus, behind a transformer; the holder changes then.
do $swap$
begin
    update core.channel_installation set to_at = '2026-03-01 00:00+00', closing_value = 5000 where channel_num = 511;
    update core.usage_point_account set to_at = '2026-03-01 00:00+00' where usage_point_num = 111;
    insert into core.meter (company_id, num, id, property_num, gateway_num, bus_address, model_num, serial, installed_at) overriding system value
    values (8001, 91, gen_random_uuid(), 11, 11, '2', 72, '2', '2026-03-01');
    insert into core.channel (company_id, num, id, meter_num, ratio_num, ratio_den) overriding system value values (8001, 591, gen_random_uuid(), 91, 30, 1);
    insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value)
    values (8001, 591, 111, '2026-03-01 00:00+00', 70);
    insert into core.account (company_id, num, id, property_num, agreement_num, number, opened_at) overriding system value
    values (8001, 391, gen_random_uuid(), 11, 11, '2', '2026-03-01');
    insert into core.purse (company_id, num, id, account_num, purpose, currency, alarm_1_micro, alarm_2_micro) overriding system value
    values (8001, 491, gen_random_uuid(), 391, 'electricity', 'CNY', 0, 0);
    insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at)
    values (8001, 111, 391, 491, '2026-03-02 00:00+00');
end $swap$

-- name: test_mend
-- The seller of property 15, by whom its usage point becomes usable; property 21 changes too.
do $mend$
begin
    insert into core.property_seller (company_id, property_num, item, legal_entity_num) values (8001, 15, 'electricity', 8001);
    delete from core.property_seller where company_id = 8002 and property_num = 21;
end $mend$

-- name: test_as_billing
set local role penstock_billing

-- name: test_as_owner
reset role

-- name: test_decided
-- Usage point 111, with the tariffs of test_tariffs: charged until 15 April, recharged in the middle of April from 10 March
-- on. Of tariff 611 an index month from 1 April: provisional, then final.
do $decided$
declare
    document jsonb := (select v.document::jsonb from core.tariff_version v where v.num = 211);
begin
    document := document || '{"lines": [{"name": "energy", "kind": "quantity", "prices": {"flat": [{"index": "grid", "plus": "0.1"}]}}]}';
    insert into core.tariff_version (company_id, num, id, tariff_num, version, effective_from, document, sha256, published_at, replaces_num)
    overriding system value values
        (8001, 294, gen_random_uuid(), 611, 3, '2026-04-01 00:00+08', document::text, sha256(''), '2026-04-10', null),
        (8001, 295, gen_random_uuid(), 611, 4, '2026-04-01 00:00+08', document::text, sha256(''), '2026-04-20', 294);
    insert into core.tariff_version_index (company_id, version_num, index_name, month, value_micro, is_provisional) values
        (8001, 294, 'grid', '2026-04-01', 400000, true), (8001, 295, 'grid', '2026-04-01', 431200, false);
    insert into billing.point (num, company_id, partition, channel_num, account_num, purse_num, epoch, last_at, last_value, day_start, state)
    values (111, 8001, 5, 511, 311, 411, 0, '2026-04-15 00:00+00', 2000, '2026-04-15 00:00+00', '');
    insert into billing.rated_version (company_id, usage_point_num, from_at, version_num, known_at, run_num) values
        (8001, 111, '2026-01-01 00:00+00', 211, '2026-01-02', null),
        (8001, 111, '2026-02-01 00:00+00', 292, '2026-02-02', null),
        (8001, 111, '2026-03-01 00:00+00', 251, '2026-03-02', null),
        (8001, 111, '2026-03-10 00:00+00', 292, '2026-04-12', 1),
        (8001, 111, '2026-04-05 00:00+00', 294, '2026-04-12', 1);
end $decided$
