// A small property to bill: places, accounts, purses, meters and tariffs made straight in core, and blocks written into
// the journal as ingest packs them. Expectations are computed here, in BigInt, from the tariff's own numbers.
import { randomUUID } from 'node:crypto';
import { waitFor } from '../../support/wait.mjs';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const FLAG_BACKFILL = 16;

export const flatTariff = (code, price) => ({
  code, utility: 'electricity', unit: 'kWh', currency: 'CNY', time_zone: 'Asia/Shanghai', effective_from: '2020-01-01T00:00:00+08:00',
  lines: [{ name: 'energy', kind: 'quantity', prices: { flat: [price] } }],
  rounding: { mode: 'half_up', scale: 2, at: 'total' },
});

export const tieredTariff = (code, uppers, prices) => ({
  ...flatTariff(code, '0'),
  tiers: { over: 'month', kind: 'graduated', upper: uppers },
  lines: [{ name: 'energy', kind: 'quantity', prices: { flat: prices } }],
});

export const touTariff = (code) => ({
  ...flatTariff(code, '0'),
  periods: ['peak', 'flat', 'valley'],
  calendar: [{ from: '01-01', to: '12-31', days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun', 'holiday'],
    bands: [{ from: '08:00', to: '12:00', period: 'peak' }, { from: '12:00', to: '22:00', period: 'flat' }, { from: '22:00', to: '08:00', period: 'valley' }] }],
  lines: [{ name: 'energy', kind: 'quantity', prices: { peak: ['1.03'], flat: ['0.61'], valley: ['0.29'] } }],
});

// Prices of the whole quantity in micro-yuan, rounded half up to the cent: what the charges must add up to.
export const flatPrice = (wh, priceMicro) => roundCent((wh * priceMicro) / 1000n, (wh * priceMicro) % 1000n);

function roundCent(micro, rest) {
  const cents = micro / 10_000n;
  const left = micro % 10_000n;
  return (left > 5000n || (left === 5000n && rest >= 0n) ? cents + 1n : cents) * 10_000n;
}

export class Site {
  constructor(stack) {
    this.stack = stack;
    this.nextBlock = 1n;
    this.points = [];
  }

  static async make(stack, { code = 'site', partition = 3, opened = Date.now() - 10 * DAY, tariff = flatTariff(`${code}-flat`, '0.6'), alarms = [5_000_000, 2_000_000] } = {}) {
    const site = new Site(stack);
    Object.assign(site, { partition, opened, alarms });
    const one = (text, values) => stack.value(text, values);
    site.company = await one(`insert into core.company (id, code, name, created_at) values ($1, $2, $2, now()) returning company_id`, [randomUUID(), code]);
    const c = site.company;
    site.entity = await one('insert into core.legal_entity (company_id, id, name) values ($1, $2, $3) returning num', [c, randomUUID(), 'Seller']);
    site.property = await one(
      `insert into core.property (company_id, id, code, name, time_zone, currency, calendar_name, partition, alarm_1_micro, alarm_2_micro, created_at)
       values ($1, $2, 'p1', 'P1', 'Asia/Shanghai', 'CNY', 'cn-public', $3, 5000000, 2000000, now()) returning num`, [c, randomUUID(), partition]);
    await stack.query(`insert into core.property_seller (company_id, property_num, item, legal_entity_num) values ($1, $2, 'electricity', $3)`, [c, site.property, site.entity]);
    const building = await one(`insert into core.place (company_id, id, property_num, kind, name) values ($1, $2, $3, 'building', 'B') returning num`, [c, randomUUID(), site.property]);
    site.room = await one(`insert into core.place (company_id, id, property_num, parent_num, kind, name) values ($1, $2, $3, $4, 'room', '101') returning num`, [c, randomUUID(), site.property, building]);
    const customer = await one(`insert into core.customer (company_id, id, kind, name) values ($1, $2, 'firm', 'F') returning num`, [c, randomUUID()]);
    site.agreement = await one(
      `insert into core.agreement (company_id, id, property_num, customer_num, number, class, starts_on) values ($1, $2, $3, $4, 'A1', 'shop', '2020-01-01') returning num`,
      [c, randomUUID(), site.property, customer]);
    site.model = await one(
      `insert into core.meter_model (id, code, maker, name, utility, protocol, channels, register_max, switch_kind)
       values ($1, $2, 'M', 'M', 'electricity', 'push', 1, 1000000000, 'relay') returning num`, [randomUUID(), `${code}-model`]);
    site.gateway = await one(
      `insert into core.gateway (company_id, id, property_num, name, kind, key_id, secret_sealed) values ($1, $2, $3, 'G', 'http_push', $4, '\\x00') returning num`,
      [c, randomUUID(), site.property, randomUUID()]);
    await stack.query('insert into core.gateway_port (company_id, gateway_num, port) values ($1, $2, 1)', [c, site.gateway]);
    if (tariff) await site.assign(await site.publish(tariff));
    return site;
  }

