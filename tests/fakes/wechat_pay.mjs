// A WeChat Pay for tests and for trying out: it checks what it is sent like the real one, signs what it says, has a cashier
// where a person presses Pay, and misbehaves on request.
//
//   const channel = await FakeWeChatPay.start();
//   const merchant = channel.addMerchant({ mchid: '1900000001' });
//   channel.plan({ on: 'create', act: 'hang_after' });         the order exists, the answer never comes
//   channel.pay(number); await channel.settled();
//
// plan({ on, number, times = 1, act, …}): `on` is create, query, close, refund, query_refund, certificates or notify.
// Acts on answers: refuse { status, code, message, unsigned }, delay { delay_ms }, drop_before, drop_after, hang_before,
// hang_after, forge, probe, stale { seconds }, unsigned, unknown_serial, own_serial, garbage, oversize { bytes }, truncate,
// change { changes }, sign_with { serial }, body { text } (any signed bytes). "after" means: done, but the answer does not arrive.
// Acts on notifications: forge, probe, stale, unsigned, unknown_serial, own_serial, change { changes } (of the plaintext),
// envelope { changes }, sign_with, duplicate { copies }, delay { delay_ms }, lose, other_key, body { text } (any signed bytes).
//
// As a program: node wechat_pay.mjs --listen 127.0.0.1:9010 --state DIR --mchid 1900000001 [--sub-mchid N] [--appid A]
// writes the merchant's files to DIR once, keeps its keys over restarts, and obeys POST /_control.
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { cashierList, cashierPage } from './wechat_pay_cashier.mjs';
import { Book, Refusal } from './wechat_pay_book.mjs';
import { beijing, newNonce, probeSignature, readAuthorization, seal, signedHeaders, verifyBytes } from './wechat_pay_messages.mjs';

const RETRIES_S = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Members of `changes` replace those of `value`; null removes one.
function merge(value, changes) {
  const merged = { ...value };
  for (const [key, change] of Object.entries(changes)) {
    if (change === null) delete merged[key];
    else if (typeof change === 'object' && !Array.isArray(change)) merged[key] = merge(merged[key] ?? {}, change);
    else merged[key] = change;
  }
  return merged;
}

const ROUTES = [
  ['POST', /^\/v3\/pay\/(partner\/)?transactions\/(native|jsapi|h5)$/, 'create'],
  ['GET', /^\/v3\/pay\/(partner\/)?transactions\/out-trade-no\/([^/]+)$/, 'query'],
  ['POST', /^\/v3\/pay\/(partner\/)?transactions\/out-trade-no\/([^/]+)\/close$/, 'close'],
  ['POST', /^\/v3\/refund\/domestic\/refunds$/, 'refund'],
  ['GET', /^\/v3\/refund\/domestic\/refunds\/([^/]+)$/, 'query_refund'],
  ['GET', /^\/v3\/certificates$/, 'certificates'],
];

export class FakeWeChatPay {
  static async start({ host = '127.0.0.1', port = 0, retry_scale = 1, link_codes = false, auto_notify = true } = {}) {
    const fake = new FakeWeChatPay();
    Object.assign(fake, { retry_scale, link_codes, auto_notify });
    fake.server = http.createServer({ keepAliveTimeout: 30_000 }, (request, response) => fake.receive(request, response));
    await new Promise((resolve, reject) => fake.server.once('error', reject).listen(port, host, resolve));
    fake.url = `http://${host}:${fake.server.address().port}`;
    return fake;
  }

  constructor() {
    this.shift_ms = 0;
    this.now = () => Date.now() + this.shift_ms;
    this.book = new Book(() => this.now());
    this.plans = [];
    this.requests = [];
    this.deliveries = [];
    this.nonces = new Set();
    this.pending = new Set();
    this.stopping = false;
  }

