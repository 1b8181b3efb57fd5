// Companies with accounts that can be topped up, merchants of the fake WeChat Pay set by the command line, and the payments
// service between them.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { FakeWeChatPay } from '../../fakes/wechat_pay.mjs';
import { get, startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';

export const YUAN = 1_000_000n;
// Short pauses: the schedule's proportions stay.
export const QUICK = { PENSTOCK_PAYMENTS_QUERY_AFTER_MS: '200', PENSTOCK_PAYMENTS_LEASE_MS: '2000' };

export class Company {
  constructor(site, code) {
    Object.assign(this, { site, code, stack: site.stack });
  }

  static async make(site, code, { accounts = 1 } = {}) {
    const self = new Company(site, code);
    const one = (text, values) => site.stack.value(text, values);
    self.num = await one('insert into core.company (id, code, name, created_at) values ($1, $2, $2, now()) returning company_id', [randomUUID(), code]);
    const c = self.num;
    self.entity = await one('insert into core.legal_entity (company_id, id, name) values ($1, $2, $3) returning num', [c, randomUUID(), `${code} seller`]);
    self.property = await one(
      `insert into core.property (company_id, id, code, name, time_zone, currency, calendar_name, partition, alarm_1_micro, alarm_2_micro, created_at)
       values ($1, $2, 'p1', 'P1', 'Asia/Shanghai', 'CNY', 'cn-public', 3, 5000000, 2000000, now()) returning num`, [c, randomUUID()]);
    await site.stack.query(`insert into core.property_seller (company_id, property_num, item, legal_entity_num) values ($1, $2, 'electricity', $3)`, [c, self.property, self.entity]);
    const customer = await one(`insert into core.customer (company_id, id, kind, name) values ($1, $2, 'firm', 'F') returning num`, [c, randomUUID()]);
    self.agreement = await one(
      `insert into core.agreement (company_id, id, property_num, customer_num, number, class, starts_on) values ($1, $2, $3, $4, 'A1', 'shop', '2020-01-01') returning num`,
      [c, randomUUID(), self.property, customer]);
    self.accounts = [];
    for (let i = 0; i < accounts; i++) self.accounts.push(await self.addAccount());
    return self;
  }

  async addAccount() {
    const c = this.num;
    const account = await this.stack.value(
      `insert into core.account (company_id, id, property_num, agreement_num, number, opened_at) values ($1, $2, $3, $4, $5, '2020-01-01') returning num`,
      [c, randomUUID(), this.property, this.agreement, randomUUID()]);
    const purse = await this.stack.value(
      `insert into core.purse (company_id, id, account_num, purpose, currency, alarm_1_micro, alarm_2_micro) values ($1, $2, $3, 'electricity', 'CNY', 5000000, 2000000) returning num`,
      [c, randomUUID(), account]);
    return { num: account, purse };
  }

  // Sets a merchant of the fake by the command line, as an operator would; answers the fake's, with our id.
  async setMerchant({ base_url = this.site.channel.url, args = [], keys = {}, ...options } = {}) {
    const merchant = keys.merchant ?? this.site.channel.addMerchant({ mchid: String(1_900_000_000 + ++this.site.merchants), ...options });
    const dir = await mkdtemp(path.join(this.stack.dir, 'merchant-'));
    const file = async (name, text) => {
      await writeFile(path.join(dir, name), text, { mode: 0o600 });
      return path.join(dir, name);
    };
    const partner = merchant.is_partner ? ['--mode', 'partner', '--sub-merchant', merchant.sub_mchid, ...(merchant.sub_appid ? ['--sub-app', merchant.sub_appid] : [])] : [];
    const channel_keys = merchant.key_mode === 'certificate'
      ? ['--channel-certificate', await file('platform.pem', merchant.platform_certificate)]
      : ['--channel-public-key', await file('channel.pem', merchant.public_key), '--channel-key-id', merchant.public_key_id];
    const { code, stdout, stderr } = await this.stack.ctl([
      'merchant', 'set', '--company', this.code, '--merchant', merchant.mchid, '--app', merchant.appid, '--base-url', base_url, '--standby-url', '',
      '--private-key', await file('key.pem', merchant.private_key), '--certificate', await file('certificate.pem', merchant.certificate),
      '--apiv3-key', await file('apiv3_key', merchant.apiv3_key), ...partner, ...channel_keys, ...args]);
    assert.equal(code, 0, stderr);
    const id = /^merchant +(\S+)/m.exec(stdout)[1];
    this.merchant = Object.assign(merchant, { our_id: id });
    return merchant;
  }

  // As the api opens an order: in a transaction of its role that has set the company.
  async open({ account = this.accounts[0], amount = 50n * YUAN, product = 'native', payer = '', client_ip = '', key = randomUUID(), user = 'penstock_api', at = new Date(), description = 'Electricity' } = {}) {
    const client = await this.stack.connect({ user });
    try {
      await client.query('begin');
      await client.query("select set_config('app.company', $1, true)", [String(this.num)]);
      const { rows } = await client.query('select order_id, refusal from payments.open_order($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)',
        [this.num, account.num, account.purse, amount, 'wechat', product, payer, client_ip, description, key, at]);
      await client.query('commit');
      return rows[0];
    } finally {
      await client.end();
    }
  }

  // A door in a transaction of the company.
  async door(text, values, user = 'penstock_api') {
    const client = await this.stack.connect({ user });
    try {
      await client.query('begin');
      await client.query("select set_config('app.company', $1, true)", [String(this.num)]);
      const { rows } = await client.query(text, values);
      await client.query('commit');
      return Object.values(rows[0])[0];
    } finally {
      await client.end();
    }
  }

  switchOffBlock(account = this.accounts[0], at = new Date()) {
    return this.door('select payments.switch_off_block($1, $2, $3)', [this.num, account.num, at], 'penstock_control');
  }

  // Opens an order and waits until it can be paid.
  async payable(options = {}) {
    const { order_id, refusal } = await this.open(options);
    assert.equal(refusal, null);
    return this.until(order_id, (row) => row.handle !== null, 'a handle');
  }

  async order(id) {
    const { rows } = await this.stack.query('select * from payments.payment_order where company_id = $1 and id = $2', [this.num, id]);
    return rows[0];
  }

  until(id, check, what, within_ms = 10_000) {
    return waitFor(async () => {
      const row = await this.order(id);
      return check(row) ? row : null;
    }, { what, within_ms });
  }

  becomes(id, state, within_ms) {
    return this.until(id, (row) => row.state === state, `order ${state}`, within_ms);
  }

  balance(account = this.accounts[0]) {
    return this.stack.value('select coalesce((select balance_micro from billing.purse where num = $1), 0)', [account.purse]);
  }

  credits(order) {
    return this.stack.value(`select count(*) from billing.transfer where kind = 3 and source_num = $1 and company_id = $2`, [order.num, this.num]);
  }

  async suspense() {
    return (await this.stack.query('select * from payments.suspense where company_id = $1 order by num', [this.num])).rows;
  }

  notifyUrl(merchant = this.merchant) {
    return `http://127.0.0.1:${this.site.payments.ports.http}/notify/wechat/${merchant.our_id}`;
  }

  // Sends a payment's notification by hand, with any change; answers { status, body }.
  async send(order, { plan = { act: 'obey' }, plain, id, merchant = this.merchant, url = this.notifyUrl(merchant), headers = {}, event_type = 'TRANSACTION.SUCCESS', original_type = 'transaction', body } = {}) {
    const made = this.site.channel.makeNotification(merchant, { event_type, original_type, plain: plain ?? this.site.channel.book.describe(order), plan, ...(id ? { id } : {}) });
    return get(url, { method: 'POST', headers: { ...made.headers, ...headers }, body: body ?? made.body });
  }
}

export class Site {
  static async start({ env = QUICK, exclusive = false, channel = {}, service = true } = {}) {
    const self = new Site();
    self.stack = await startStack({ exclusive });
    self.merchants = 0;
    self.env = env;
    try {
      self.channel = await FakeWeChatPay.start({ retry_scale: 0.02, ...channel });
      if (service) await self.startService();
    } catch (error) {
      await self.stop();
      throw error;
    }
    return self;
  }

  // The notification address is part of orders, so that a restarted service keeps its port.
  async startService(env = {}) {
    const ports = this.payments ? { PENSTOCK_PAYMENTS_LISTEN: `127.0.0.1:${this.payments.ports.http}`, PENSTOCK_PAYMENTS_NOTIFY_URL: `http://127.0.0.1:${this.payments.ports.http}` } : {};
    const before = this.payments;
    this.payments = await this.stack.spawnService('payments', { ...this.env, ...env, ...ports });
    if (before) this.payments.ports.http = before.ports.http;
    return this.payments.ready();
  }

  // Until the service knows a merchant.
  knows(company) {
    return waitFor(async () => (await get(company.notifyUrl(), { method: 'POST', body: '{}' })).status === 401, { what: 'the merchant known', within_ms: 10_000 });
  }

  async company(code, { merchant = {}, ...options } = {}) {
    const company = await Company.make(this, code, options);
    await company.setMerchant(merchant);
    if (this.payments) await this.knows(company);
    return company;
  }

  async verify() {
    const { code, stdout, stderr } = await this.stack.ctl(['ledger', 'verify']);
    assert.equal(code, 0, `${stdout}${stderr}`);
    return stdout;
  }

  async stop() {
    await this.channel?.stop();
    await this.stack?.stop();
  }
}
