// A small installation for ingest's tests: one company, one property, gateways and meters made by SQL; requests signed,
// meters answering on a line, and the journal read back — all without the product's own code.
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import net from 'node:net';
import { gzipSync } from 'node:zlib';
import { seal } from '../../support/seal.mjs';
import { get } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';

export const PARTITION = 7;

export class Site {
  static async create(stack, { pollSeconds = 3600, code = 'acme' } = {}) {
    const site = new Site();
    site.stack = stack;
    site.company = await stack.value(
      `insert into core.company (id, code, name, created_at) values ($1, $2, 'Acme', now()) returning company_id`,
      [randomUUID(), code],
    );
    site.property = await stack.value(
      `insert into core.property (company_id, id, code, name, time_zone, currency, calendar_name, partition, poll_interval_s,
                                  alarm_1_micro, alarm_2_micro, created_at)
       values ($1, $2, 'mall', 'Mall', 'Asia/Shanghai', 'CNY', 'cn-public', $3, $4, 0, 0, now()) returning num`,
      [site.company, randomUUID(), PARTITION, pollSeconds],
    );
    site.models = {};
    for (const protocol of ['dlt645_2007', 'push'])
      site.models[protocol] = await stack.value(
        `insert into core.meter_model (id, code, maker, name, utility, protocol, channels, register_max, switch_kind)
         values ($1, $2, 'Maker', 'Model', 'electricity', $3, 1, 1000000000, 'relay')
         on conflict (code) do update set name = excluded.name returning num`,
        [randomUUID(), `model-${protocol}`, protocol],
      );
    return site;
  }

  async addModel(switchKind) {
    return this.stack.value(
      `insert into core.meter_model (id, code, maker, name, utility, protocol, channels, register_max, switch_kind)
       values ($1, $2, 'Maker', 'Model', $3, 'dlt645_2007', 1, 1000000000, $4)
       on conflict (code) do update set name = excluded.name returning num`,
      [randomUUID(), `model-${switchKind}`, switchKind === 'valve' ? 'water' : 'electricity', switchKind],
    );
  }

  async addPushGateway() {
    const id = randomUUID();
    const key = `gw-${randomBytes(6).toString('hex')}`;
    const secret = randomBytes(32);
    const sealed = await seal(this.stack, this.company, `core.gateway.secret_sealed:${id}`, secret);
    const num = await this.stack.value(
      `insert into core.gateway (company_id, id, property_num, name, kind, key_id, secret_sealed)
       values ($1, $2, $3, 'Push', 'http_push', $4, $5) returning num`,
      [this.company, id, this.property, key, sealed],
    );
    await this.addPort(num);
    return { num, key, secret, counter: 0 };
  }

  async addDtu({ heartbeat = 60, sources = [] } = {}) {
    const registration = randomBytes(12).toString('hex');
    const num = await this.stack.value(
      `insert into core.gateway (company_id, id, property_num, name, kind, registration, heartbeat_s, allowed_sources)
       values ($1, $2, $3, 'Dtu', 'dtu_tcp', $4, $5, $6) returning num`,
      [this.company, randomUUID(), this.property, registration, heartbeat, sources],
    );
    await this.addPort(num);
    return { num, registration };
  }

  addPort(gateway) {
    return this.stack.query('insert into core.gateway_port (company_id, gateway_num, port) values ($1, $2, 1)', [this.company, gateway]);
  }

  // `password`: level and three bytes as hexadecimal text, kept sealed.
  async addMeter(gateway, address, { protocol = 'push', serial = address, model = this.models[protocol], password } = {}) {
    const id = randomUUID();
    const sealed = password && (await seal(this.stack, this.company, `core.meter.password_sealed:${id}`, Buffer.from(password)));
    const num = await this.stack.value(
      `insert into core.meter (company_id, id, property_num, gateway_num, bus_address, model_num, serial, password_sealed, installed_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, now() - interval '90 days') returning num`,
      [this.company, id, this.property, gateway.num, address, model, serial, sealed ?? null],
    );
    const channel = await this.stack.value(
      'insert into core.channel (company_id, id, meter_num) values ($1, $2, $3) returning num',
      [this.company, randomUUID(), num],
    );
    return { num, channel, address };
  }

  // All journaled records, decoded by the layout that the contract promises.
  async journal() {
    const { rows } = await this.stack.query('select partition, id, record_count, records from ingest.reading_block order by id');
    return rows.flatMap(({ partition, id, record_count, records }) => {
      if (records.length !== record_count * 32) throw new Error('a block of a wrong length');
      return Array.from({ length: record_count }, (_, i) => {
        const at = records.subarray(i * 32, i * 32 + 32);
        return {
          partition,
          block: id,
          channel: at.readBigInt64LE(0),
          at: Number(at.readBigInt64LE(8)),
          value: Number(at.readBigInt64LE(16)),
          register: at[24],
          quality: at[25],
          flags: at.readUInt16LE(26),
          company: at.readInt32LE(28),
        };
      });
    });
  }
}