  async stop() {
    this.stopping = true;
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  addMerchant(options) {
    return this.book.addMerchant(options);
  }

  plan(plan) {
    this.plans.push({ times: 1, ...plan });
  }

  // The first plan left for this operation, for any number or for one of these.
  take(on, numbers) {
    const plan = this.plans.find((one) => one.times > 0 && one.on === on && (one.number === undefined || numbers.includes(one.number)));
    if (plan) plan.times--;
    return plan ?? { act: 'obey' };
  }

  // --- Requests ---------------------------------------------------------------------------------------------------------

  async receive(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const url = new URL(request.url, this.url);
    try {
      if (url.pathname === '/_control') await this.control(body, response);
      else if (url.pathname.startsWith('/cashier')) this.cashier(request, url, body, response);
      else await this.serve(request, url, body, response);
    } catch (error) {
      response.writeHead(500).end(String(error?.stack ?? error));
    }
  }

  async serve(request, url, body, response) {
    const [, pattern, on] = ROUTES.find(([method, one]) => method === request.method && one.test(url.pathname)) ?? [];
    const merchant = this.book.merchants.get(readAuthorization(request.headers.authorization)?.mchid);
    const record = { at: this.now(), on, method: request.method, url: request.url, headers: request.headers, body: body.toString(), mchid: merchant?.mchid };
    this.requests.push(record);
    const numbers = body.length > 0 ? [...record.body.matchAll(/"out_(?:refund|trade)_no":"([^"]*)"/g)].map((match) => match[1]) : [];
    const planned = this.take(on, [...numbers, ...(pattern?.exec(url.pathname)?.slice(1) ?? [])]);
    record.act = planned.act;
    if (planned.act === 'drop_before') return request.socket.destroy();
    if (planned.act === 'hang_before') return undefined;
    if (planned.act === 'delay') await sleep(planned.delay_ms);
    let answer;
    try {
      this.authenticate(request, body, merchant);
      if (!on) throw new Refusal(404, 'NOT_FOUND', 'no such path');
      if (planned.act === 'refuse') throw new Refusal(planned.status, planned.code, planned.message ?? 'refused as planned');
      answer = this.obey(on, merchant, url, pattern.exec(url.pathname), body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answer = { status: error.status, body: { code: error.code, message: error.message } };
    }
    record.status = answer.status;
    if (planned.act === 'drop_after') return request.socket.destroy();
    if (planned.act === 'hang_after') return undefined;
    return this.answer(request, response, merchant, answer, planned);
  }

  authenticate(request, body, merchant) {
    const sign = (message) => {
      throw new Refusal(401, 'SIGN_ERROR', message);
    };
    const authorization = readAuthorization(request.headers.authorization);
    if (!authorization || !merchant) sign('the Authorization header is malformed or the merchant unknown');
    const { nonce_str, timestamp, serial_no, signature } = authorization;
    if (!/^\d{10}$/.test(timestamp) || Math.abs(this.now() / 1000 - timestamp) >= 300) sign('the time is off');
    if (!/^[0-9A-Za-z]{1,32}$/.test(nonce_str) || this.nonces.has(nonce_str)) sign('the nonce is malformed or used');
    const key = merchant.request_keys.get(serial_no);
    if (!key) sign('no certificate has this serial');
    if (!/^[0-9A-Za-z+/]+={0,2}$/.test(signature)) sign('the signature is not base64');
    const head = `${request.method}\n${request.url}\n${timestamp}\n${nonce_str}\n`;
    if (!verifyBytes(key, signature, head, body, '\n')) sign('the signature does not hold');
    this.nonces.add(nonce_str);
    if (!/application\/json|\*\/\*/.test(request.headers.accept ?? '')) throw new Refusal(406, 'PARAM_ERROR', 'Accept must allow JSON');
    if (!request.headers['user-agent']) throw new Refusal(400, 'PARAM_ERROR', 'User-Agent is missing');
    if (body.length > 0 && !/^application\/json/.test(request.headers['content-type'] ?? '')) throw new Refusal(415, 'PARAM_ERROR', 'the body must be JSON');
    if (merchant.key_mode === 'certificate' && /^PUB_KEY_ID_/.test(request.headers['wechatpay-serial'] ?? '')) throw new Refusal(400, 'PARAM_ERROR', 'the public key is not enabled');
  }

  obey(on, merchant, url, match, bytes) {
    const parse = () => {
      try {
        return JSON.parse(bytes.toString());
      } catch {
        throw new Refusal(400, 'PARAM_ERROR', 'the body is not JSON');
      }
    };
    if (on === 'create') return { status: 200, body: this.handle(this.book.create(merchant, match[2], Boolean(match[1]), parse()).order) };
    if (on === 'query') return { status: 200, body: this.book.describe(this.book.owned(merchant, match[2], url.searchParams)) };
    if (on === 'close') return this.book.close(merchant, match[2], parse()), { status: 204 };
    if (on === 'refund') return { status: 200, body: this.book.describeRefund(this.book.refund(merchant, parse())) };
    if (on === 'query_refund') return { status: 200, body: this.book.describeRefund(this.book.findRefund(merchant, match[1])) };
    return { status: 200, body: this.book.certificates(merchant) };
  }

  handle(order) {
    const page = `${this.url}/cashier/${order.token}`;
    if (order.product === 'native') return { code_url: this.link_codes ? page : `weixin://wxpay/bizpayurl?pr=${order.token.slice(2, 12)}` };
    return order.product === 'jsapi' ? { prepay_id: order.token } : { h5_url: page };
  }

  // Which key signs an answer: the one asked for by its id, else a certificate, else the public key.
  answerKey(request, merchant) {
    const wanted = request.headers['wechatpay-serial'];
    if (wanted && merchant.signers.has(wanted)) return wanted;
    return merchant.key_mode === 'public' ? merchant.public_key_id : merchant.platform_serial;
  }

  answer(request, response, merchant, { status, body }, plan) {
    const bare = plan.act === 'garbage' ? '<html><body>502 Bad Gateway</body></html>' : body === undefined ? '' : JSON.stringify(plan.act === 'change' ? merge(body, plan.changes) : body);
    const text = plan.act === 'oversize' ? bare.padEnd(plan.bytes, ' ') : plan.act === 'body' ? plan.text : bare;
    const headers = { 'Request-ID': `08${randomBytes(8).toString('hex').toUpperCase()}-${status < 300 ? 0 : 268435461}`, 'Content-Type': 'application/json; charset=utf-8' };
    if (merchant) Object.assign(headers, this.sign(merchant, text, this.answerKey(request, merchant), plan));
    if (status !== 204) headers['Content-Length'] = Buffer.byteLength(text) + (plan.act === 'truncate' ? 10 : 0);
    response.writeHead(status, headers);
    if (plan.act === 'truncate') return response.write(text, () => request.socket.destroy());
    return response.end(text);
  }

  sign(merchant, text, serial, plan) {
    const seconds = Math.floor(this.now() / 1000) + (plan.act === 'stale' ? plan.seconds : 0);
    const use = plan.act === 'sign_with' ? plan.serial : serial;
    const headers = signedHeaders({ serial: use, privateKey: merchant.signers.get(use).private_key, body: text, seconds });
    if (plan.act === 'unsigned' || plan.unsigned) return {};
    if (plan.act === 'probe') headers['Wechatpay-Signature'] = probeSignature();
    if (plan.act === 'forge') headers['Wechatpay-Signature'] = randomBytes(256).toString('base64');
    if (plan.act === 'unknown_serial') headers['Wechatpay-Serial'] = 'PUB_KEY_ID_0000000000000000';
    if (plan.act === 'own_serial') headers['Wechatpay-Serial'] = merchant.serial;
    return headers;
  }

  // --- Paying and notifying ---------------------------------------------------------------------------------------------

  // The customer pays. Answers the order; the notification goes its own way.
  pay(out_trade_no, options = {}) {
    const order = typeof out_trade_no === 'string' ? this.book.find(out_trade_no) : out_trade_no;
    if (!order) throw new Refusal(404, 'ORDER_NOT_EXIST', 'no such order');
    this.book.pay(order, options);
    if (options.notify ?? this.auto_notify) this.notifyPaid(order);
    return order;
  }

  notifyPaid(order) {
    return this.notify(order.merchant, order.notify_url, 'TRANSACTION.SUCCESS', 'transaction', () => this.book.describe(order), order.out_trade_no);
  }

  // A refund ends: SUCCESS, CLOSED or ABNORMAL.
  settleRefund(out_refund_no, status = 'SUCCESS', { notify = this.auto_notify } = {}) {
    const refund = [...this.book.refunds.values()].find((one) => one.out_refund_no === out_refund_no);
    this.book.settle(refund, status);
    if (notify && refund.notify_url) this.notifyRefund(refund);
    return refund;
  }

  notifyRefund(refund) {
    return this.notify(refund.order.merchant, refund.notify_url, `REFUND.${refund.status}`, 'refund', () => this.book.describeRefundNotice(refund), refund.out_refund_no);
  }

  // A notification ready to be sent: { headers, body }. Time, nonce and ciphertext are fresh in each, the id is not.
  makeNotification(merchant, { id = randomUUID(), event_type, original_type, plain, plan = { act: 'obey' } }) {
    const text = JSON.stringify(plan.act === 'change' ? merge(plain, plan.changes) : plain);
    const resource = { original_type, ...seal(plan.act === 'other_key' ? newNonce(32) : merchant.apiv3_key, text, { associated_data: original_type }) };
    const envelope = { id, create_time: beijing(this.now()), resource_type: 'encrypt-resource', event_type, summary: '支付成功', resource };
    const body = plan.act === 'body' ? plan.text : JSON.stringify(plan.act === 'envelope' ? merge(envelope, plan.changes) : envelope);
    return { headers: { 'Content-Type': 'application/json', ...this.sign(merchant, body, merchant.notify_with, plan) }, body };
  }

  // Sends until it is accepted, at the growing distances of the real one.
  notify(merchant, url, event_type, original_type, describe, number) {
    const id = randomUUID();
    const work = (async () => {
      for (let attempt = 0; attempt <= RETRIES_S.length && !this.stopping; attempt++) {
        const plan = this.take('notify', [number]);
        if (plan.act === 'lose') return;
        if (plan.act === 'delay') await sleep(plan.delay_ms);
        const copies = plan.act === 'duplicate' ? plan.copies : 1;
        const statuses = await Promise.all(
          Array.from({ length: copies }, () => this.deliver(url, this.makeNotification(merchant, { id, event_type, original_type, plain: describe(), plan }), { id, event_type, number, attempt, act: plan.act })),
        );
        if (statuses.includes(200) || statuses.includes(204)) return;
        if (attempt < RETRIES_S.length) await sleep(RETRIES_S[attempt] * 1000 * this.retry_scale);
      }
    })();
    this.pending.add(work);
    work.finally(() => this.pending.delete(work));
    return work;
  }

  async deliver(url, { headers, body }, about = {}) {
    const record = { ...about, at: this.now(), url };
    this.deliveries.push(record);
    try {
      const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(5000) });
      record.status = response.status;
      record.answer = await response.text();
    } catch (error) {
      record.error = String(error?.cause?.code ?? error?.name);
    }
    record.took_ms = this.now() - record.at;
    return record.status;
  }

