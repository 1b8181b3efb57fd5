// The cases of notifications that go wrong, numbered as in the table of negative and edge cases the service was written to:
// what is answered, and what the ledger says afterwards.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { newNonce, seal, signedHeaders } from '../../fakes/wechat_pay_messages.mjs';
import { get } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';
import { Site, YUAN } from './site.mjs';

let site;
let shop;
let other;
let grey;
before(async () => {
  // Slow questions: what a notification does must not be done by a query meanwhile.
  site = await Site.start({ env: { PENSTOCK_PAYMENTS_QUERY_AFTER_MS: '60000' } });
  shop = await site.company('shop', { accounts: 90 });
  other = await site.company('other', { accounts: 3 });
  grey = await site.company('grey', { accounts: 3, merchant: { key_mode: 'certificate' } });
});
after(() => { if (process.env.PAY_LOG) console.log(site.payments.tail().slice(-3000)); return site?.stop(); });

let next = 0;
// A paid order at the channel of which we were told nothing yet.
async function paid({ company = shop, account = company.accounts[company === shop ? next++ : 0], pay = {}, amount = 50n * YUAN + BigInt(next) * 10_000n } = {}) {
  const order = await company.payable({ account, amount });
  site.channel.pay(order.number, { notify: false, ...pay });
  return { order, account, amount, booked: site.channel.book.find(order.number) };
}

async function isUntouched({ order, account }, company = shop) {
  assert.equal((await company.order(order.id)).state, 'pending');
  assert.equal(await company.balance(account), 0n);
  assert.equal(await company.credits(order), 0n);
}

async function isCredited({ order, account, amount }, company = shop) {
  assert.equal((await company.order(order.id)).state, 'paid');
  assert.equal(await company.balance(account), amount);
  assert.equal(await company.credits(order), 1n);
}

const drop = (name) => (made) => delete made.headers[name];
const header = (name, value) => (made) => (made.headers[name] = value);
const SECOND_THREE = (signature) => signature.replaceAll('+', '-').replaceAll('/', '_');

// Sends a notification made for the order after `change` touched it.
async function sendChanged(what, change, { company = shop, merchant = company.merchant, url = company.notifyUrl() } = {}) {
  const made = site.channel.makeNotification(merchant, { event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain: site.channel.book.describe(what.booked) });
  await change(made);
  return get(url, { method: 'POST', headers: made.headers, body: made.body });
}

// Bytes signed by the merchant's key of the channel, whatever they are.
async function sendSigned(body, { company = shop, merchant = company.merchant, headers = {} } = {}) {
  const signed = signedHeaders({ serial: merchant.public_key_id, privateKey: merchant.signers.get(merchant.public_key_id).private_key, body });
  return get(company.notifyUrl(), { method: 'POST', headers: { ...signed, ...headers }, body });
}

const envelope = (resource, fields = {}) => JSON.stringify({ id: randomUUID(), create_time: '2026-11-21T10:00:00+08:00', event_type: 'TRANSACTION.SUCCESS', resource_type: 'encrypt-resource', summary: 's', resource, ...fields });

