// A company with as many usage points as asked for, written straight into core: 64 properties, one in each partition, and
// gateways that push over HTTP. Returns the fleet's configuration.
import { createCipheriv, randomBytes } from 'node:crypto';

const PROPERTIES = 64;
const METERS_PER_GATEWAY = 250;

// Five periods and three tiers over the month: the tariff the size and speed goals are told for.
const TARIFF = {
  code: 'load-tou',
  utility: 'electricity',
  unit: 'kWh',
  currency: 'CNY',
  time_zone: 'Asia/Shanghai',
  effective_from: '2024-01-01T00:00:00+08:00',
  periods: ['critical_peak', 'peak', 'flat', 'valley', 'deep_valley'],
  calendar: [
    {
      from: '01-01',
      to: '12-31',
      days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun', 'holiday'],
      bands: [
        { from: '22:00', to: '02:00', period: 'valley' },
        { from: '02:00', to: '06:00', period: 'deep_valley' },
        { from: '06:00', to: '08:00', period: 'flat' },
        { from: '08:00', to: '11:00', period: 'peak' },
        { from: '11:00', to: '17:00', period: 'flat' },
        { from: '17:00', to: '19:00', period: 'peak' },
        { from: '19:00', to: '21:00', period: 'critical_peak' },
        { from: '21:00', to: '22:00', period: 'peak' },
      ],
    },
  ],
  tiers: { over: 'month', kind: 'graduated', upper: ['200', '400'] },
  lines: [
    {
      name: 'energy',
      kind: 'quantity',
      prices: {
        critical_peak: ['1.1', '1.15', '1.4'],
        peak: ['1', '1.05', '1.3'],
        flat: ['0.85', '0.9', '1.15'],
        valley: ['0.6', '0.65', '0.9'],
        deep_valley: ['0.3', '0.35', '0.6'],
      },
    },
  ],
  rounding: { mode: 'half_up', scale: 2, at: 'total' },
};