  // All notifications under way have been accepted or given up.
  async settled() {
    while (this.pending.size > 0) await Promise.all([...this.pending]);
  }

  // --- Outside control and the cashier ----------------------------------------------------------------------------------

  async control(bytes, response) {
    const { do: what, ...rest } = JSON.parse(bytes.toString());
    const actions = {
      plan: () => this.plan(rest),
      forget_plans: () => void (this.plans = []),
      pay: () => void this.pay(rest.number, rest),
      settle_refund: () => void this.settleRefund(rest.number, rest.status),
      notify_again: () => void this.notifyPaid(this.book.find(rest.number)),
      notify_with: () => void (this.book.merchants.get(rest.mchid).notify_with = rest.serial),
      shift: () => void (this.shift_ms = rest.shift_ms),
      set: () => void Object.assign(this.book.merchants.get(rest.mchid), rest.members),
      deliveries: () => this.deliveries,
      requests: () => this.requests.map(({ headers, ...request }) => request),
      orders: () => [...this.book.orders.values()].map((order) => ({ ...this.book.describe(order), token: order.token, total: order.amount.total })),
      settled: () => this.settled(),
    };
    const answer = (status, value) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value ?? {}));
    if (!actions[what]) return answer(404, { message: `no ${what}` });
    try {
      return answer(200, await actions[what]());
    } catch (error) {
      return answer(error.status ?? 500, { code: error.code, message: error.message });
    }
  }

  cashier(request, url, body, response) {
    const [, , token, action] = url.pathname.split('/');
    const send = (status, text) => response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' }).end(text);
    if (!token) return send(200, cashierList([...this.book.tokens.values()].map((order) => ({ order, state: this.book.state(order) }))));
    const order = this.book.tokens.get(token) ?? this.book.find(token);
    if (!order) return send(404, cashierPage({ message: '二维码已失效 · This code is no longer valid' }));
    const back = url.searchParams.get('redirect_url');
    if (request.method === 'POST' && action === 'pay') {
      try {
        this.pay(order);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
      }
      return response.writeHead(303, { Location: back ?? `/cashier/${token}` }).end();
    }
    if (request.method === 'POST' && action === 'jsapi') return this.payInApp(order, body, response);
    return send(200, cashierPage({ order, token, state: this.book.state(order), back }));
  }

  // What WeChat's own payment call does: it checks the page's signature over app, time, nonce and package, then pays.
  payInApp(order, body, response) {
    const { appId, timeStamp, nonceStr, package: packed, signType, paySign } = JSON.parse(body.toString());
    const app = order.sub_appid ?? order.sp_appid ?? order.appid;
    const keys = [...order.merchant.request_keys.values()];
    const holds = keys.some((key) => verifyBytes(key, paySign ?? '', `${appId}\n${timeStamp}\n${nonceStr}\n${packed}\n`));
    const fits = appId === app && packed === `prepay_id=${order.token}` && signType === 'RSA' && /^\d{10}$/.test(timeStamp);
    if (holds && fits) this.pay(order);
    response.writeHead(holds && fits ? 200 : 400, { 'Content-Type': 'application/json' }).end(JSON.stringify({ err_msg: holds && fits ? 'get_brand_wcpay_request:ok' : 'get_brand_wcpay_request:fail' }));
  }
}