// [number, what, change of a good notification, expected status]; after it the right one is accepted.
const REFUSED = [
  ...['Wechatpay-Timestamp', 'Wechatpay-Nonce', 'Wechatpay-Signature', 'Wechatpay-Serial'].map((name) => [1, `without ${name}`, drop(name), 401]),
  [2, 'an unknown serial', header('Wechatpay-Serial', 'PUB_KEY_ID_0000000000000000'), 503],
  [3, 'the serial of another company', (made) => (made.headers['Wechatpay-Serial'] = other.merchant.public_key_id), 401],
  [4, 'our own certificate’s serial', (made) => (made.headers['Wechatpay-Serial'] = shop.merchant.serial), 401],
  ...['abc', '-5', '+123', '12345678901234567890', '', '1e9', ' 1'].map((text) => [6, `timestamp "${text}"`, header('Wechatpay-Timestamp', text), 401]),
  [9, 'the same nonce with another body', (made) => (made.body = made.body.replace('支付成功', '支付失败')), 401],
  [10, 'one byte changed', (made) => (made.body = made.body.replace('TRANSACTION', 'TRANSACTIOM')), 401],
  [10, 'white space added', (made) => (made.body += ' '), 401],
  [10, 'another order of members', (made) => (made.body = JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(made.body)).reverse()))), 401],
  [11, 'a probe', (made) => (made.headers['Wechatpay-Signature'] = `WECHATPAY/SIGNTEST/${randomBytes(246).toString('base64')}`.slice(0, 344)), 401],
  [11, 'a probe of an illegal length', header('Wechatpay-Signature', 'WECHATPAY/SIGNTEST/abc'), 401],
  [12, 'a url-safe signature', (made) => (made.headers['Wechatpay-Signature'] = SECOND_THREE(made.headers['Wechatpay-Signature']).replace(/[^-_]$/, '-')), 401],
  [12, 'a signature without padding', (made) => (made.headers['Wechatpay-Signature'] = made.headers['Wechatpay-Signature'].replace(/=+$/, '')), 401],
  [12, 'a signature of 8 kB', header('Wechatpay-Signature', 'A'.repeat(8000)), 401],
  [65, 'a compressed body', header('Content-Encoding', 'gzip'), 415],
  [68, 'a header with other than ASCII', (made) => (made.headers['Wechatpay-Nonce'] = 'caf\u00e9'), 400],
];
for (const [number, what, change, status] of REFUSED) {
  test(`${number}: ${what}: ${status}, nothing booked, and the right one still is`, async () => {
    const one = await paid();
    assert.equal((await sendChanged(one, change)).status, status);
    await isUntouched(one);
    assert.equal((await sendChanged(one, () => {})).status, 200);
    await isCredited(one);
  });
}

for (const seconds of [-301, 301, -100_000]) {
  test(`5: ${seconds} s off: 401`, async () => {
    const one = await paid();
    assert.equal((await shop.send(one.booked, { plan: { act: 'stale', seconds } })).status, 401);
    await isUntouched(one);
  });
}

test('7: an exact replay is accepted and books nothing', async () => {
  const one = await paid();
  const made = site.channel.makeNotification(shop.merchant, { event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain: site.channel.book.describe(one.booked) });
  for (let i = 0; i < 3; i++) assert.equal((await get(shop.notifyUrl(), { method: 'POST', headers: made.headers, body: made.body })).status, 200);
  await isCredited(one);
  assert.equal(await site.stack.value('select repeats from payments.notification where order_num = $1', [one.order.num]), 2);
});

test('8: a true repetition under the same id books nothing more', async () => {
  const one = await paid();
  const id = randomUUID();
  for (let i = 0; i < 2; i++) assert.equal((await shop.send(one.booked, { id })).status, 200);
  await isCredited(one);
});

test('another event about the same payment books nothing more', async () => {
  const one = await paid();
  for (let i = 0; i < 3; i++) assert.equal((await shop.send(one.booked)).status, 200);
  await isCredited(one);
  assert.deepEqual((await site.stack.query('select outcome from payments.notification where order_num = $1 order by num', [one.order.num])).rows.map((row) => row.outcome), ['credited', 'duplicate', 'duplicate']);
});

// Authentic, and not to be read: 5xx so that it is repeated.
const good = () => seal(shop.merchant.apiv3_key, '{}');
const UNREADABLE = [
  [13, 'an unknown algorithm', () => envelope({ ...good(), original_type: 'transaction', algorithm: 'AES_ECB' })],
  [13, 'no algorithm', () => envelope({ ...good(), original_type: 'transaction', algorithm: undefined })],
  [14, 'a ciphertext shorter than its tag', () => envelope({ ...good(), original_type: 'transaction', ciphertext: 'AAAA' })],
  [14, 'a ciphertext that is not base64', () => envelope({ ...good(), original_type: 'transaction', ciphertext: '****' })],
  [14, 'another key', () => envelope({ ...seal(newNonce(32), '{}'), original_type: 'transaction' })],
  [14, 'a truncated ciphertext', () => { const r = good(); return envelope({ ...r, original_type: 'transaction', ciphertext: Buffer.from(r.ciphertext, 'base64').subarray(1).toString('base64') }); }],
  [16, 'a nonce of nothing', () => envelope({ ...good(), original_type: 'transaction', nonce: '' })],
  [16, 'a nonce of 4096 bytes', () => envelope({ ...good(), original_type: 'transaction', nonce: 'n'.repeat(4096) })],
  [19, 'a plaintext that is not JSON', () => envelope({ ...seal(shop.merchant.apiv3_key, 'no'), original_type: 'transaction' })],
  [19, 'duplicate members', () => envelope({ ...seal(shop.merchant.apiv3_key, '{"mchid":"1","mchid":"2"}'), original_type: 'transaction' })],
  [19, 'a NUL inside', () => envelope({ ...seal(shop.merchant.apiv3_key, '{"mchid":"\\u0000"}'), original_type: 'transaction' })],
  [19, 'invalid UTF-8', () => envelope({ ...seal(shop.merchant.apiv3_key, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), original_type: 'transaction' })],
  [67, 'a BOM in front', () => `\ufeff${envelope({ ...good(), original_type: 'transaction' })}`],
  [67, 'something after the JSON', () => `${envelope({ ...good(), original_type: 'transaction' })}x`],
  [67, 'nesting of 5000', () => '['.repeat(5000)],
];
for (const [number, what, make] of UNREADABLE) {
  test(`${number}: ${what}: a failure, no crash, nothing stored`, async () => {
    const before = await site.stack.value('select count(*) from payments.notification');
    const { status } = await sendSigned(make());
    assert.ok(status >= 400 && status < 600, String(status));
    assert.equal(await site.stack.value('select count(*) from payments.notification'), before);
  });
}

