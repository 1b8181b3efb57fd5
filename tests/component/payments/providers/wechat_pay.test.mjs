// What is WeChat Pay's own: modes, requests field by field, error codes, keys mixed and rotated, certificates, and the
// notifications' edge cases.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeCertificate, newKeyPair } from '../../../fakes/certificates.mjs';
import { FakeWeChatPay } from '../../../fakes/wechat_pay.mjs';
import { probeSignature, seal, signedHeaders } from '../../../fakes/wechat_pay_messages.mjs';
import { newNumber, wechatSettings } from './counterparts.mjs';
import { Driver } from './driver.mjs';

const MINUTE = 60_000;
const order = (members = {}) => ({ number: newNumber(), product: 'native', created_at: Date.now(), expires_at: Date.now() + 10 * MINUTE, amount_micro: 42_000_000, currency: 'CNY', description: '电费充值', ...members });

describe('WeChat Pay', { timeout: 180_000 }, () => {
  let channel;
  let driver;
  let direct;
  let partner;

  const open = async (merchant, options) => {
    const { fault } = await driver.ask('open', wechatSettings(channel, merchant, options));
    assert.equal(fault, undefined, JSON.stringify(fault));
  };
  const create = (one) => driver.ask('create', { order: one });
  const last = () => channel.requests.at(-1);

  before(async () => {
    channel = await FakeWeChatPay.start({ auto_notify: false });
    direct = channel.addMerchant({ mchid: '1900000001', appid: 'wx1111222233334444', key_mode: 'both' });
    partner = channel.addMerchant({ mchid: '1900000100', appid: 'wxaaaabbbbccccdddd', sub_mchid: '1900000109', sub_appid: 'wxsub0000111122223' });
    driver = await Driver.start();
  });
  after(async () => {
    await driver?.stop();
    await channel?.stop();
  });

  // --- Requests ---------------------------------------------------------------------------------------------------------

  test('a direct merchant’s orders carry exactly these members', async () => {
    await open(direct);
    const one = order({ product: 'h5', client_ip: '203.0.113.7', expires_at: Date.parse('2027-01-02T03:04:05.678Z') });
    const { handle } = await create(one);
    assert.deepEqual(JSON.parse(last().body), {
      appid: direct.appid,
      mchid: direct.mchid,
      description: '电费充值',
      out_trade_no: one.number,
      time_expire: '2027-01-02T11:04:05+08:00',
      notify_url: 'http://127.0.0.1:9/notify/wechat/m1',
      amount: { total: 4200, currency: 'CNY' },
      scene_info: { payer_client_ip: '203.0.113.7', h5_info: { type: 'Wap' } },
    });
    assert.equal(last().url, '/v3/pay/transactions/h5');
    assert.ok(Math.abs(handle.valid_to - Date.now() - 5 * MINUTE) < 5_000);
    assert.equal(last().headers['wechatpay-serial'], direct.public_key_id);
    assert.equal(last().headers.accept, 'application/json');
    await create(order({ product: 'jsapi', payer: 'oPayer' }));
    assert.deepEqual(JSON.parse(last().body).payer, { openid: 'oPayer' });
  });

  test('a service provider’s orders name its own numbers and the sub-merchant’s', async () => {
    await open(partner);
    const one = order({ product: 'jsapi', payer: 'oSubPayer' });
    const { result, handle } = await create(one);
    assert.equal(result, 'ok');
    const { sp_appid, sp_mchid, sub_appid, sub_mchid, payer, appid, mchid } = JSON.parse(last().body);
    assert.deepEqual([sp_appid, sp_mchid, sub_appid, sub_mchid, payer, appid, mchid], [partner.appid, partner.mchid, partner.sub_appid, partner.sub_mchid, { sub_openid: 'oSubPayer' }, undefined, undefined]);
    assert.equal(last().url, '/v3/pay/partner/transactions/jsapi');
    assert.match(last().headers.authorization, new RegExp(`mchid="${partner.mchid}"`));
    assert.equal(JSON.parse(handle.text).appId, partner.sub_appid);
    await driver.ask('query', { order: one });
    assert.equal(last().url, `/v3/pay/partner/transactions/out-trade-no/${one.number}?sp_mchid=${partner.mchid}&sub_mchid=${partner.sub_mchid}`);
    channel.pay(one.number);
    const { fact } = await driver.ask('query', { order: one });
    assert.deepEqual([fact.state, fact.merchant, fact.sub_merchant, fact.app, fact.is_of_merchant, fact.payer], ['paid', partner.mchid, partner.sub_mchid, partner.appid, true, 'oSubPayer']);
    const refund = { number: newNumber('R'), amount_micro: 1_000_000 };
    assert.equal((await driver.ask('refund', { order: one, refund })).result, 'ok');
    assert.equal(JSON.parse(last().body).sub_mchid, partner.sub_mchid);
    assert.equal((await driver.ask('query_refund', { order: one, refund })).result, 'ok');
    assert.equal(last().url, `/v3/refund/domestic/refunds/${refund.number}?sub_mchid=${partner.sub_mchid}`);
    const other = order();
    await create(other);
    assert.equal((await driver.ask('close', { order: other })).result, 'ok');
    assert.deepEqual(JSON.parse(last().body), { sp_mchid: partner.mchid, sub_mchid: partner.sub_mchid });
    const without = { ...partner, sub_appid: undefined };
    await driver.ask('open', wechatSettings(channel, without));
    const { handle: own } = await create(order({ product: 'jsapi', payer: 'oSpPayer' }));
    assert.deepEqual([JSON.parse(last().body).payer, JSON.parse(own.text).appId], [{ sp_openid: 'oSpPayer' }, partner.appid]);
  });

  test('what the page gets pays in the app, and not for another order or with another time', async () => {
    await open(direct);
    const one = order({ product: 'jsapi', payer: 'oPayer' });
    const { handle } = await create(one);
    const parameters = JSON.parse(handle.text);
    const token = parameters.package.replace('prepay_id=', '');
    const press = (changes) => fetch(`${channel.url}/cashier/${token}/jsapi`, { method: 'POST', body: JSON.stringify({ ...parameters, ...changes }) });
    for (const changes of [{ timeStamp: String(Number(parameters.timeStamp) + 1) }, { nonceStr: 'x' }, { appId: partner.appid }, { package: 'prepay_id=other' }, { signType: 'MD5' }])
      assert.equal((await press(changes)).status, 400, JSON.stringify(changes));
    assert.equal((await press({})).status, 200);
    assert.equal((await driver.ask('query', { order: one })).fact.state, 'paid');
  });

  test('long texts are cut between characters, and addresses of this machine are no payer’s', async () => {
    await open(direct);
    assert.equal((await create(order({ description: '电'.repeat(60) }))).result, 'ok');
    assert.equal(JSON.parse(last().body).description, '电'.repeat(42));
    for (const client_ip of ['', '127.0.0.1', '::1']) assert.equal((await create(order({ product: 'h5', client_ip }))).result, 'refused');
    assert.equal((await create(order({ product: 'jsapi', payer: '' }))).result, 'refused');
  });

  const CODES = [
    [400, 'PARAM_ERROR', 'misconfigured'],
    [400, 'INVALID_REQUEST', 'misconfigured'],
    [400, 'APPID_MCHID_NOT_MATCH', 'misconfigured'],
    [400, 'MCH_NOT_EXISTS', 'misconfigured'],
    [400, 'OPENID_MISMATCH', 'misconfigured'],
    [401, 'SIGN_ERROR', 'misconfigured'],
    [400, 'ORDER_CLOSED', 'closed'],
    [400, 'ORDER_PAID', 'paid'],
    [403, 'ORDERPAID', 'paid'],
    [403, 'NO_AUTH', 'refused'],
    [403, 'RULE_LIMIT', 'refused'],
    [403, 'RULELIMIT', 'refused'],
    [403, 'TRADE_ERROR', 'refused'],
    [403, 'ACCOUNT_ERROR', 'refused'],
    [403, 'OUT_TRADE_NO_USED', 'unknown'],
    [403, 'NOT_ENOUGH', 'no_funds'],
    [403, 'NOTENOUGH', 'no_funds'],
    [404, 'ORDER_NOT_EXIST', 'not_found'],
    [404, 'ORDERNOTEXIST', 'not_found'],
    [404, 'RESOURCE_NOT_EXISTS', 'not_found'],
    [429, 'FREQUENCY_LIMITED', 'retry_later'],
    [429, 'RATELIMIT_EXCEEDED', 'retry_later'],
    [500, 'SYSTEM_ERROR', 'unknown'],
    [500, 'SYSTEMERROR', 'unknown'],
    [503, 'BANK_ERROR', 'unknown'],
    [418, 'SOMETHING_NEW', 'unknown'],
    [403, 'SOMETHING_NEW', 'unknown'],
    [429, 'SOMETHING_NEW', 'retry_later'],
    [401, 'SOMETHING_NEW', 'misconfigured'],
  ];
  test('each error code means what its table says, signed or not', async () => {
    await open(direct);
    for (const unsigned of [false, true])
      for (const [status, code, result] of CODES) {
        channel.plan({ on: 'create', act: 'refuse', status, code, message: '原因', unsigned });
        const answer = await create(order());
        assert.deepEqual([answer.result, answer.code, answer.http_status, answer.message], [result, code, status, '原因'], `${status} ${code}`);
        assert.match(answer.request_id, /^08.+-268435461$/);
      }
  });

  test('an error whose signature is wrong, or whose body is none, concludes nothing', async () => {
    await open(direct);
    const one = order();
    await create(one);
    channel.pay(one.number);
    // The channel knows the order; a refusal that was not signed by it must not be believed.
    for (const act of ['forge', 'probe', 'own_serial']) {
      channel.plan({ on: 'query', act });
      assert.equal((await driver.ask('query', { order: order() })).result, 'unknown', act);
    }
    channel.plan({ on: 'query', act: 'stale', seconds: -301 });
    assert.equal((await driver.ask('query', { order: order() })).result, 'unknown');
    for (const text of ['', 'Not found', '<html>', '[]', '{"code":5}', '{"code":""}', '{"message":"x"}']) {
      channel.plan({ on: 'query', act: 'body', text });
      assert.equal((await driver.ask('query', { order: order() })).result, 'unknown', text);
    }
  });

  test('answers about another order, another amount’s type or beyond the bounds are unknown', async () => {
    await open(direct);
    const one = order();
    await create(one);
    channel.pay(one.number);
    const query = () => driver.ask('query', { order: one });
    for (const changes of [
      { out_trade_no: 'OTHER0001' }, { trade_state: null }, { transaction_id: null }, { amount: null }, { amount: { total: '4200' } }, { amount: { total: 4200.0000001 } },
      { amount: { total: -1 } }, { amount: { total: 0 } }, { amount: { total: null } }, { amount: { currency: 5 } }, { transaction_id: 'x'.repeat(129) },
    ]) {
      channel.plan({ on: 'query', act: 'change', changes });
      assert.deepEqual([(await query()).result], ['unknown'], JSON.stringify(changes));
    }
    for (const text of ['{"out_trade_no":"a","out_trade_no":"b"}', '[1]', 'null', '{', '\ufeff{}', `${'['.repeat(10_000)}`, JSON.stringify({ out_trade_no: one.number, trade_state: 'SUCCESS', transaction_id: '1', mchid: direct.mchid, amount: { total: 1 } }).replace(':1}', ':1e2}'), '{"amount":{"total":9007199254740993000000}}']) {
      channel.plan({ on: 'query', act: 'body', text });
      assert.equal((await query()).result, 'unknown', text.slice(0, 40));
    }
    channel.plan({ on: 'query', act: 'oversize', bytes: 70_000 });
    assert.equal((await query()).result, 'unknown');
    channel.plan({ on: 'query', act: 'oversize', bytes: 300_000 });
    assert.equal((await query()).result, 'unknown');
    assert.equal((await query()).fact.state, 'paid');
  });

  test('states: each word of the channel, and words of the future', async () => {
    await open(direct);
    const one = order();
    await create(one);
    channel.pay(one.number);
    for (const [trade_state, state, has_refund] of [['SUCCESS', 'paid', false], ['REFUND', 'paid', true], ['NOTPAY', 'unpaid', false], ['USERPAYING', 'unpaid', false], ['CLOSED', 'closed', false], ['PAYERROR', 'failed', false], ['REVOKED', 'other', false], ['ACCEPT', 'other', false]]) {
      channel.plan({ on: 'query', act: 'change', changes: { trade_state } });
      const { fact } = await driver.ask('query', { order: one });
      assert.deepEqual([fact.state, fact.has_refund, fact.channel_state], [state, has_refund, trade_state]);
    }
    for (const changes of [{ mchid: '1900000002' }, { mchid: null }, { appid: 'wx9999999999999999' }, { sub_mchid: '1900000003' }]) {
      channel.plan({ on: 'query', act: 'change', changes });
      assert.equal((await driver.ask('query', { order: one })).fact.is_of_merchant, false, JSON.stringify(changes));
    }
  });

  test('a coupon lowers what the payer paid, not what is booked', async () => {
    await open(direct);
    const one = order();
    await create(one);
    channel.pay(one.number, { payer_total: 1 });
    assert.equal((await driver.ask('query', { order: one })).fact.amount_micro, 42_000_000);
  });

  // --- Keys -------------------------------------------------------------------------------------------------------------

  test('settings that can never work are refused with their place', async () => {
    const good = wechatSettings(channel, direct);
    const replace = (use, members) => ({ keys: good.keys.map((key) => (key.use === use ? { ...key, ...members } : key)) });
    const without = (use) => ({ keys: good.keys.filter((key) => key.use !== use) });
    const other = newKeyPair();
    const ec = '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n';
    for (const [place, members] of [
      ['merchant', { merchant: '19/0' }],
      ['merchant', { merchant: '' }],
      ['sub_merchant', { sub_merchant: '1900000109' }],
      ['sub_merchant', { mode: 'partner' }],
      ['app', { app: '' }],
      ['sub_app', { sub_app: 'wxsub' }],
      ['base_url', { base_url: 'http://api.mch.weixin.qq.com' }],
      ['base_url', { base_url: 'https://api.mch.weixin.qq.com/' }],
      ['base_url', { base_url: 'https://user@api.mch.weixin.qq.com' }],
      ['base_url', { base_url: 'file:///etc/passwd' }],
      ['standby_url', { standby_url: 'ftp://x' }],
      ['notify_url', { notify_url: 'https://pay.example.com/notify?x=1' }],
      ['notify_url', { notify_url: 'http://pay.example.com/notify' }],
      ['notify_url', { notify_url: `https://pay.example.com/${'x'.repeat(240)}` }],
      ['signing', without('signing')],
      ['symmetric', without('symmetric')],
      ['symmetric/1', replace('symmetric', { material: 'testMchAPIv3Key0' })],
      ['symmetric/1', replace('symmetric', { material: 'x'.repeat(33) })],
      ['signing/1', replace('signing', { material: 'not a key' })],
      ['signing/1', replace('signing', { material: direct.public_key })],
      ['signing/1', { keys: good.keys.filter((key) => key.use !== 'signing_certificate') }],
      ['signing/1', replace('signing', { serial: 'ABCDEF0123456789' })],
      ['signing_certificate/1', replace('signing_certificate', { material: makeCertificate(other) })],
      ['signing_certificate/1', replace('signing_certificate', { material: 'x' })],
      ['channel_public/1', replace('channel_public', { serial: 'KEY_1' })],
      ['channel_public/1', replace('channel_public', { material: ec })],
      ['channel_public/1', replace('channel_public', { material: newKeyPair(1024).publicKey })],
      ['channel_public/2', { keys: [...good.keys, { ...good.keys.find((key) => key.use === 'channel_public'), version: 2 }] }],
      ['channel_certificate/1', { keys: [...good.keys, { use: 'channel_certificate', serial: 'AB', material: direct.platform_certificate }] }],
      ['trust/1', { keys: [...good.keys, { use: 'trust', material: direct.platform_certificate }] }],
    ]) {
      const { fault } = await driver.ask('open', { ...good, ...members });
      assert.equal(fault?.place, place, JSON.stringify(members).slice(0, 200));
      assert.ok(fault.reason.length > 10 && !JSON.stringify(fault).includes(direct.apiv3_key));
    }
  });

  test('answers signed by public key or by certificate are verified by the key they name', async () => {
    await open(direct, { verify_with: ['certificate'] });
    assert.equal((await create(order())).result, 'ok');
    assert.equal(last().headers['wechatpay-serial'], undefined);
    channel.plan({ on: 'create', act: 'sign_with', serial: direct.public_key_id });
    const { result, key_unknown, key_serial } = await create(order());
    assert.deepEqual([result, key_unknown, key_serial], ['unknown', true, direct.public_key_id]);
    await open(direct, { verify_with: ['public', 'certificate'] });
    for (const serial of [direct.public_key_id, direct.platform_serial]) {
      channel.plan({ on: 'create', act: 'sign_with', serial });
      assert.equal((await create(order())).result, 'ok');
    }
    await open(partner);
    channel.plan({ on: 'create', act: 'sign_with', serial: partner.platform_serial });
    assert.equal((await create(order({ product: 'native' }))).result, 'unknown');
  });

  test('keys rotate: the newest valid one signs, retired ones verify and decrypt until their end', async () => {
    const rotated = channel.addMerchant({ mchid: '1900000300', appid: 'wx1111222233334444' });
    const second = newKeyPair();
    rotated.request_keys.set('5AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', second.publicKey);
    const { keys } = wechatSettings(channel, rotated);
    const settings = (more) => ({ ...wechatSettings(channel, rotated), keys: [...keys, ...more] });
    const signing = { use: 'signing', version: 2, serial: '5AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', material: second.privateKey };
    const serialUsed = async () => {
      assert.equal((await create(order())).result, 'ok');
      return /serial_no="(\w+)"/.exec(last().headers.authorization)[1];
    };
    assert.equal((await driver.ask('open', settings([{ ...signing, valid_from: Date.now() + MINUTE }]))).fault, undefined);
    assert.equal(await serialUsed(), rotated.serial);
    await driver.ask('open', settings([{ ...signing, valid_from: Date.now() - MINUTE }]));
    assert.equal(await serialUsed(), signing.serial);
    await driver.ask('open', { ...settings([]), keys: keys.map((key) => ({ ...key, valid_to: Date.now() - 1 })) });
    assert.equal((await create(order())).result, 'misconfigured');

    // The APIv3 key changes between sending and receipt.
    const one = order();
    await driver.ask('open', settings([]));
    await create(one);
    channel.pay(one.number);
    const before = channel.makeNotification(rotated, { event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain: channel.book.describe(channel.book.find(one.number)) });
    const told = { headers: before.headers, body_base64: Buffer.from(before.body).toString('base64') };
    const fresh = { use: 'symmetric', version: 2, material: 'y'.repeat(32) };
    await driver.ask('open', settings([fresh]));
    assert.equal((await driver.ask('notification', told)).notice, 'fact');
    await driver.ask('open', { ...settings([fresh]), keys: settings([fresh]).keys.map((key) => (key.use === 'symmetric' && key.version === 1 ? { ...key, valid_to: Date.now() - 1 } : key)) });
    assert.deepEqual([(await driver.ask('notification', told)).notice, (await driver.ask('notification', told)).status], ['unreadable', 500]);
  });

  test('the switch from certificate to public key mid-flight: both attempts are the same fact', async () => {
    await open(direct, { verify_with: ['public', 'certificate'] });
    const one = order();
    await create(one);
    channel.pay(one.number);
    const plain = channel.book.describe(channel.book.find(one.number));
    const facts = [];
    for (const serial of [direct.platform_serial, direct.public_key_id]) {
      direct.notify_with = serial;
      const { headers, body } = channel.makeNotification(direct, { id: 'EV-SAME', event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain });
      facts.push(await driver.ask('notification', { headers, body_base64: Buffer.from(body).toString('base64') }));
    }
    assert.deepEqual(facts.map(({ notice, event_id, key_serial }) => [notice, event_id, key_serial]), [['fact', 'EV-SAME', direct.platform_serial], ['fact', 'EV-SAME', direct.public_key_id]]);
    assert.deepEqual(facts[0].fact, facts[1].fact);
  });

  test('certificates are fetched: first with none, then old and new side by side; never in public-key mode', async () => {
    const old = channel.addMerchant({ mchid: '1900000400', appid: 'wx1111222233334444', key_mode: 'certificate' });
    await open(old, { verify_with: [] });
    const first = await driver.ask('fetch_keys');
    assert.equal(first.result, 'ok');
    assert.deepEqual(first.keys.map(({ use, serial, material }) => [use, serial, material]), [['channel_certificate', old.platform_serial, old.platform_certificate]]);
    assert.ok(first.keys[0].valid_from < Date.now() && first.keys[0].valid_to > Date.now() + 4 * 365 * 86_400_000);
    const renewed = channel.book.addCertificate(old);
    await open(old, { verify_with: ['certificate'] });
    const second = await driver.ask('fetch_keys');
    assert.deepEqual(second.keys.map(({ material }) => material).sort(), [old.platform_certificate, renewed].sort());
    // An answer that none of the certificates it brings has signed, or that another APIv3 key encrypted.
    await open(old, { verify_with: [] });
    channel.plan({ on: 'certificates', act: 'unknown_serial' });
    assert.deepEqual([(await driver.ask('fetch_keys')).result], ['unknown']);
    channel.plan({ on: 'certificates', act: 'forge' });
    assert.deepEqual([(await driver.ask('fetch_keys')).result], ['unknown']);
    channel.plan({ on: 'certificates', act: 'unsigned' });
    assert.deepEqual([(await driver.ask('fetch_keys')).result], ['unknown']);
    const kept = old.apiv3_key;
    old.apiv3_key = 'z'.repeat(32);
    assert.deepEqual([(await driver.ask('fetch_keys')).result, (await driver.ask('fetch_keys')).keys], ['unknown', []]);
    old.apiv3_key = kept;
    await open(partner);
    const requests = channel.requests.length;
    assert.deepEqual([(await driver.ask('fetch_keys')).result, channel.requests.length], ['not_found', requests]);
  });

  test('a published answer with a real platform certificate is read', async () => {
    const published = await import('./published.mjs');
    const merchant = channel.addMerchant({ mchid: '1234567891', appid: 'wx1111222233334444', key_mode: 'certificate' });
    merchant.apiv3_key = published.APIV3_KEY;
    await open(merchant, { verify_with: ['certificate'] });
    channel.plan({ on: 'certificates', act: 'body', text: published.CERTIFICATES });
    const { result, keys } = await driver.ask('fetch_keys');
    assert.deepEqual([result, keys[0].serial, new Date(keys[0].valid_from).toISOString(), new Date(keys[0].valid_to).toISOString()], ['ok', published.CERTIFICATES_SERIAL, '2023-09-19T15:15:58.000Z', '2028-09-17T15:15:58.000Z']);
  });

  test('a published notification verifies at its time, and not five minutes later', async () => {
    const { NOTIFICATION } = await import('./published.mjs');
    const settings = wechatSettings(channel, direct);
    settings.keys.push({ use: 'channel_certificate', version: 7, material: NOTIFICATION.certificate });
    assert.equal((await driver.ask('open', settings)).fault, undefined);
    const ask = (members) => driver.ask('notification', { headers: NOTIFICATION.headers, body_base64: Buffer.from(NOTIFICATION.body).toString('base64'), received_at: NOTIFICATION.seconds * 1000, ...members });
    const told = await ask();
    assert.deepEqual([told.notice, told.event_id, told.event_type, told.key_serial], ['ignored', '3119dfba-e649-5eec-ab1e-3412bc4d2e17', 'PAYSCORE.USER_OPEN_SERVICE', 'D7CE59D1F522D701']);
    for (const [off, notice] of [[299, 'ignored'], [300, 'unauthentic'], [301, 'unauthentic'], [-299, 'ignored'], [-300, 'unauthentic']])
      assert.equal((await ask({ received_at: (NOTIFICATION.seconds + off) * 1000 })).notice, notice, String(off));
    assert.equal((await ask({ body_base64: Buffer.from(NOTIFICATION.body.replace('签约', '签 约')).toString('base64') })).notice, 'unauthentic');
  });

  // --- Notifications ------------------------------------------------------------------------------------------------------

  const number = 'EDGE0000000001';
  const plain = (changes = {}) => ({ mchid: direct.mchid, appid: direct.appid, out_trade_no: number, transaction_id: '4200009', trade_type: 'NATIVE', trade_state: 'SUCCESS', success_time: '2026-11-20T10:34:56+08:00', payer: { openid: 'o1' }, amount: { total: 4200, payer_total: 4200, currency: 'CNY' }, ...changes });
  const envelope = (text, changes = {}, resource = {}) => ({ id: 'EV-1', create_time: '2026-11-20T10:34:56+08:00', resource_type: 'encrypt-resource', event_type: 'TRANSACTION.SUCCESS', summary: '支付成功', resource: { original_type: 'transaction', ...seal(direct.apiv3_key, text), ...resource }, ...changes });
  const send = async (body, headers = {}) => {
    const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const signed = signedHeaders({ serial: direct.public_key_id, privateKey: direct.signers.get(direct.public_key_id).private_key, body: bytes });
    const all = { ...signed, ...headers };
    for (const [name, value] of Object.entries(all)) if (value === null) delete all[name];
    return driver.ask('notification', { headers: all, body_base64: Buffer.from(bytes).toString('base64') });
  };
  const good = () => JSON.stringify(envelope(JSON.stringify(plain())));

  describe('notifications', () => {
    before(() => open(direct, { verify_with: ['public', 'certificate'] }));

    test('the baseline is a fact', async () => {
      const { notice, status, fact } = await send(good());
      assert.deepEqual([notice, status, fact.amount_micro, fact.order_number], ['fact', 200, 42_000_000, number]);
    });

    const HEADERS = [
      ['1 no timestamp', { 'Wechatpay-Timestamp': null }, 'unauthentic', 401],
      ['1 no nonce', { 'Wechatpay-Nonce': null }, 'unauthentic', 401],
      ['1 no signature', { 'Wechatpay-Signature': null }, 'unauthentic', 401],
      ['1 no serial', { 'Wechatpay-Serial': null }, 'unauthentic', 401],
      ['1 blank nonce', { 'Wechatpay-Nonce': ' ' }, 'unauthentic', 401],
      ['2 an unknown serial', { 'Wechatpay-Serial': 'PUB_KEY_ID_9' }, 'unknown_key', 503],
      ['2 a serial in another case', { 'Wechatpay-Serial': 'pub_key_id_9' }, 'unknown_key', 503],
      ['5 301 s old', { 'Wechatpay-Timestamp': () => String(Math.floor(Date.now() / 1000) - 301) }, 'unauthentic', 401],
      ['5 301 s early', { 'Wechatpay-Timestamp': () => String(Math.floor(Date.now() / 1000) + 302) }, 'unauthentic', 401],
      ['6 no digits', { 'Wechatpay-Timestamp': 'now' }, 'unauthentic', 401],
      ['6 negative', { 'Wechatpay-Timestamp': '-1' }, 'unauthentic', 401],
      ['6 a plus', { 'Wechatpay-Timestamp': () => `+${Math.floor(Date.now() / 1000)}` }, 'unauthentic', 401],
      ['6 twenty digits', { 'Wechatpay-Timestamp': '1'.repeat(20) }, 'unauthentic', 401],
      ['6 milliseconds', { 'Wechatpay-Timestamp': () => String(Date.now()) }, 'unauthentic', 401],
      ['6 a space', { 'Wechatpay-Timestamp': () => ` ${Math.floor(Date.now() / 1000)}` }, 'unauthentic', 401],
      ['11 a probe of 344 characters', { 'Wechatpay-Signature': () => probeSignature() }, 'probe', 401],
      ['11 a probe of another length', { 'Wechatpay-Signature': 'WECHATPAY/SIGNTEST/x' }, 'probe', 401],
      ['12 100 kB', { 'Wechatpay-Signature': 'A'.repeat(100_000) }, 'unauthentic', 401],
      ['12 258 bytes', { 'Wechatpay-Signature': Buffer.alloc(258, 7).toString('base64') }, 'unauthentic', 401],
      ['12 255 bytes', { 'Wechatpay-Signature': Buffer.alloc(255, 7).toString('base64') }, 'unauthentic', 401],
      ['12 zeros', { 'Wechatpay-Signature': Buffer.alloc(256).toString('base64') }, 'unauthentic', 401],
      ['the SM2 type', { 'Wechatpay-Signature-Type': 'WECHATPAY2-SM2-WITH-SM3' }, 'unauthentic', 401],
      ['no type', { 'Wechatpay-Signature-Type': null }, 'fact', 200],
    ];
    for (const [name, headers, notice, status] of HEADERS)
      test(name, async () => {
        const values = Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, typeof value === 'function' ? value() : value]));
        const told = await send(good(), values);
        assert.deepEqual([told.notice, told.status], [notice, status]);
      });

    test('3, 4 another merchant’s key, and our own', async () => {
      const body = good();
      const of = (serial, privateKey) => driver.ask('notification', { headers: signedHeaders({ serial, privateKey, body }), body_base64: Buffer.from(body).toString('base64') });
      const foreign = await of(partner.public_key_id, partner.signers.get(partner.public_key_id).private_key);
      // Which other merchant a serial belongs to is known to the service, not here: it answers 401 for one of another merchant.
      assert.deepEqual([foreign.notice, foreign.key_serial], ['unknown_key', partner.public_key_id]);
      assert.deepEqual((await of(direct.serial, direct.private_key)).notice, 'unauthentic');
      assert.deepEqual((await of(direct.public_key_id, partner.signers.get(partner.public_key_id).private_key)).notice, 'unauthentic');
    });

    test('12 base64 in any other form than the one is no signature', async () => {
      const body = good();
      const headers = signedHeaders({ serial: direct.public_key_id, privateKey: direct.signers.get(direct.public_key_id).private_key, body });
      const signature = headers['Wechatpay-Signature'];
      for (const spoiled of [signature.replace(/=+$/, ''), `${signature.slice(0, 76)}\n${signature.slice(76)}`, `${signature} `, ` ${signature}`, signature.replace(/\+/g, '-').replace(/\//g, '_').replace(/^(.)/, '-$1'), `${signature.slice(0, -3)}x==`, `${signature}====`])
        assert.equal((await driver.ask('notification', { headers: { ...headers, 'Wechatpay-Signature': spoiled }, body_base64: Buffer.from(body).toString('base64') })).notice, 'unauthentic', JSON.stringify(spoiled));
    });

    const raw = (text, resource = {}, changes = {}) => envelope(text, changes, resource);
    const sealed = () => seal(direct.apiv3_key, JSON.stringify(plain()));
    const flip = (base64, at) => {
      const bytes = Buffer.from(base64, 'base64');
      bytes[at < 0 ? bytes.length + at : at] ^= 1;
      return bytes.toString('base64');
    };
    const BODIES = [
      ['13 another algorithm', () => raw('{}', { algorithm: 'AEAD_SM4_GCM' }), 'unreadable', 500],
      ['13 no algorithm', () => raw('{}', { algorithm: undefined }), 'unreadable', 500],
      ['14 15 bytes of ciphertext', () => raw('{}', { ciphertext: Buffer.alloc(15).toString('base64') }), 'unreadable', 500],
      ['14 no ciphertext', () => raw('{}', { ciphertext: '' }), 'unreadable', 500],
      ['14 ciphertext in bad base64', () => raw('{}', { ciphertext: '***' }), 'unreadable', 500],
      ['14 a flipped tag', () => { const one = sealed(); return raw('{}', { ...one, ciphertext: flip(one.ciphertext, -1) }); }, 'unreadable', 500],
      ['14 cut by one byte', () => { const one = sealed(); return raw('{}', { ...one, ciphertext: Buffer.from(one.ciphertext, 'base64').subarray(0, -1).toString('base64') }); }, 'unreadable', 500],
      ['15 no associated data', () => raw('{}', { ...seal(direct.apiv3_key, JSON.stringify(plain()), { associated_data: '' }), associated_data: undefined }), 'fact', 200],
      ['15 empty associated data', () => raw('{}', seal(direct.apiv3_key, JSON.stringify(plain()), { associated_data: '' })), 'fact', 200],
      ['15 40 bytes of associated data', () => raw('{}', seal(direct.apiv3_key, JSON.stringify(plain()), { associated_data: 'x'.repeat(40) })), 'fact', 200],
      ['15 other associated data', () => raw('{}', { ...sealed(), associated_data: 'other' }), 'unreadable', 500],
      ['16 a nonce of 0 bytes', () => raw('{}', { ...sealed(), nonce: '' }), 'unreadable', 500],
      ['16 a nonce of 8 bytes', () => raw('{}', seal(direct.apiv3_key, JSON.stringify(plain()), { nonce: '12345678' })), 'fact', 200],
      ['16 a nonce of 16 bytes', () => raw('{}', seal(direct.apiv3_key, JSON.stringify(plain()), { nonce: '1234567890abcdef' })), 'fact', 200],
      ['16 a nonce of 4096 bytes', () => raw('{}', { ...sealed(), nonce: 'x'.repeat(4096) }), 'unreadable', 500],
      ['19 not JSON inside', () => raw('hello'), 'unreadable', 500],
      ['19 a key twice inside', () => raw('{"mchid":"1","mchid":"2"}'), 'unreadable', 500],
      ['19 NUL inside', () => raw(JSON.stringify(plain({ out_trade_no: 'a\u0000b' }))), 'unreadable', 500],
      ['19 bad UTF-8 inside', () => raw(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), 'unreadable', 500],
      ['20 another event', () => raw('{}', {}, { event_type: 'COUPON.USE' }), 'ignored', 200],
      ['20 another event that does not open', () => raw('{}', { nonce: 'other' }, { event_type: 'COMPLAINT.CREATE' }), 'ignored', 200],
      ['21 paid, says the event; unpaid, says the text', () => raw(JSON.stringify(plain({ trade_state: 'NOTPAY' }))), 'ask', 200],
      ['21 a state of the future', () => raw(JSON.stringify(plain({ trade_state: 'ACCEPT' }))), 'ask', 200],
      ['22 paid and refunded since', () => raw(JSON.stringify(plain({ trade_state: 'REFUND' }))), 'fact', 200],
      ['27 a coupon', () => raw(JSON.stringify(plain({ amount: { total: 4200, payer_total: 1, currency: 'CNY' } }))), 'fact', 200],
      ['28 the amount as text', () => raw(JSON.stringify(plain({ amount: { total: '4200', currency: 'CNY' } }))), 'unreadable', 500],
      ['28 1e2', () => raw(JSON.stringify(plain()).replace('"total":4200', '"total":1e2')), 'unreadable', 500],
      ['28 100.0', () => raw(JSON.stringify(plain()).replace('"total":4200', '"total":100.0')), 'unreadable', 500],
      ['28 negative', () => raw(JSON.stringify(plain({ amount: { total: -4200, currency: 'CNY' } }))), 'unreadable', 500],
      ['28 zero', () => raw(JSON.stringify(plain({ amount: { total: 0, currency: 'CNY' } }))), 'unreadable', 500],
      ['28 2^53+1', () => raw(JSON.stringify(plain()).replace('"total":4200', '"total":9007199254740993')), 'unreadable', 500],
      ['28 2^63', () => raw(JSON.stringify(plain()).replace('"total":4200', '"total":9223372036854775808')), 'unreadable', 500],
      ['28 no amount', () => raw(JSON.stringify(plain({ amount: undefined }))), 'unreadable', 500],
      ['no order number', () => raw(JSON.stringify(plain({ out_trade_no: undefined }))), 'unreadable', 500],
      ['a combined payment', () => raw(JSON.stringify({ combine_appid: 'wx1', combine_mchid: direct.mchid, combine_out_trade_no: 'C1', sub_orders: [] })), 'unreadable', 500],
      ['a refund’s text under a payment’s event', () => raw(JSON.stringify(plain()), { original_type: 'refund' }), 'unreadable', 500],
      ['67 a byte order mark', () => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(good())]), 'unreadable', 500],
      ['67 bytes after the JSON', () => `${good()}x`, 'unreadable', 500],
      ['67 10 000 deep', () => `${'['.repeat(10_000)}${']'.repeat(10_000)}`, 'unreadable', 500],
      ['67 a key of 60 kB', () => `{"${'k'.repeat(60_000)}":1}`, 'unreadable', 500],
      ['67 white space around the JSON', () => `  ${good()}\n`, 'fact', 200],
      ['63 nothing', () => '', 'malformed', 400],
      ['63 64 KiB and one byte', () => good().padEnd(65_537), 'malformed', 400],
      ['no id', () => raw('{}', {}, { id: undefined }), 'unreadable', 500],
      ['an id of 65 bytes', () => raw('{}', {}, { id: 'x'.repeat(65) }), 'unreadable', 500],
      ['another order of the keys', () => { const { resource, ...rest } = raw(JSON.stringify(plain())); return { resource, ...rest }; }, 'fact', 200],
    ];
    for (const [name, make, notice, status] of BODIES)
      test(name, async () => {
        const told = await send(make());
        assert.deepEqual([told.notice, told.status], [notice, status], told.why);
        if (status >= 400) assert.equal(told.fact.order_number, '');
        if (notice === 'ask') assert.deepEqual([told.fact.state, told.fact.order_number], ['other', number]);
        assert.ok(told.why.length > 3 && !told.why.includes(direct.apiv3_key));
      });

    test('24, 26, 71 numbers of others, currencies and odd times are told as they are', async () => {
      const fact = async (changes) => (await send(raw(JSON.stringify(plain(changes))))).fact;
      assert.equal((await fact({})).is_of_merchant, true);
      for (const changes of [{ mchid: '1900000002' }, { appid: 'wx9999999999999999' }, { mchid: undefined }, { sub_mchid: '1900000109' }]) assert.equal((await fact(changes)).is_of_merchant, false, JSON.stringify(changes));
      assert.equal((await fact({ amount: { total: 4200, currency: 'USD' } })).currency, 'USD');
      assert.equal((await fact({ amount: { total: 4200 } })).currency, '');
      assert.equal((await fact({ success_time: '2199-01-01T00:00:00+08:00' })).happened_at, Date.parse('2199-01-01T00:00:00+08:00'));
      for (const success_time of [undefined, 'yesterday', '']) assert.equal((await fact({ success_time })).happened_at, 0);
    });

    test('24 under a service provider the sub-merchant is told apart, though the key is the same', async () => {
      await open(partner);
      const text = (sub_mchid) => JSON.stringify({ sp_mchid: partner.mchid, sp_appid: partner.appid, sub_mchid, out_trade_no: number, transaction_id: '1', trade_state: 'SUCCESS', amount: { total: 1, currency: 'CNY' } });
      const told = async (sub_mchid) => {
        const resource = { original_type: 'transaction', ...seal(partner.apiv3_key, text(sub_mchid)) };
        const body = JSON.stringify({ id: 'EV-P', event_type: 'TRANSACTION.SUCCESS', resource_type: 'encrypt-resource', resource });
        const headers = signedHeaders({ serial: partner.public_key_id, privateKey: partner.signers.get(partner.public_key_id).private_key, body });
        return driver.ask('notification', { headers, body_base64: Buffer.from(body).toString('base64') });
      };
      assert.deepEqual([(await told(partner.sub_mchid)).fact.is_of_merchant, (await told('1900000110')).fact.is_of_merchant, (await told(undefined)).fact.is_of_merchant], [true, false, false]);
      await open(direct, { verify_with: ['public', 'certificate'] });
    });

    test('57 to 59 a refund’s event must say what its text says', async () => {
      const text = (refund_status) => ({ mchid: direct.mchid, out_trade_no: number, transaction_id: '1', out_refund_no: 'R1', refund_id: '50', refund_status, amount: { total: 4200, refund: 100, payer_total: 4200, payer_refund: 100 } });
      const tell = (event_type, refund_status, changes = {}) => send(raw('{}', { original_type: 'refund', ...seal(direct.apiv3_key, JSON.stringify({ ...text(refund_status), ...changes }), { associated_data: 'refund' }) }, { event_type }));
      for (const [word, state] of [['SUCCESS', 'refunded'], ['ABNORMAL', 'refund_abnormal'], ['CLOSED', 'refund_closed']]) {
        const { notice, fact } = await tell(`REFUND.${word}`, word);
        assert.deepEqual([notice, fact.state, fact.amount_micro, fact.order_micro, fact.currency, fact.is_of_merchant], ['fact', state, 1_000_000, 42_000_000, '', true]);
        assert.deepEqual([(await tell(`REFUND.${word}`, 'PROCESSING')).notice], ['ask']);
      }
      assert.equal((await tell('REFUND.SUCCESS', 'CLOSED')).fact.state, 'refund_other');
      assert.equal((await tell('REFUND.SUCCESS', 'SUCCESS', { out_refund_no: undefined })).notice, 'unreadable');
      assert.equal((await tell('REFUND.SUCCESS', 'SUCCESS', { amount: { total: 4200, refund: '100' } })).notice, 'unreadable');
      assert.equal((await tell('REFUND.SUCCESS', 'SUCCESS', { mchid: undefined })).fact.is_of_merchant, false);
    });

    test('73 a clock that jumps refuses all, and a clock put right accepts the repetition', async () => {
      await driver.ask('clock', { shift_ms: 10 * MINUTE });
      assert.equal((await send(good())).notice, 'unauthentic');
      await driver.ask('clock', { shift_ms: 0 });
      assert.equal((await send(good())).notice, 'fact');
    });

    test('random damage to a good notification never makes a fact', async () => {
      let seed = Number(process.env.PENSTOCK_TEST_SEED ?? Date.now() % 1_000_000);
      console.log(`# seed ${seed}`);
      const random = (n) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % n;
      const body = Buffer.from(good());
      const headers = signedHeaders({ serial: direct.public_key_id, privateKey: direct.signers.get(direct.public_key_id).private_key, body });
      for (let i = 0; i < 400; i++) {
        const damaged = { ...headers };
        let bytes = body;
        if (random(2)) {
          bytes = Buffer.from(body);
          for (let k = 0; k <= random(3); k++) bytes[random(bytes.length)] ^= 1 + random(255);
        } else {
          const name = ['Wechatpay-Timestamp', 'Wechatpay-Nonce', 'Wechatpay-Signature', 'Wechatpay-Serial'][random(4)];
          const at = random(damaged[name].length);
          const letter = String.fromCharCode(33 + random(90));
          damaged[name] = `${damaged[name].slice(0, at)}${letter === damaged[name][at] ? '~' : letter}${damaged[name].slice(at + 1)}`;
        }
        if (bytes.equals(body) && JSON.stringify(damaged) === JSON.stringify(headers)) continue;
        const { notice, status } = await driver.ask('notification', { headers: damaged, body_base64: bytes.toString('base64') });
        assert.ok(['unauthentic', 'unknown_key', 'probe'].includes(notice) && status >= 400, `${i}: ${notice}`);
      }
    });
  });
});
