// Every provider's counterpart in the conformance suite, by the name in providers.def: a provider without one fails it. A
// counterpart has: start() → { channel, settings (for `open`), order(members), makeNotice(…) … } as used by conformance.test.mjs.
import { FakeWeChatPay } from '../../../fakes/wechat_pay.mjs';

let counter = 0;
export const newNumber = (prefix = 'T') => `${prefix}${process.pid}${Date.now().toString(36)}${++counter}`.slice(0, 32);

// What `open` takes, for a merchant of the fake.
export function wechatSettings(channel, merchant, { notify_url = 'http://127.0.0.1:9/notify/wechat/m1', verify_with = ['public'], ...others } = {}) {
  const keys = [
    { use: 'signing', version: 1, serial: '', material: merchant.private_key },
    { use: 'signing_certificate', version: 1, serial: '', material: merchant.certificate },
    { use: 'symmetric', version: 1, serial: '', material: merchant.apiv3_key },
  ];
  if (verify_with.includes('public')) keys.push({ use: 'channel_public', version: 1, serial: merchant.public_key_id, material: merchant.public_key });
  if (verify_with.includes('certificate')) keys.push({ use: 'channel_certificate', version: 1, serial: '', material: merchant.platform_certificate });
  return {
    provider: 'wechat',
    mode: merchant.is_partner ? 'partner' : 'direct',
    merchant: merchant.mchid,
    sub_merchant: merchant.sub_mchid ?? '',
    app: merchant.appid,
    sub_app: merchant.sub_appid ?? '',
    base_url: channel.url,
    standby_url: '',
    notify_url,
    keys,
    ...others,
  };
}

async function wechat(options = {}) {
  const channel = await FakeWeChatPay.start({ auto_notify: false });
  const merchant = channel.addMerchant({ mchid: '1900000001', appid: 'wx1111222233334444', ...options });
  const other = channel.addMerchant({ mchid: '1900000002', appid: 'wx5555666677778888' });
  const payment = (number) => ({ event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain: channel.book.describe(channel.book.find(number)) });
  const refund = (number) => {
    const one = [...channel.book.refunds.values()].find(({ out_refund_no }) => out_refund_no === number);
    return { event_type: `REFUND.${one.status}`, original_type: 'refund', plain: channel.book.describeRefundNotice(one) };
  };
  const asRead = ({ headers, body }) => ({ headers, body_base64: Buffer.from(body).toString('base64') });
  return {
    channel,
    merchant,
    settings: wechatSettings(channel, merchant),
    orders: { native: {}, jsapi: { payer: 'oPayer1' }, h5: { client_ip: '203.0.113.7' } },
    currency: 'CNY',
    smallest_micro: 10_000,
    pay: (number, options) => channel.pay(number, options),
    settleRefund: (number, state) => channel.settleRefund(number, { refunded: 'SUCCESS', refund_closed: 'CLOSED', refund_abnormal: 'ABNORMAL' }[state]),
    emptyBalance: () => (merchant.balance_fen = 0),
    fillBalance: () => (merchant.balance_fen = Infinity),
    notice: (number, plan = { act: 'obey' }, id) => asRead(channel.makeNotification(merchant, { id, ...payment(number), plan })),
    refundNotice: (number, plan = { act: 'obey' }) => asRead(channel.makeNotification(merchant, { ...refund(number), plan })),
    foreignNotice: (number) => asRead(channel.makeNotification(other, payment(number))),
    plan: (plan) => channel.plan(plan),
    stop: () => channel.stop(),
  };
}

export const COUNTERPARTS = { wechat };