// Changes of the plaintext of a good notification: [number, what, changes, status, outcome, credited].
const PLAIN = [
  [21, 'state NOTPAY', { trade_state: 'NOTPAY' }, 200, 'asked'],
  [21, 'a state nobody knows', { trade_state: 'MAYBE' }, 200, 'asked'],
  [22, 'state REFUND: still paid', { trade_state: 'REFUND' }, 200, 'credited'],
  [24, 'another merchant', { mchid: '1999999999' }, 200, 'foreign'],
  [24, 'another app', { appid: 'wx9999999999999999' }, 200, 'foreign'],
  [25, 'one fen less', { amount: { total: 1 } }, 200, 'suspended'],
  [26, 'US dollars', { amount: { currency: 'USD' } }, 200, 'suspended'],
  [27, 'a coupon paid a part', { amount: { payer_total: 1 } }, 200, 'credited'],
  [28, 'an amount as text', { amount: { total: '5000' } }, 500, null],
  [28, 'a negative amount', { amount: { total: -1 } }, 500, null],
  [28, 'an amount with a fraction', { amount: { total: 1.5 } }, 500, null],
  [28, 'an amount above all', { amount: { total: 2 ** 53 + 2 } }, 500, null],
  [71, 'a time years ago', { success_time: '2011-01-01T00:00:00+08:00' }, 200, 'credited'],
  [71, 'a time to come', { success_time: '2099-01-01T00:00:00+08:00' }, 200, 'credited'],
  [72, 'another attachment', { attach: 'whatever' }, 200, 'credited'],
];
for (const [number, what, changes, status, outcome] of PLAIN) {
  test(`${number}: ${what}: ${status}, ${outcome ?? 'nothing stored'}`, async () => {
    const one = await paid();
    assert.equal((await shop.send(one.booked, { plan: { act: 'change', changes } })).status, status);
    const { rows } = await site.stack.query('select outcome from payments.notification where plaintext like $1', [`%${one.order.number}%`]);
    assert.deepEqual(rows.map((row) => row.outcome), outcome ? [outcome] : []);
    if (outcome === 'credited') await isCredited(one);
    else assert.equal(await shop.balance(one.account), 0n);
    const row = await shop.order(one.order.id);
    if (number === 71) assert.ok(row.is_time_doubtful && Math.abs(row.happened_at - Date.now()) < 60_000);
    if (number === 22) assert.ok(row.has_foreign_refund);
    if (outcome === 'asked') assert.ok(row.next_query_at <= new Date(Date.now() + 1000) || row.state === 'paid');
    if (outcome !== 'suspended') return;
    assert.equal(row.state, 'failed');
    const held = (await shop.suspense()).at(-1);
    assert.equal(held.account_num, one.account.num);
    assert.equal(held.reason, number === 26 ? 'currency_mismatch' : 'amount_mismatch');
    assert.equal(await shop.switchOffBlock(one.account), 'payment_in_suspense');
    assert.equal(await site.stack.value("select count(*) from payments.outbox where type = 'payment_suspended' and payload ->> 'suspense' = $1", [held.id]), 1n);
    assert.equal(await site.stack.value('select amount_micro from billing.transfer where kind = 10 and source_num = $1', [one.order.num]), held.amount_micro);
  });
}

