// A property whose supplies are switched: points behind a transparent gateway, purses at any level, and this test in
// ingest's place: it claims, and tells what became of commands.
import { randomUUID } from 'node:crypto';
import { waitFor } from '../../support/wait.mjs';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const ALL_DAY = [{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun', 'holiday', 'workday'], from: '00:00', to: '24:00' }];
export const OPEN_POLICY = { prepaid_rule: true, cut_windows: ALL_DAY, warning_required: false, min_on_s: 0 };

const iso = (at) => new Date(at).toISOString();

export class Site {
  constructor(stack) {
    this.stack = stack;
    this.points = [];
  }

  static async make(stack, { code, policy = OPEN_POLICY, zone = 'Asia/Shanghai', switchKind = 'relay' } = {}) {
    const site = new Site(stack);
    const one = (text, values) => stack.value(text, values);
    site.company = await one('insert into core.company (id, code, name, created_at) values ($1, $2, $2, $3) returning company_id', [randomUUID(), code, iso(Date.now() - 400 * DAY)]);
    const c = site.company;
    site.property = await one(
      `insert into core.property (company_id, id, code, name, time_zone, currency, calendar_name, partition, alarm_1_micro, alarm_2_micro, created_at)
       values ($1, $2, 'p1', 'P1', $3, 'CNY', 'cn-public', 0, 5000000, 2000000, $4) returning num`, [c, randomUUID(), zone, iso(Date.now() - 400 * DAY)]);
    const building = await one("insert into core.place (company_id, id, property_num, kind, name) values ($1, $2, $3, 'building', 'B') returning num", [c, randomUUID(), site.property]);
    site.room = await one("insert into core.place (company_id, id, property_num, parent_num, kind, name) values ($1, $2, $3, $4, 'room', '101') returning num", [c, randomUUID(), site.property, building]);
    site.customer = await one("insert into core.customer (company_id, id, kind, name) values ($1, $2, 'firm', 'F') returning num", [c, randomUUID()]);
    site.agreement = await one(
      "insert into core.agreement (company_id, id, property_num, customer_num, number, class, starts_on) values ($1, $2, $3, $4, 'A1', 'shop', '2020-01-01') returning num",
      [c, randomUUID(), site.property, site.customer]);
    site.model = await one(
      `insert into core.meter_model (id, code, maker, name, utility, protocol, channels, register_max, switch_kind)
       values ($1, $2, 'M', 'M', 'electricity', 'dlt645_2007', 1, 1000000000, $3) returning num`, [randomUUID(), `${code}-model`, switchKind]);
    site.gateway = await one(
      "insert into core.gateway (company_id, id, property_num, name, kind, registration) values ($1, $2, $3, 'G', 'dtu_tcp', $4) returning num",
      [c, randomUUID(), site.property, randomUUID()]);
    await stack.query('insert into core.gateway_port (company_id, gateway_num, port) values ($1, $2, 1)', [c, site.gateway]);
    const tariff = await one("insert into core.tariff (company_id, id, code, name, utility) values ($1, $2, 't', 't', 'electricity') returning num", [c, randomUUID()]);
    site.tariff = tariff;
    await stack.query(
      "insert into core.tariff_version (company_id, id, tariff_num, version, effective_from, document, sha256, published_at) values ($1, $2, $3, 1, $4, '{}', sha256('x'), $4)",
      [c, randomUUID(), tariff, iso(Date.now() - 300 * DAY)]);
    await stack.query(
      "insert into core.tariff_assignment (company_id, property_num, utility, tariff_num, from_at, known_at) values ($1, $2, 'electricity', $3, $4, $5)",
      [c, site.property, tariff, iso(Date.now() - 300 * DAY), iso(Date.now())]);
    site.operators = [];
    for (const login of ['lin', 'wang', 'zhao']) {
      site.operators.push(await one("insert into core.operator (company_id, id, login, name, password_hash) values ($1, $2, $3, $3, 'x') returning num", [c, randomUUID(), login]));
    }
    if (policy) await site.setPolicy(policy);
    return site;
  }

  // The property's policy, or one point's.
  async setPolicy(fields, point = null) {
    const values = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, value !== null && typeof value === 'object' ? JSON.stringify(value) : value]));
    const names = Object.keys(values);
    const found = await this.stack.value('select num from core.switching_policy where company_id = $1 and property_num = $2 and usage_point_num is not distinct from $3',
      [this.company, this.property, point?.num ?? null]);
    if (found) {
      await this.stack.query(`update core.switching_policy set ${names.map((name, i) => `${name} = $${i + 2}`).join(', ')} where num = $1`, [found, ...Object.values(values)]);
    } else {
      await this.stack.query(`insert into core.switching_policy (company_id, property_num, usage_point_num${names.map((name) => `, ${name}`).join('')})
        values ($1, $2, $3${names.map((_, i) => `, $${i + 4}`).join('')})`, [this.company, this.property, point?.num ?? null, ...Object.values(values)]);
    }
  }

  // `meter` and `channel`: of a device that is there already.
  async addPoint({ balance = 10_000_000n, readAt = Date.now(), neverCut = false, shared = false, held = true, meter, channel } = {}) {
    const { company: c, stack } = this;
    const n = this.points.length + 1;
    const at = iso(Date.now() - 100 * DAY);
    const one = (text, values) => stack.value(text, values);
    const point = { site: this };
    point.meter = meter ?? await one(
      `insert into core.meter (company_id, id, property_num, gateway_num, port, bus_address, model_num, serial, installed_at) values ($1, $2, $3, $4, 1, $5, $6, $5, $7) returning num`,
      [c, randomUUID(), this.property, this.gateway, String(100000 + n), this.model, at]);
    point.channel = channel ?? await one('insert into core.channel (company_id, id, meter_num) values ($1, $2, $3) returning num', [c, randomUUID(), point.meter]);
    point.num = await one(
      `insert into core.usage_point (company_id, id, property_num, place_num, utility, name, never_cut, shared) values ($1, $2, $3, $4, 'electricity', 'E', $5, $6) returning num`,
      [c, randomUUID(), this.property, this.room, neverCut, shared]);
    await stack.query('insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value) values ($1, $2, $3, $4, 0)', [c, point.channel, point.num, at]);
    point.account = await one('insert into core.account (company_id, id, property_num, agreement_num, number, opened_at) values ($1, $2, $3, $4, $5, $6) returning num',
      [c, randomUUID(), this.property, this.agreement, `N${n}`, at]);
    point.purse = await one(
      `insert into core.purse (company_id, id, account_num, purpose, currency, alarm_1_micro, alarm_2_micro) values ($1, $2, $3, 'electricity', 'CNY', 5000000, 2000000) returning num`,
      [c, randomUUID(), point.account]);
    if (held) await stack.query('insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at) values ($1, $2, $3, $4, $5)', [c, point.num, point.account, point.purse, at]);
    await stack.query(
      `insert into billing.purse (num, company_id, account_num, property_num, purpose, currency, balance_micro, alarm_1_micro, alarm_2_micro, overdraft_micro, level, updated_at)
       values ($1, $2, $3, $4, 'electricity', 'CNY', $5::bigint, 5000000, 2000000, 0, billing.credit_level($5::bigint, 5000000, 2000000, 0), $6)`, [point.purse, c, point.account, this.property, balance, iso(Date.now())]);
    await stack.query(
      `insert into billing.point (num, company_id, partition, channel_num, account_num, purse_num, epoch, last_at, last_value, day_start, state)
       values ($1, $2, 0, $3, $4, $5, 0, $6, 0, $6, '\\x00')`, [point.num, c, point.channel, point.account, point.purse, iso(readAt)]);
    this.points.push(point);
    return point;
  }

  async addPoints(count, options) {
    const made = [];
    for (let i = 0; i < count; i++) made.push(await this.addPoint(options));
    return made;
  }

  // A row of a producer's outbox, and its doorbell.
  async tell(schema, stream, type, subject, version, payload, { id = randomUUID(), at = Date.now(), ring = true } = {}) {
    await this.stack.query(
      `insert into ${schema}.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at, published_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
       on conflict do nothing`,
      [id, this.company, stream, type, subject, version, JSON.stringify(payload, (_, value) => (typeof value === 'bigint' ? Number(value) : value)), iso(at)]);
    if (ring) await this.ring(stream, id);
    return id;
  }

  ring(stream, id) {
    return this.stack.redis('XADD', stream, '*', 'e', id);
  }

  // What billing does when money moves: balance and level under the row lock, and the event.
  async setBalance(point, balance, { tell = true, at = Date.now() } = {}) {
    const { rows } = await this.stack.query(
      `update billing.purse set balance_micro = $2::bigint, level_version = level_version + 1, updated_at = $3,
              level = billing.credit_level($2::bigint, alarm_1_micro, alarm_2_micro, overdraft_micro) where num = $1 returning level, level_version`, [point.purse, balance, iso(at)]);
    if (tell) await this.tellLevel(point, rows[0].level, rows[0].level_version, balance, { at });
    return rows[0];
  }

  tellLevel(point, level, version, balance, options) {
    return this.tell('billing', 'balances', 'level_changed', point.purse, version,
      { purse: point.purse, account: point.account, property: this.property, purpose: 'electricity', balance_micro: String(balance), currency: 'CNY', level, level_version: version }, options);
  }

  async request(point, action, { by = `operator:${this.operators[0]}`, reason = 'test', until = null, id = randomUUID() } = {}) {
    await this.tell('api', 'control-requests', 'switch_requested', point.num, 1,
      { request: id, usage_point: point.num, action, requested_by: by, approved_by: null, reason, until: until && iso(until) });
    return id;
  }

  requestState(id) {
    return this.stack.query('select state, outcome from control.request where id = $1', [id]).then(({ rows }) => rows[0]);
  }

  async desired(point) {
    const { rows } = await this.stack.query('select * from control.desired where company_id = $1 and usage_point_num = $2', [this.company, point.num]);
    return rows[0];
  }

  async commands(point, operation) {
    const { rows } = await this.stack.query(
      'select * from control.command where company_id = $1 and usage_point_num = $2 and ($3::text is null or operation = $3) order by issued_at, id', [this.company, point.num, operation ?? null]);
    return rows;
  }

  async refusals(point) {
    const { rows } = await this.stack.query('select * from control.refusal where company_id = $1 and usage_point_num = $2 order by num', [this.company, point.num]);
    return rows;
  }

  async events(type, point) {
    const { rows } = await this.stack.query("select payload from control.outbox where company_id = $1 and type = $2 and subject_num = $3 order by created_at, event_id", [this.company, type, point.num]);
    return rows.map(({ payload }) => payload);
  }

  // The newest command of that kind that waits on the line.
  issued(point, operation, { within_ms = 10_000 } = {}) {
    return waitFor(async () => (await this.commands(point, operation)).find((command) => command.state === 'issued'), { what: `${operation} issued`, within_ms });
  }

  // As ingest, in a transaction of its own.
  async claim(command, at = Date.now(), { company = this.company } = {}) {
    return this.asIngest(async (client) => (await client.query('select claimed, reason from control.claim_switch_off($1, $2, $3)', [company, command.id ?? command, iso(at)])).rows[0]);
  }

  async asIngest(work, { company = this.company } = {}) {
    const client = await this.stack.connect({ user: 'penstock_ingest' });
    try {
      await client.query('begin');
      await client.query("select set_config('app.company', $1, true)", [String(company)]);
      const answer = await work(client);
      await client.query('commit');
      return answer;
    } finally {
      await client.end();
    }
  }

  finish(command, outcome, { state = null, reason = null, at = Date.now(), id } = {}) {
    return this.tell('ingest', 'command-results', 'command_finished', command.meter_num, command.version,
      { command: command.id, meter: command.meter_num, channel: command.channel_num, outcome, reason, state, at: iso(at) }, { id });
  }

  observe(point, state, at = Date.now()) {
    return this.tell('ingest', 'device-events', 'supply_observed', point.channel, at, { channel: point.channel, meter: point.meter, property: this.property, state, at: iso(at) });
  }

  // The whole way to a supply that is off and read back.
  async cut(point) {
    await this.setBalance(point, -1_000_000n);
    const off = await this.issued(point, 'switch_off');
    const { claimed, reason } = await this.claim(off);
    if (!claimed) throw new Error(`the switch-off was refused: ${reason}`);
    await this.finish(off, 'verified', { state: 'off' });
    await this.settled(point, 'off');
    return off;
  }

  settled(point, state, { within_ms = 10_000 } = {}) {
    return waitFor(async () => {
      const row = await this.desired(point);
      return row && row.state === state && row.verified_version === row.version && row.observed === state && row;
    }, { what: `${state} and read back`, within_ms });
  }

  refused(point, reason, { within_ms = 10_000 } = {}) {
    return waitFor(async () => (await this.refusals(point)).find((refusal) => refusal.reason === reason), { what: `the refusal ${reason}`, within_ms });
  }
}