export function sign(gateway, timestamp, counter, body) {
  return createHmac('sha256', gateway.secret).update(`${gateway.key}\n${timestamp}\n${counter}\n`).update(body).digest('hex');
}

// Pushes a body (an object, text or bytes); every part can be overridden to be wrong.
export async function push(service, gateway, content, { gzip = false, headers = {}, counter, timestamp, within_ms } = {}) {
  let body = Buffer.isBuffer(content) ? content : Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  if (gzip) body = gzipSync(body);
  const at = timestamp ?? Math.floor(Date.now() / 1000);
  const mark = counter ?? ++gateway.counter;
  const answer = await get(`http://127.0.0.1:${service.ports.http}/v1/readings`, {
    method: 'POST',
    within_ms,
    body,
    headers: {
      'content-type': 'application/json',
      'content-length': body.length,
      ...(gzip ? { 'content-encoding': 'gzip' } : {}),
      'x-penstock-key': gateway.key,
      'x-penstock-timestamp': at,
      'x-penstock-counter': mark,
      'x-penstock-signature': sign(gateway, at, mark, body),
      ...headers,
    },
  });
  return { ...answer, json: answer.body ? JSON.parse(answer.body) : undefined };
}

export const reading = (meter, value, fields = {}) => ({
  meter: meter.address,
  register: 'active_energy_total',
  value,
  unit: 'kWh',
  read_at: new Date().toISOString(),
  ...fields,
});

// ---- a meter on a line ----

const bcd = (number, bytes) => {
  const digits = String(number).padStart(bytes * 2, '0');
  return Buffer.from(digits, 'hex').reverse();
};

export function frame(address, control, data) {
  const head = Buffer.concat([Buffer.from([0x68]), bcd(address, 6), Buffer.from([0x68, control, data.length]), data.map((b) => (b + 0x33) & 0xff)]);
  return Buffer.concat([head, Buffer.from([head.reduce((sum, b) => sum + b, 0) & 0xff, 0x16])]);
}

// Answers energy (counts of 0.01 kWh), its number and status word 3; everything else is "no such data".
export class MeterOnLine {
  constructor(address, counts, { number = address, silent = false, relayOpen = false } = {}) {
    Object.assign(this, { address, counts, number, silent, relayOpen, asked: [] });
  }

  answer(id) {
    const item = id.readUInt32LE(0);
    this.asked.push(item);
    if (item === 0x0001ff00) return Buffer.concat([id, ...this.counts.map((c) => bcd(c, 4))]);
    if (item === 0x04000402) return Buffer.concat([id, bcd(this.number, 6)]);
    if (item === 0x04000503) return Buffer.concat([id, Buffer.from([this.relayOpen ? 0x50 : 0, 0])]);
    if (item === 0x0201ff00) return Buffer.concat([id, bcd(2301, 2)]);
    return null;
  }
}

// A transparent gateway: connects, registers, passes requests to its meters and their answers back.
export class Dtu {
  constructor(service, gateway, meters, { eol = '\r\n', before = '', alter = (bytes) => [bytes] } = {}) {
    Object.assign(this, { service, gateway, meters, eol, before, alter, received: Buffer.alloc(0), isClosed: false, requests: 0 });
  }

  async connect() {
    this.socket = net.connect(this.service.ports.tcp, '127.0.0.1');
    this.socket.on('error', () => {});
    this.socket.on('close', () => (this.isClosed = true));
    this.socket.on('data', (bytes) => this.take(bytes));
    await new Promise((resolve) => this.socket.once('connect', resolve));
    this.socket.write(`${this.before}${this.gateway.registration}${this.eol}`);
    return this;
  }

  take(bytes) {
    this.received = Buffer.concat([this.received, bytes]);
    for (;;) {
      const start = this.received.indexOf(0x68);
      if (start < 0 || this.received.length < start + 12) return;
      const end = start + 12 + this.received[start + 9];
      if (this.received.length < end) return;
      this.request(this.received.subarray(start, end));
      this.received = this.received.subarray(end);
    }
  }

  request(bytes) {
    this.requests++;
    const address = Buffer.from(bytes.subarray(1, 7)).reverse().toString('hex');
    const meter = this.meters.find((m) => m.address === address);
    if (!meter || meter.silent) return;
    const data = meter.answer(Buffer.from(bytes.subarray(10, bytes.length - 2).map((b) => (b - 0x33) & 0xff)));
    const answer = data ? frame(address, 0x91, data) : frame(address, 0xd1, Buffer.from([0x02]));
    for (const piece of this.alter(answer, bytes, this)) this.socket.write(piece);
  }

  heartbeat() {
    this.socket.write('penstock-alive\r\n');
  }

  closed(within_ms = 5000) {
    return waitFor(() => this.isClosed, { what: 'the end of the link', within_ms });
  }

  end() {
    this.socket.destroy();
  }
}