  async publish(document, effectiveFrom = new Date(this.opened - 300 * DAY)) {
    const { company: c, stack } = this;
    const tariff = await stack.value(
      `insert into core.tariff (company_id, id, code, name, utility) values ($1, $2, $3, $3, 'electricity')
       on conflict on constraint tariff_company_id_code_uq do update set name = excluded.name returning num`, [c, randomUUID(), document.code]);
    await stack.query(
      `insert into core.tariff_version (company_id, id, tariff_num, version, effective_from, document, sha256, published_at)
       select $1, $2, $3, coalesce(max(version), 0) + 1, $4, $5, sha256(convert_to($5, 'UTF8')), now() from core.tariff_version where tariff_num = $3`,
      [c, randomUUID(), tariff, effectiveFrom, JSON.stringify(document)]);
    return tariff;
  }

  assign(tariff, usagePoint = null, from = new Date(this.opened - 300 * DAY)) {
    return this.stack.query(
      `insert into core.tariff_assignment (company_id, property_num, usage_point_num, utility, tariff_num, from_at, known_at) values ($1, $2, $3, 'electricity', $4, $5, now())`,
      [this.company, this.property, usagePoint, tariff, from]);
  }

  async addMeter(opening = 0n, at = new Date(this.opened), { ratio = [1, 1] } = {}) {
    const { company: c, stack } = this;
    const n = ++this.meterCount || (this.meterCount = 1);
    const meter = await stack.value(
      `insert into core.meter (company_id, id, property_num, gateway_num, port, bus_address, model_num, serial, installed_at) values ($1, $2, $3, $4, 1, $5, $6, $5, $7) returning num`,
      [c, randomUUID(), this.property, this.gateway, String(100000 + n), this.model, at]);
    return stack.value('insert into core.channel (company_id, id, meter_num, ratio_num, ratio_den) values ($1, $2, $3, $4, $5) returning num', [c, randomUUID(), meter, ...ratio]);
  }

  async addPoint({ opening = 0n, held = true, ratio = [1, 1] } = {}) {
    const { company: c, stack } = this;
    const opened = new Date(this.opened);
    const point = { channel: await this.addMeter(opening, opened, { ratio }), at: this.opened, value: opening };
    point.num = await stack.value(
      `insert into core.usage_point (company_id, id, property_num, place_num, utility, name, rated_power_w) values ($1, $2, $3, $4, 'electricity', 'E', 100000) returning num`,
      [c, randomUUID(), this.property, this.room]);
    await stack.query('insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value) values ($1, $2, $3, $4, $5)', [c, point.channel, point.num, opened, opening]);
    if (held) await this.hold(point, opened);
    this.points.push(point);
    return point;
  }

  async hold(point, from) {
    const { company: c, stack } = this;
    const n = (this.accountCount = (this.accountCount ?? 0) + 1);
    point.account = await stack.value('insert into core.account (company_id, id, property_num, agreement_num, number, opened_at) values ($1, $2, $3, $4, $5, $6) returning num', [c, randomUUID(), this.property, this.agreement, `N${n}`, from]);
    point.purse = await stack.value(
      `insert into core.purse (company_id, id, account_num, purpose, currency, alarm_1_micro, alarm_2_micro) values ($1, $2, $3, 'electricity', 'CNY', $4, $5) returning num`, [c, randomUUID(), point.account, ...this.alarms]);
    await stack.query('update core.usage_point_account set to_at = $3 where company_id = $1 and usage_point_num = $2 and to_at is null', [c, point.num, from]);
    await stack.query('insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at) values ($1, $2, $3, $4, $5)', [c, point.num, point.account, point.purse, from]);
  }

  async addPoints(count, options) {
    for (let i = 0; i < count; i++) await this.addPoint(options);
    return this.points;
  }

  reading(point, at, value, { register = 0, quality = 0, flags = 0 } = {}) {
    return { channel: point.channel, at: BigInt(Math.trunc(Number(at))), value: BigInt(value), register, quality, flags, company: this.company };
  }

  // The next reading of a point, `wh` further and `ms` later.
  next(point, wh, ms = HOUR, options) {
    point.at = Number(point.at) + ms;
    point.value = BigInt(point.value) + BigInt(wh);
    return this.reading(point, point.at, point.value, options);
  }

