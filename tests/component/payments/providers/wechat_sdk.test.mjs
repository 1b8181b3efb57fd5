// The fake and our provider against independent implementations: the client kept by the author of an official SDK, and a
// second one for positive cases. None of the three shares code with another.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { readAuthorization } from '../../../fakes/wechat_pay_messages.mjs';
import { FakeWeChatPay } from '../../../fakes/wechat_pay.mjs';
import { newNumber, wechatSettings } from './counterparts.mjs';
import { Driver } from './driver.mjs';

const require = createRequire(import.meta.url);
const { Wechatpay, Rsa, Aes, Formatter } = require('wechatpay-axios-plugin');
const Second = require('wechatpay-node-v3');

describe('official clients of WeChat Pay', { timeout: 120_000 }, () => {
  let channel;
  let merchant;
  let driver;

  before(async () => {
    channel = await FakeWeChatPay.start({ auto_notify: false });
    merchant = channel.addMerchant({ mchid: '1900009001', appid: 'wx1111222233334444', key_mode: 'both' });
    driver = await Driver.start();
    const { fault } = await driver.ask('open', wechatSettings(channel, merchant, { verify_with: ['public', 'certificate'] }));
    assert.equal(fault, undefined);
  });
  after(async () => {
    await driver?.stop();
    await channel?.stop();
  });

  const client = (certs = { [merchant.public_key_id]: merchant.public_key, [merchant.platform_serial]: merchant.platform_certificate }) =>
    new Wechatpay({ mchid: merchant.mchid, serial: merchant.serial, privateKey: merchant.private_key, certs, baseURL: `${channel.url}/` });
  const second = () =>
    new Second({ appid: merchant.appid, mchid: merchant.mchid, serial_no: merchant.serial, publicKey: Buffer.from(merchant.certificate), privateKey: Buffer.from(merchant.private_key), key: merchant.apiv3_key });
  const content = (out_trade_no) => ({
    appid: merchant.appid,
    mchid: merchant.mchid,
    description: '电费充值',
    out_trade_no,
    notify_url: 'http://127.0.0.1:9/notify/wechat/m1',
    amount: { total: 4200, currency: 'CNY' },
  });
  const order = (members = {}) => ({ number: newNumber(), product: 'native', created_at: Date.now(), expires_at: Date.now() + 600_000, amount_micro: 42_000_000, currency: 'CNY', description: '电费充值', ...members });
  const notice = async ({ headers, body }) => driver.ask('notification', { headers, body_base64: Buffer.from(body).toString('base64') });

  test('a client creates, queries, closes, refunds and reads certificates at the fake', async () => {
    const wx = client();
    const number = newNumber();
    const created = await wx.chain('v3/pay/transactions/native').post(content(number));
    assert.equal(created.status, 200);
    assert.match(created.data.code_url, /^weixin:\/\/wxpay\/bizpayurl\?pr=/);
    const asked = () => wx.chain(`v3/pay/transactions/out-trade-no/${number}`).get({ params: { mchid: merchant.mchid } });
    assert.equal((await asked()).data.trade_state, 'NOTPAY');
    channel.pay(number);
    const { data } = await asked();
    assert.deepEqual([data.trade_state, data.amount.total, data.mchid], ['SUCCESS', 4200, merchant.mchid]);
    const refunded = await wx.chain('v3/refund/domestic/refunds').post({ out_trade_no: number, out_refund_no: newNumber('R'), amount: { refund: 100, total: 4200, currency: 'CNY' } });
    assert.equal(refunded.data.status, 'PROCESSING');
    const other = newNumber();
    await wx.chain('v3/pay/transactions/native').post(content(other));
    assert.equal((await wx.chain(`v3/pay/transactions/out-trade-no/${other}/close`).post({ mchid: merchant.mchid })).status, 204);
    const { data: list } = await wx.chain('v3/certificates').get();
    const [{ serial_no, encrypt_certificate: sealed }] = list.data;
    assert.equal(serial_no, merchant.platform_serial);
    assert.equal(Aes.AesGcm.decrypt(sealed.ciphertext, merchant.apiv3_key, sealed.nonce, sealed.associated_data), merchant.platform_certificate);
  });

  test('a client refuses what the fake signs wrongly, each for its reason', async () => {
    const refused = async (plan, reason) => {
      const number = newNumber();
      channel.plan({ on: 'create', number, ...plan });
      await assert.rejects(client().chain('v3/pay/transactions/native').post(content(number)), (error) => {
        assert.match(`${error.code} ${error.message} ${error.cause?.code}`, reason);
        return true;
      });
    };
    await refused({ act: 'stale', seconds: -301 }, /TIMESTAMP_OFFSET/);
    await refused({ act: 'probe' }, /SIGNATURE_DIGEST/);
    await refused({ act: 'forge' }, /SIGNATURE_DIGEST/);
    await refused({ act: 'unknown_serial' }, /PLATFORM_SERIAL/);
    await refused({ act: 'unsigned' }, /HEADERS_INCOMPLATE/);
  });

  test('both clients sign our requests to the same bytes as we do, and verify ours', async () => {
    const from = channel.requests.length;
    const one = order();
    await driver.ask('create', { order: one });
    await driver.ask('create', { order: order({ product: 'jsapi', payer: 'oPayer1' }) });
    await driver.ask('create', { order: order({ product: 'h5', client_ip: '203.0.113.7', description: '电费 "引号" \\ é' }) });
    await driver.ask('query', { order: one });
    channel.pay(one.number);
    await driver.ask('refund', { order: one, refund: { number: newNumber('R'), amount_micro: 1_000_000, reason: '退电' } });
    await driver.ask('close', { order: order() });
    const requests = channel.requests.slice(from);
    assert.equal(requests.length, 6);
    for (const { method, url, headers, body } of requests) {
      const { mchid, nonce_str, signature, timestamp, serial_no } = readAuthorization(headers.authorization);
      const text = Formatter.request(method, url, timestamp, nonce_str, body);
      assert.equal(signature, Rsa.sign(text, Rsa.from(merchant.private_key, 'private')), url);
      assert.ok(Rsa.verify(text, signature, Rsa.from(merchant.certificate, 'public')), url);
      assert.deepEqual([mchid, serial_no], [merchant.mchid, merchant.serial]);
      const parts = (line) => line.replace(/^\S+ /, '').split(',').sort();
      assert.deepEqual(parts(headers.authorization), parts(Formatter.authorization(mchid, nonce_str, signature, timestamp, serial_no)));
      assert.equal(signature, second().getSignature(method, nonce_str, timestamp, url, method === 'GET' ? undefined : body), url);
    }
  });

  test('a client’s paySign over our parameters is ours', async () => {
    const { handle } = await driver.ask('create', { order: order({ product: 'jsapi', payer: 'oPayer1' }) });
    const parameters = JSON.parse(handle.text);
    const text = Formatter.joinedByLineFeed(parameters.appId, parameters.timeStamp, parameters.nonceStr, parameters.package);
    assert.equal(parameters.paySign, Rsa.sign(text, Rsa.from(merchant.private_key, 'private')));
    assert.deepEqual(Object.keys(parameters).sort(), ['appId', 'nonceStr', 'package', 'paySign', 'signType', 'timeStamp']);
    assert.deepEqual([parameters.appId, parameters.signType, typeof parameters.timeStamp], [merchant.appid, 'RSA', 'string']);
  });

  test('a notification built with a client is a fact to us; with one byte changed it is nothing', async () => {
    const plain = { mchid: merchant.mchid, appid: merchant.appid, out_trade_no: 'SDK0000001', transaction_id: '4200001', trade_state: 'SUCCESS', trade_type: 'NATIVE', success_time: '2026-11-20T10:34:56+08:00', payer: { openid: 'o1' }, amount: { total: 4200, payer_total: 4100, currency: 'CNY', payer_currency: 'CNY' } };
    const nonce = Formatter.nonce(12);
    const ciphertext = Aes.AesGcm.encrypt(JSON.stringify(plain), merchant.apiv3_key, nonce, 'transaction');
    const body = JSON.stringify({ id: 'EV-1', create_time: '2026-11-20T10:34:56+08:00', resource_type: 'encrypt-resource', event_type: 'TRANSACTION.SUCCESS', summary: '支付成功', resource: { original_type: 'transaction', algorithm: 'AEAD_AES_256_GCM', ciphertext, associated_data: 'transaction', nonce } });
    const timestamp = String(Formatter.timestamp());
    const sign = (text) => ({
      'Wechatpay-Timestamp': timestamp,
      'Wechatpay-Nonce': 'EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz',
      'Wechatpay-Serial': merchant.public_key_id,
      'Wechatpay-Signature': Rsa.sign(Formatter.response(timestamp, 'EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz', text), Rsa.from(merchant.signers.get(merchant.public_key_id).private_key, 'private')),
    });
    const told = await notice({ headers: sign(body), body });
    assert.deepEqual([told.notice, told.fact.order_number, told.fact.amount_micro, told.fact.payer, told.fact.happened_at], ['fact', 'SDK0000001', 42_000_000, 'o1', Date.parse('2026-11-20T02:34:56Z')]);
    assert.equal((await notice({ headers: sign(body), body: body.replace('EV-1', 'EV-2') })).notice, 'unauthentic');
    const flipped = ciphertext.replace(/.$/, '').replace(/(.)(=*)$/, (_, c, rest) => `${c === 'A' ? 'B' : 'A'}${rest}`) + ciphertext.at(-1);
    const tampered = body.replace(ciphertext, flipped);
    assert.notEqual(tampered, body);
    assert.equal((await notice({ headers: sign(tampered), body: tampered })).notice, 'unreadable');
  });

  test('both clients verify and open the fake’s notifications, by public key and by certificate', async () => {
    const number = newNumber();
    await client().chain('v3/pay/transactions/native').post(content(number));
    channel.pay(number);
    for (const [serial, key] of [[merchant.public_key_id, merchant.public_key], [merchant.platform_serial, merchant.platform_certificate]]) {
      merchant.notify_with = serial;
      const { headers, body } = channel.makeNotification(merchant, { event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain: channel.book.describe(channel.book.find(number)) });
      const [timestamp, nonce, signature] = ['Timestamp', 'Nonce', 'Signature'].map((name) => headers[`Wechatpay-${name}`]);
      assert.ok(Rsa.verify(Formatter.response(timestamp, nonce, body), signature, Rsa.from(key, 'public')));
      Second.certificates = { [serial]: key };
      assert.equal(await second().verifySign({ timestamp, nonce, body, serial, signature, apiSecret: merchant.apiv3_key }), true);
      const { ciphertext, associated_data, nonce: inner } = JSON.parse(body).resource;
      assert.equal(JSON.parse(Aes.AesGcm.decrypt(ciphertext, merchant.apiv3_key, inner, associated_data)).out_trade_no, number);
      assert.equal(second().decipher_gcm(ciphertext, associated_data, inner, merchant.apiv3_key).out_trade_no, number);
      assert.equal((await notice({ headers, body })).fact.order_number, number);
    }
  });
});