test('15: additional data absent, empty and too long: decrypted as given', async () => {
  for (const associated_data of [undefined, '', 'x'.repeat(64)]) {
    const one = await paid();
    const resource = seal(shop.merchant.apiv3_key, JSON.stringify(site.channel.book.describe(one.booked)), { associated_data: associated_data ?? '' });
    if (associated_data === undefined) delete resource.associated_data;
    const { status } = await sendSigned(envelope({ ...resource, original_type: 'transaction' }));
    assert.equal(status, 200, `${associated_data}`);
    await isCredited(one);
  }
});

test('17, 18: keys change between sending and receiving: both are tried, one posting', async () => {
  const account = grey.accounts[0];
  const one = await paid({ company: grey, account });
  const id = randomUUID();
  assert.equal((await grey.send(one.booked, { id })).status, 200);
  await grey.setMerchant({ keys: { merchant: { ...grey.merchant, key_mode: 'public' } } });
  await waitFor(async () => (await grey.send(one.booked, { id, plan: { act: 'sign_with', serial: grey.merchant.public_key_id } })).status === 200, { what: 'the public key known' });
  await isCredited({ ...one, account }, grey);
  const known = site.channel.book.merchants.get(grey.merchant.mchid);
  known.key_mode = grey.merchant.key_mode = 'public';
  const second = await paid({ company: grey, account: grey.accounts[1] });
  const old_key = grey.merchant.apiv3_key;
  const made = site.channel.makeNotification(grey.merchant, { event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain: site.channel.book.describe(second.booked) });
  known.apiv3_key = grey.merchant.apiv3_key = newNonce(32);
  await grey.setMerchant({ keys: { merchant: grey.merchant } });
  await waitFor(async () => (await site.stack.ctl(['merchant', 'show', grey.merchant.our_id])).stdout.includes('symmetric/2'), { what: 'two keys' });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal((await get(grey.notifyUrl(), { method: 'POST', headers: made.headers, body: made.body })).status, 200);
  await isCredited({ ...second, account: grey.accounts[1] }, grey);
  const third = await paid({ company: grey, account: grey.accounts[2] });
  assert.equal((await grey.send(third.booked)).status, 200);
  await isCredited({ ...third, account: grey.accounts[2] }, grey);
  assert.notEqual(old_key, grey.merchant.apiv3_key);
});

test('20: an event of no concern is stored and ignored', async () => {
  const { status } = await shop.send(null, { plain: { coupon: 1 }, event_type: 'COUPON.USE', original_type: 'coupon' });
  assert.equal(status, 200);
  assert.equal(await site.stack.value("select outcome from payments.notification where event_type = 'COUPON.USE'"), 'ignored');
});

test('23: money for an order that is none of ours is in suspense, once', async () => {
  const plain = { mchid: shop.merchant.mchid, appid: shop.merchant.appid, out_trade_no: 'nobodys00001', transaction_id: '4200001', trade_type: 'NATIVE', trade_state: 'SUCCESS', trade_state_desc: 'x', bank_type: 'OTHERS', success_time: '2026-11-21T10:00:00+08:00', payer: { openid: 'o' }, amount: { total: 700, payer_total: 700, currency: 'CNY', payer_currency: 'CNY' } };
  for (let i = 0; i < 3; i++) assert.equal((await shop.send(null, { plain })).status, 200);
  const held = (await shop.suspense()).filter((row) => row.reason === 'unknown_order');
  assert.equal(held.length, 1);
  assert.equal(held[0].amount_micro, 7_000_000n);
  assert.equal(await site.stack.value("select count(*) from billing.transfer where kind = 10 and debit_class = 6 and credit_class = 10 and amount_micro = 7000000"), 1n);
});

test('24: another company’s order on this company’s path: stored, alarmed, no effect', async () => {
  const one = await paid({ company: other, account: other.accounts[0] });
  const { status } = await shop.send(null, { plain: site.channel.book.describe(one.booked), merchant: shop.merchant });
  assert.equal(status, 200);
  assert.equal(await other.balance(other.accounts[0]), 0n);
  assert.equal(await site.stack.value("select outcome from payments.notification where merchant_num = (select num from core.merchant where id = $1) and plaintext like $2", [shop.merchant.our_id, `%${one.order.number}%`]), 'foreign');
  assert.ok((await site.payments.metric('penstock_payments_applied_total', { outcome: 'foreign' })) >= 1);
});