  // One transaction of ingest: the records in blocks of at most 240.
  async journal(records, { ring = true } = {}) {
    const blocks = [];
    for (let i = 0; i < records.length; i += 240) blocks.push({ id: (this.nextBlock++ << 20n) + BigInt(this.company), bytes: pack(records.slice(i, i + 240)) });
    await this.stack.query(
      `insert into ingest.reading_block (partition, id, received_at, record_count, records)
       select $1, b.id, now(), length(b.bytes) / 32, b.bytes from unnest($2::bigint[], $3::bytea[]) as b (id, bytes)`,
      [this.partition, blocks.map((b) => b.id), blocks.map((b) => b.bytes)]);
    if (ring) await this.stack.redis('XADD', `readings:${this.partition}`, '*', 'e', 'x').catch(() => {});
    return blocks;
  }

  unclaimed() {
    return this.stack.value(
      `select count(*)::int from ingest.reading_block b where not exists (select from billing.block_claim c where c.partition = b.partition and c.block_id = b.id)`);
  }

  settled(within_ms = 20_000) {
    return waitFor(async () => (await this.unclaimed()) === 0, { what: 'every block claimed', within_ms, every_ms: 40 });
  }

  quiet(within_ms = 20_000) {
    return waitFor(async () => (await this.stack.value('select count(*)::int from billing.replay_request where attempts = 0')) === 0, { what: 'replays done', within_ms, every_ms: 40 });
  }

  async charged(point) {
    const { rows } = await this.stack.query(
      'select coalesce(sum(amount_micro), 0)::bigint as amount, coalesce(sum(quantity), 0)::bigint as quantity, count(*)::int as count from billing.charge where usage_point_num = $1', [point.num]);
    return rows[0];
  }

  balance(point) {
    return this.stack.value('select balance_micro from billing.purse where num = $1', [point.purse]);
  }
}

export function pack(records) {
  const bytes = Buffer.alloc(records.length * 32);
  records.forEach((r, i) => {
    const at = i * 32;
    bytes.writeBigInt64LE(BigInt(r.channel), at);
    bytes.writeBigInt64LE(r.at, at + 8);
    bytes.writeBigInt64LE(r.value, at + 16);
    bytes.writeUInt8(r.register, at + 24);
    bytes.writeUInt8(r.quality, at + 25);
    bytes.writeUInt16LE(r.flags, at + 26);
    bytes.writeInt32LE(r.company, at + 28);
  });
  return bytes;
}

// What must hold whatever happened; each row of the answer is a violation.
export async function violations(stack) {
  const { rows } = await stack.query(`
    select 'balance is not the sum of its transfers' as what, p.num
    from billing.purse p
    left join lateral (select coalesce(sum(case when t.credit_class = 1 and t.credit_num = p.num then t.amount_micro else 0 end
                                           - case when t.debit_class = 1 and t.debit_num = p.num then t.amount_micro else 0 end), 0) as total
                       from billing.transfer t
                       where (t.credit_class = 1 and t.credit_num = p.num) or (t.debit_class = 1 and t.debit_num = p.num)) s on true
    where p.balance_micro <> s.total
    union all
    select 'level does not fit the balance', p.num from billing.purse p
    where p.level <> billing.credit_level(p.balance_micro, p.alarm_1_micro, p.alarm_2_micro, p.overdraft_micro)
    union all
    select 'base charges do not tile', c.usage_point_num
    from (select usage_point_num, from_at, from_value, lag(to_at) over w as end_at, lag(to_value) over w as end_value, epoch, lag(epoch) over w as end_epoch,
                 channel_num, lag(channel_num) over w as end_channel
          from billing.charge where kind = 0 window w as (partition by usage_point_num order by from_at, to_at, id)) c
    where c.end_at is not null and c.channel_num = c.end_channel and (c.end_at <> c.from_at or c.end_value <> c.from_value)
    union all
    select 'a charge has no transfer or another amount', c.id from billing.charge c
    left join billing.transfer t on t.id = c.id
    where c.account_num <> 0 and c.amount_micro <> 0 and (t.id is null or t.amount_micro <> abs(c.amount_micro))
    union all
    select 'a transfer of a charge without a charge', t.id from billing.transfer t
    where t.kind in (1, 9) and not exists (select from billing.charge c where c.id = t.id)
    union all
    select 'a block was claimed that does not exist', b.block_id from billing.block_claim b
    where not exists (select from ingest.reading_block r where r.partition = b.partition and r.id = b.block_id)
    union all
    select 'a reading is stored twice', r.channel_num from billing.reading r group by r.channel_num, r.epoch, r.register, r.read_at having count(*) > 1`);
  return rows;
}
