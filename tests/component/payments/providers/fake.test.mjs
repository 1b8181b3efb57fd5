// The fake WeChat Pay itself: as strict as the real one towards us, and misbehaving exactly as it was told.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FakeWeChatPay } from '../../../fakes/wechat_pay.mjs';
import { newNonce, requestText, signBytes, verifyBytes } from '../../../fakes/wechat_pay_messages.mjs';
import { waitFor } from '../../../support/wait.mjs';
import { newNumber } from './counterparts.mjs';

const PROGRAM = fileURLToPath(new URL('../../../fakes/wechat_pay.mjs', import.meta.url));

// Receives notifications and answers with the given statuses, then 200.
async function receiver() {
  const received = [];
  const statuses = [];
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    received.push({ headers: request.headers, body, id: JSON.parse(body).id });
    const status = statuses.shift() ?? 200;
    response.writeHead(status).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { received, statuses, url: `http://127.0.0.1:${server.address().port}/notify/wechat/m1`, stop: () => new Promise((resolve) => server.close(resolve)) };
}

describe('the fake WeChat Pay', { timeout: 60_000 }, () => {
  let channel;
  let merchant;
  let inbox;

  before(async () => {
    channel = await FakeWeChatPay.start({ retry_scale: 0.001 });
    merchant = channel.addMerchant({ mchid: '1900000001', appid: 'wx1111222233334444' });
    inbox = await receiver();
  });
  after(async () => {
    await channel?.stop();
    await inbox?.stop();
  });

  const content = (changes = {}) => ({ appid: merchant.appid, mchid: merchant.mchid, description: '电费', out_trade_no: newNumber(), notify_url: inbox.url, amount: { total: 100, currency: 'CNY' }, ...changes });

  async function ask(method, where, body = '', { headers = {}, sign = {}, text } = {}) {
    const sent = typeof body === 'string' ? body : JSON.stringify(body);
    const all = { mchid: merchant.mchid, nonce: newNonce(), seconds: String(Math.floor(Date.now() / 1000)), serial: merchant.serial, key: merchant.private_key, ...sign };
    const signature = signBytes(all.key, text ?? requestText(method, where, all.seconds, all.nonce, sent));
    const authorization = `WECHATPAY2-SHA256-RSA2048 mchid="${all.mchid}",nonce_str="${all.nonce}",signature="${signature}",timestamp="${all.seconds}",serial_no="${all.serial}"`;
    const response = await fetch(channel.url + where, { method, body: sent || undefined, headers: { accept: 'application/json', 'user-agent': 'test', 'content-type': 'application/json', authorization, ...headers } });
    const answer = await response.text();
    return { status: response.status, headers: response.headers, text: answer, body: answer ? JSON.parse(answer) : undefined };
  }
  const create = (body, options) => ask('POST', '/v3/pay/transactions/native', body, options);
  const control = (what, members = {}) => fetch(`${channel.url}/_control`, { method: 'POST', body: JSON.stringify({ do: what, ...members }) }).then((response) => response.json());

  test('a well-signed request is answered, signed over its bytes', async () => {
    const { status, headers, text } = await create(content());
    assert.equal(status, 200);
    const named = (name) => headers.get(`wechatpay-${name}`);
    assert.ok(verifyBytes(merchant.public_key, named('signature'), `${named('timestamp')}\n${named('nonce')}\n${text}\n`));
    assert.equal(named('serial'), merchant.public_key_id);
    assert.match(headers.get('request-id'), /-0$/);
  });

  test('what the real one refuses is refused here', async () => {
    const nonce = newNonce();
    await create(content(), { sign: { nonce } });
    const old = String(Math.floor(Date.now() / 1000) - 300);
    for (const [what, body, options, status, code] of [
      ['a nonce twice', content(), { sign: { nonce } }, 401, 'SIGN_ERROR'],
      ['an old time', content(), { sign: { seconds: old } }, 401, 'SIGN_ERROR'],
      ['milliseconds', content(), { sign: { seconds: String(Date.now()) } }, 401, 'SIGN_ERROR'],
      ['an unknown serial', content(), { sign: { serial: 'ABC' } }, 401, 'SIGN_ERROR'],
      ['an unknown merchant', content(), { sign: { mchid: '1' } }, 401, 'SIGN_ERROR'],
      ['another key', content(), { sign: { key: merchant.signers.get(merchant.public_key_id).private_key } }, 401, 'SIGN_ERROR'],
      ['another text', content(), { text: 'x' }, 401, 'SIGN_ERROR'],
      ['no Authorization', content(), { headers: { authorization: '' } }, 401, 'SIGN_ERROR'],
      ['no content type of JSON', content(), { headers: { 'content-type': 'text/plain' } }, 415, 'PARAM_ERROR'],
      ['a body that is none', '{', {}, 400, 'PARAM_ERROR'],
      ['an extra member', content({ extra: 1 }), {}, 400, 'PARAM_ERROR'],
      ['an extra member inside', content({ amount: { total: 1, currency: 'CNY', refund: 1 } }), {}, 400, 'PARAM_ERROR'],
      ['null', content({ attach: null }), {}, 400, 'PARAM_ERROR'],
      ['the amount as text', content({ amount: { total: '1' } }), {}, 400, 'PARAM_ERROR'],
      ['nothing', content({ amount: { total: 0 } }), {}, 400, 'PARAM_ERROR'],
      ['no description', content({ description: undefined }), {}, 400, 'PARAM_ERROR'],
      ['a long description', content({ description: '电'.repeat(43) }), {}, 400, 'PARAM_ERROR'],
      ['a query in notify_url', content({ notify_url: `${inbox.url}?x=1` }), {}, 400, 'PARAM_ERROR'],
      ['a short number', content({ out_trade_no: 'A1' }), {}, 400, 'PARAM_ERROR'],
      ['another app', content({ appid: 'wx9' }), {}, 400, 'APPID_MCHID_NOT_MATCH'],
      ['a deadline that has passed', content({ time_expire: '2020-01-01T00:00:00+08:00' }), {}, 400, 'PARAM_ERROR'],
    ]) {
      const answer = await create(body, options);
      assert.deepEqual([answer.status, answer.body.code], [status, code], what);
    }
    assert.equal((await ask('POST', '/v3/pay/transactions/jsapi', content())).body.code, 'PARAM_ERROR');
    assert.equal((await ask('POST', '/v3/pay/transactions/h5', content({ scene_info: { payer_client_ip: '127.0.0.1', h5_info: { type: 'Wap' } } }))).body.code, 'PARAM_ERROR');
    assert.equal((await ask('POST', '/v3/pay/partner/transactions/native', content())).body.code, 'INVALID_REQUEST');
    assert.equal((await ask('GET', '/v3/certificates')).status, 404);
  });

  test('a new code replaces the old one; another amount under the number is refused; the deadline closes', async () => {
    const body = content({ time_expire: new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z/, 'Z') });
    const first = (await create(body)).body.code_url;
    assert.notEqual((await create(body)).body.code_url, first);
    assert.equal((await create({ ...body, amount: { total: 101, currency: 'CNY' } })).body.code, 'INVALID_REQUEST');
    channel.shift_ms = 3_600_001;
    assert.throws(() => channel.pay(body.out_trade_no), { code: 'ORDER_CLOSED' });
    channel.shift_ms = 0;
    assert.equal((await create(body)).body.code, 'ORDER_CLOSED');
  });

  test('notifications come again, freshly signed under the same id, until they are accepted', async () => {
    const body = content();
    await create(body);
    inbox.received.length = 0;
    inbox.statuses.push(500, 503, 401);
    channel.pay(body.out_trade_no);
    await channel.settled();
    assert.equal(inbox.received.length, 4);
    assert.equal(new Set(inbox.received.map(({ id }) => id)).size, 1);
    assert.equal(new Set(inbox.received.map(({ headers }) => headers['wechatpay-nonce'])).size, 4);
    assert.equal(new Set(inbox.received.map(({ body: text }) => JSON.parse(text).resource.ciphertext)).size, 4);
  });

  test('notifications are doubled, lost, forged and changed as planned', async () => {
    const pay = async (plan) => {
      const body = content();
      await create(body);
      inbox.received.length = 0;
      channel.plan({ on: 'notify', number: body.out_trade_no, ...plan });
      channel.pay(body.out_trade_no);
      await channel.settled();
      return inbox.received;
    };
    assert.equal((await pay({ act: 'duplicate', copies: 20 })).length, 20);
    assert.equal((await pay({ act: 'lose' })).length, 0);
    const holds = ({ headers, body }) => verifyBytes(merchant.public_key, headers['wechatpay-signature'], `${headers['wechatpay-timestamp']}\n${headers['wechatpay-nonce']}\n${body}\n`);
    assert.equal(holds((await pay({ act: 'forge' }))[0]), false);
    assert.match((await pay({ act: 'probe' }))[0].headers['wechatpay-signature'], /^WECHATPAY\/SIGNTEST\/.{325}$/);
    assert.equal(holds((await pay({ act: 'change', changes: { amount: { total: 1 } } }))[0]), true);
  });

  test('it is steered from outside, and a person can pay at its cashier', async () => {
    const body = content();
    await create(body);
    const order = (await control('orders')).find((one) => one.out_trade_no === body.out_trade_no);
    assert.deepEqual([order.trade_state, order.total], ['NOTPAY', 100]);
    const page = await (await fetch(`${channel.url}/cashier/${order.token}`)).text();
    assert.match(page, /¥1\.00/);
    assert.match(page, /<button id="pay">/);
    assert.match(await (await fetch(`${channel.url}/cashier`)).text(), new RegExp(`data-number="${body.out_trade_no}"`));
    const paid = await fetch(`${channel.url}/cashier/${order.token}/pay`, { method: 'POST' });
    assert.match(await paid.text(), /data-state="SUCCESS"/);
    const back = await fetch(`${channel.url}/cashier/${order.token}/pay?redirect_url=${encodeURIComponent('http://127.0.0.1:1/back')}`, { method: 'POST', redirect: 'manual' });
    assert.deepEqual([back.status, back.headers.get('location')], [303, 'http://127.0.0.1:1/back']);
    await control('settled');
    assert.ok((await control('deliveries')).some((one) => one.number === body.out_trade_no && one.status === 200));
    await control('plan', { on: 'create', act: 'refuse', status: 500, code: 'SYSTEM_ERROR' });
    assert.equal((await create(content())).status, 500);
    assert.equal((await create(content())).status, 200);
    assert.equal((await fetch(`${channel.url}/cashier/none`)).status, 404);
    assert.match((await control('what')).message, /no what/);
    const nasty = content({ description: '<script>alert(1)</script>' });
    await create(nasty);
    assert.doesNotMatch(await (await fetch(`${channel.url}/cashier`)).text(), /<script>/);
  });

  test('a refund runs to its end and is notified', async () => {
    const body = content();
    await create(body);
    channel.pay(body.out_trade_no);
    await channel.settled();
    inbox.received.length = 0;
    const refund = { out_trade_no: body.out_trade_no, out_refund_no: newNumber('R'), notify_url: inbox.url, amount: { refund: 30, total: 100, currency: 'CNY' } };
    assert.equal((await ask('POST', '/v3/refund/domestic/refunds', refund)).body.status, 'PROCESSING');
    await control('settle_refund', { number: refund.out_refund_no, status: 'SUCCESS' });
    await channel.settled();
    assert.equal(JSON.parse(inbox.received[0].body).event_type, 'REFUND.SUCCESS');
    assert.equal((await ask('GET', `/v3/refund/domestic/refunds/${refund.out_refund_no}`)).body.status, 'SUCCESS');
    assert.equal((await ask('POST', '/v3/refund/domestic/refunds', { ...refund, out_refund_no: newNumber('R'), amount: { refund: 71, total: 100, currency: 'CNY' } })).status, 403);
    assert.equal((await ask('POST', '/v3/refund/domestic/refunds', { ...refund, amount: { refund: 31, total: 100, currency: 'CNY' } })).body.code, 'INVALID_REQUEST');
  });

  test('as a program it keeps its keys over a restart and stops when asked', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'penstock-fake-'));
    const run = async () => {
      const child = spawn(process.execPath, [PROGRAM, '--listen', '127.0.0.1:0', '--state', folder], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.on('data', (data) => (output += data));
      await waitFor(() => /ready http:\/\/127/.test(output), { what: 'the fake' });
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      assert.equal(await exited, 0);
      return ['private_key.pem', 'apiv3_key', 'channel_public_key.pem', 'merchant.json'].map((name) => readFileSync(path.join(folder, name), 'utf8'));
    };
    try {
      const first = await run();
      assert.equal(JSON.parse(first[3]).mchid, '1900000001');
      assert.deepEqual(await run(), first);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