test('50: fifty at once: all answered, one posting', async () => {
  const one = await paid();
  const statuses = await Promise.all(Array.from({ length: 50 }, (_, i) => shop.send(one.booked, i % 2 ? {} : { id: 'the-same-event' }).then((answer) => answer.status)));
  assert.deepEqual([...new Set(statuses)], [200]);
  await isCredited(one);
});

test('54: a second success under another id of the channel: the surplus is in suspense', async () => {
  const one = await paid();
  assert.equal((await shop.send(one.booked)).status, 200);
  assert.equal((await shop.send(one.booked, { plan: { act: 'change', changes: { transaction_id: '42000099' } } })).status, 200);
  await isCredited(one);
  const held = (await shop.suspense()).at(-1);
  assert.equal(held.reason, 'second_payment');
  assert.equal(held.amount_micro, one.amount);
});

test('suspense is decided by a person and posted by the service, once', async () => {
  const one = await paid();
  await shop.send(one.booked, { plan: { act: 'change', changes: { amount: { total: 4242 } } } });
  const held = (await shop.suspense()).at(-1);
  const decide = () => shop.door('select payments.decide_suspense($1, $2, $3, $4, $5, $6)', [shop.num, held.id, one.account.purse, 'operator:lin', 'meant for this shop', new Date()]);
  assert.equal(await decide(), true);
  assert.equal(await decide(), false);
  await waitFor(async () => (await shop.suspense()).find((row) => row.id === held.id).state === 'credited', { what: 'credited' });
  assert.equal(await shop.balance(one.account), 42_420_000n);
  assert.equal(await shop.switchOffBlock(one.account), null);
});

test('63: sizes: nothing, 100 kB, more than promised, chunked', async () => {
  const url = shop.notifyUrl();
  assert.ok([400, 401].includes((await get(url, { method: 'POST', body: '' })).status));
  assert.equal((await get(url, { method: 'POST', body: Buffer.alloc(100_000) }).catch(() => ({ status: 413 }))).status, 413);
  const one = await paid();
  const made = site.channel.makeNotification(shop.merchant, { event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain: site.channel.book.describe(one.booked) });
  const answer = await fetch(url, { method: 'POST', headers: made.headers, duplex: 'half', body: new ReadableStream({ start(controller) { controller.enqueue(Buffer.from(made.body)); controller.close(); } }) });
  assert.equal(answer.status, 200);
  await isCredited(one);
});

for (const type of ['text/plain', 'application/json; charset=utf-8', undefined]) {
  test(`64: content type ${type}: judged by the signature`, async () => {
    const one = await paid();
    assert.equal((await sendChanged(one, (made) => (type ? (made.headers['Content-Type'] = type) : delete made.headers['Content-Type']))).status, 200);
    await isCredited(one);
  });
}

for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
  test(`66: ${method}: 405`, async () => assert.equal((await get(shop.notifyUrl(), { method })).status, 405));
}

test('68: a header twice: 400', async () => {
  const one = await paid();
  const made = site.channel.makeNotification(shop.merchant, { event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain: site.channel.book.describe(one.booked) });
  const lines = [...Object.entries(made.headers), ['wechatpay-serial', made.headers['Wechatpay-Serial']]].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const { pathname, port } = new URL(shop.notifyUrl());
  const text = await new Promise((resolve, reject) => {
    const socket = net.connect(Number(port), '127.0.0.1', () => socket.write(`POST ${pathname} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}Content-Length: ${Buffer.byteLength(made.body)}\r\n\r\n${made.body}`));
    let got = '';
    socket.on('data', (piece) => (got += piece)).on('end', () => resolve(got)).on('error', reject);
  });
  assert.match(text, /^HTTP\/1.1 400 /);
  await isUntouched(one);
});

for (const path of ['/notify/wechat/0193a1d0-0000-7000-8000-000000000009', '/notify/alipay/x', '/notify/wechat/..%2f..', `/notify/wechat/${'a'.repeat(3000)}`, '/', '/notify/wechat']) {
  test(`69: ${path.slice(0, 40)}: 404`, async () => {
    const { port } = new URL(shop.notifyUrl());
    assert.equal((await get(`http://127.0.0.1:${port}${path}`, { method: 'POST', body: '{}' })).status, 404);
  });
}

test('the books are right after all that', async () => {
  await site.verify();
  assert.equal(await site.payments.metric('penstock_payments_unapplied_total'), 0);
});