// --- As a program ---------------------------------------------------------------------------------------------------------

async function main() {
  const { values } = parseArgs({
    options: {
      listen: { type: 'string', default: '127.0.0.1:9010' },
      state: { type: 'string' },
      mchid: { type: 'string', default: '1900000001' },
      'sub-mchid': { type: 'string' },
      appid: { type: 'string', default: 'wx1111222233334444' },
      'sub-appid': { type: 'string' },
      'key-mode': { type: 'string', default: 'public' },
    },
  });
  const [, host, port] = /^(.*):(\d+)$/.exec(values.listen);
  const fake = await FakeWeChatPay.start({ host, port: Number(port), link_codes: true });
  const file = (name) => path.join(values.state, name);
  const kept = values.state && existsSync(file('keys.json')) ? JSON.parse(readFileSync(file('keys.json'), 'utf8')) : undefined;
  const merchant = fake.addMerchant({ mchid: values.mchid, appid: values.appid, sub_mchid: values['sub-mchid'], sub_appid: values['sub-appid'], key_mode: values['key-mode'], keys: kept });
  if (values.state && !kept) {
    mkdirSync(values.state, { recursive: true, mode: 0o700 });
    const write = (name, text) => writeFileSync(file(name), text, { mode: 0o600 });
    write('private_key.pem', merchant.private_key);
    write('certificate.pem', merchant.certificate);
    write('apiv3_key', merchant.apiv3_key);
    write('channel_public_key.pem', merchant.public_key);
    write('channel_certificate.pem', merchant.platform_certificate);
    const { mchid, sub_mchid, appid, sub_appid, serial, public_key_id, platform_serial } = merchant;
    write('merchant.json', `${JSON.stringify({ mchid, sub_mchid, appid, sub_appid, serial, public_key_id, platform_serial }, null, 2)}\n`);
    write('keys.json', JSON.stringify(merchant.keys));
  }
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => fake.stop().then(() => process.exit(0)));
  console.log(`ready ${fake.url} cashier ${fake.url}/cashier`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