// The sealed form of a secret as libs/crypto describes it.
function seal(masterKey, company, place, secret) {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', masterKey, nonce);
  const fixed = Buffer.alloc(8);
  fixed.writeUInt32BE(1, 0);
  fixed.writeUInt32BE(company, 4);
  cipher.setAAD(Buffer.concat([fixed, Buffer.from(place)]));
  const id = Buffer.alloc(4);
  id.writeUInt32BE(1, 0);
  return Buffer.concat([Buffer.from('P1'), id, nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
}

const address = (i) => String(300000000000 + i);
const startWh = (i) => 5000000 + i * 10;

async function insertOnce(client, points, from) {
  const one = async (text, values = []) => Number(Object.values((await client.query(text, values)).rows[0])[0]);
  const company = await one(
    `insert into core.company (id, code, name, quota_meters, quota_readings_per_s, created_at, change_seq)
     values (gen_random_uuid(), 'load', 'Load', 100000000, 10000000, $1, 1) returning company_id`,
    [from],
  );
  const c = [company];
  await client.query('insert into core.change_seq (company_id, seq) values ($1, 1)', c);
  await client.query(
    `insert into core.legal_entity (company_id, id, name, change_seq) values ($1, gen_random_uuid(), 'Load', 1)`, c);
  await client.query(
    `insert into core.property (company_id, id, code, name, time_zone, currency, calendar_name, partition, alarm_1_micro, alarm_2_micro,
                                created_at, change_seq)
     select $1, gen_random_uuid(), 'p' || i, 'Property ' || i, 'Asia/Shanghai', 'CNY', 'cn-public', i, 50000000, 20000000, $2, 1
     from generate_series(0, $3::int - 1) i`,
    [company, from, PROPERTIES],
  );
  await client.query(
    `insert into core.property_seller (company_id, property_num, item, legal_entity_num, change_seq)
     select $1, p.num, 'electricity', e.num, 1 from core.property p, core.legal_entity e where p.company_id = $1 and e.company_id = $1`, c);
  await client.query(
    `insert into core.place (company_id, id, property_num, kind, name, change_seq)
     select $1, gen_random_uuid(), num, 'building', 'B', 1 from core.property where company_id = $1`, c);
  await client.query(
    `insert into core.customer (company_id, id, kind, name, change_seq)
     select $1, gen_random_uuid(), 'person', 'Customer ' || i, 1 from generate_series(0, $2::int - 1) i`,
    [company, points],
  );
  // Everything of point i hangs together by the order of its number in each table.
  await client.query(
    `create temp table made on commit drop as
     select i, p.num as property_num, b.num as place_num, k.num as customer_num
     from generate_series(0, $2::int - 1) i
     join (select num, row_number() over (order by num) - 1 as n from core.property where company_id = $1) p on p.n = i % $3
     join core.place b on b.company_id = $1 and b.property_num = p.num
     join (select num, row_number() over (order by num) - 1 as n from core.customer where company_id = $1) k on k.n = i`,
    [company, points, PROPERTIES],
  );
  await client.query(
    `insert into core.agreement (company_id, id, property_num, customer_num, number, class, starts_on, change_seq)
     select $1, gen_random_uuid(), property_num, customer_num, 'A' || i, 'shop', $2::timestamptz::date, 1 from made`,
    [company, from],
  );
  await client.query(
    `insert into core.account (company_id, id, property_num, agreement_num, number, opened_at, change_seq)
     select $1, gen_random_uuid(), property_num, num, number, $2, 1 from core.agreement where company_id = $1`,
    [company, from],
  );
  await client.query(
    `insert into core.purse (company_id, id, account_num, purpose, currency, alarm_1_micro, alarm_2_micro, change_seq)
     select $1, gen_random_uuid(), num, 'electricity', 'CNY', 50000000, 20000000, 1 from core.account where company_id = $1`, c);
  await client.query(
    `insert into core.usage_point (company_id, id, property_num, place_num, utility, name, rated_power_w, change_seq)
     select $1, gen_random_uuid(), property_num, place_num, 'electricity', 'A' || i, 10000000, 1 from made`, c);
  await client.query(
    `insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at, change_seq)
     select $1, u.num, a.num, p.num, $2, 1
     from core.usage_point u
     join core.account a on a.company_id = $1 and a.property_num = u.property_num and a.number = u.name
     join core.purse p on p.company_id = $1 and p.account_num = a.num
     where u.company_id = $1`,
    [company, from],
  );
  await client.query(
    `insert into core.meter_model (id, code, maker, name, utility, protocol, channels, register_max, switch_kind)
     values (gen_random_uuid(), 'load', 'Load', 'Load', 'electricity', 'push', 1, 1000000000, 'none')`);
  return company;
}

async function insertGateways(client, company, points, masterKey) {
  const { rows } = await client.query(
    `insert into core.gateway (company_id, id, property_num, name, kind, key_id, secret_sealed, max_meters, change_seq)
     select $1, gen_random_uuid(), p.num, 'G' || p.num || '-' || g, 'http_push', 'load-' || p.num || '-' || g, '\\x', 4096, 1
     from core.property p, generate_series(0, $2::int - 1) g where p.company_id = $1 returning num, id, key_id, property_num`,
    [company, Math.ceil(points / PROPERTIES / METERS_PER_GATEWAY)],
  );
  for (const row of rows) {
    row.secret = randomBytes(32);
    const sealed = seal(masterKey, company, `core.gateway.secret_sealed:${row.id}`, row.secret);
    await client.query('update core.gateway set secret_sealed = $3 where company_id = $1 and num = $2', [company, row.num, sealed]);
  }
  await client.query(
    `insert into core.gateway_port (company_id, gateway_num, port, change_seq)
     select company_id, num, 1, 1 from core.gateway where company_id = $1`, [company]);
  return rows;
}

async function insertMeters(client, company, from) {
  const gateways = `select num, property_num, row_number() over (partition by property_num order by num) - 1 as n,
                           count(*) over (partition by property_num) as of from core.gateway where company_id = $1`;
  await client.query(
    `insert into core.meter (company_id, id, property_num, gateway_num, bus_address, model_num, serial, installed_at, change_seq)
     select $1, gen_random_uuid(), m.property_num, g.num, (300000000000 + m.i)::text, (select num from core.meter_model where code = 'load'),
            (300000000000 + m.i)::text, $2, 1
     from made m join (${gateways}) g on g.property_num = m.property_num and g.n = m.i / ${PROPERTIES} % g.of`,
    [company, from],
  );
  await client.query(
    `insert into core.channel (company_id, id, meter_num, change_seq)
     select $1, gen_random_uuid(), num, 1 from core.meter where company_id = $1`, [company]);
  await client.query(
    `insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value, change_seq)
     select $1, c.num, u.num, $2, 5000000 + (m.bus_address::bigint - 300000000000) * 10, 1
     from core.meter m join core.channel c on c.company_id = $1 and c.meter_num = m.num
     join core.usage_point u on u.company_id = $1 and u.property_num = m.property_num
                            and u.name = 'A' || (m.bus_address::bigint - 300000000000)
     where m.company_id = $1`,
    [company, from],
  );
}

async function insertTariff(client, company) {
  await client.query(
    `insert into core.tariff (company_id, id, code, name, utility, change_seq) values ($1, gen_random_uuid(), 'load-tou', 'Load', 'electricity', 1)`,
    [company],
  );
  await client.query(
    `insert into core.tariff_version (company_id, id, tariff_num, version, effective_from, document, sha256, published_at, change_seq)
     select $1, gen_random_uuid(), num, 1, '2024-01-01T00:00:00+08:00', $2::text, sha256($2::text::bytea), '2024-01-01T00:00:00+08:00', 1
     from core.tariff where company_id = $1`,
    [company, JSON.stringify(TARIFF)],
  );
  await client.query(
    `insert into core.tariff_assignment (company_id, property_num, utility, tariff_num, from_at, known_at, change_seq)
     select $1, p.num, 'electricity', t.num, '2024-01-01T00:00:00+08:00', '2024-01-01T00:00:00+08:00', 1
     from core.property p, core.tariff t where p.company_id = $1 and t.company_id = $1`,
    [company],
  );
}

// `client` is the owner's. Triggers are off while writing: they number changes one by one, and everything here is new.
export async function seed(client, { points, from, masterKey, profile = 'shop' }) {
  await client.query('begin');
  await client.query("set local session_replication_role = 'replica'");
  const company = await insertOnce(client, points, from);
  const gateways = await insertGateways(client, company, points, masterKey);
  await insertMeters(client, company, from);
  await insertTariff(client, company);
  const { rows } = await client.query('select gateway_num, bus_address from core.meter where company_id = $1', [company]);
  await client.query('commit');
  await client.query('analyze core.usage_point, core.usage_point_account, core.channel_installation, core.channel, core.meter, core.purse, core.account');
  const meters = new Map(gateways.map((gateway) => [gateway.num, []]));
  for (const row of rows) {
    const i = Number(BigInt(row.bus_address) - 300000000000n);
    meters.get(row.gateway_num).push({ address: address(i), profile, start_wh: startWh(i) });
  }
  return {
    company,
    gateways: gateways.map((gateway) => ({
      kind: 'http',
      key: gateway.key_id,
      secret: gateway.secret.toString('hex'),
      batch: 1000,
      meters: meters.get(gateway.num),
    })),
  };
}
