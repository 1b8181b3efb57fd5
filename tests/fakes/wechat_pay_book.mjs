// What WeChat Pay knows and allows: merchants, orders, refunds. Each call answers { status, body }; a refusal is thrown.
import { newKeyPair, makeCertificate, newSerial } from './certificates.mjs';
import { beijing, newNonce, seal } from './wechat_pay_messages.mjs';

export class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const refuse = (status, code, message) => {
  throw new Refusal(status, code, message);
};
const parameter = (message) => refuse(400, 'PARAM_ERROR', message);

const bytes = (text) => Buffer.byteLength(text);
const text = (max, pattern) => (value, at) => {
  if (typeof value !== 'string' || value === '' || bytes(value) > max || (pattern && !pattern.test(value))) parameter(`${at} is malformed`);
};
const fen = (value, at) => {
  if (!Number.isSafeInteger(value) || value < 1) parameter(`${at} is no positive integer`);
};
const number = (max) => text(max, /^[0-9A-Za-z_\-|*]+$/);
const url = text(255, /^https?:\/\/[^?#\s]+$/);
const currency = text(16, /^CNY$/);
const optional = (check) => Object.assign((value, at) => value === undefined || check(value, at), { optional: true });

// Refuses members that are not named, also null ones.
function check(value, shape, at = '') {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) parameter(`${at || 'the body'} is no object`);
  for (const key of Object.keys(value)) if (!(key in shape)) parameter(`illegal extra parameter ${at}${key}`);
  for (const [key, rule] of Object.entries(shape)) {
    if (value[key] === undefined && !rule.optional) parameter(`${at}${key} is missing`);
    if (typeof rule === 'function') rule(value[key], `${at}${key}`);
    else check(value[key], rule, `${at}${key}/`);
  }
}

const PAYERS = { openid: text(128) };
const SCENE = { payer_client_ip: text(45, /^(?!127\.|::1$)[0-9a-fA-F.:]+$/), h5_info: { type: text(8, /^(Wap|iOS|Android)$/) } };

export class Book {
  constructor(now) {
    this.now = now;
    this.merchants = new Map();
    this.orders = new Map();
    this.refunds = new Map();
    this.tokens = new Map();
    this.counter = 0;
  }

  // Answers what the merchant's own side needs: keys, certificate, serials, the APIv3 key.
  addMerchant({ mchid, appid = `wx${newNonce(16).toLowerCase()}`, sub_mchid, sub_appid, key_mode = 'public', balance_fen = Infinity, keys = {} }) {
    const pair = keys.pair ?? newKeyPair();
    const serial = keys.serial ?? newSerial();
    const platform = keys.platform ?? newKeyPair();
    const platform_serial = keys.platform_serial ?? newSerial();
    const merchant = {
      mchid,
      appid,
      subs: new Map(sub_mchid ? [[sub_mchid, { sub_appid }]] : []),
      sub_mchid,
      sub_appid,
      is_partner: Boolean(sub_mchid),
      key_mode,
      balance_fen,
      apiv3_key: keys.apiv3_key ?? newNonce(32),
      serial,
      private_key: pair.privateKey,
      certificate: makeCertificate({ common: mchid, serial, publicKey: pair.publicKey, privateKey: pair.privateKey }),
      request_keys: new Map([[serial, pair.publicKey]]),
      signers: new Map(),
    };
    const public_pair = keys.public_pair ?? newKeyPair();
    merchant.public_key_id = keys.public_key_id ?? `PUB_KEY_ID_01${String(Math.random()).slice(2, 12)}${String(++this.counter).padStart(12, '0')}`;
    merchant.public_key = public_pair.publicKey;
    merchant.platform_serial = platform_serial;
    merchant.platform_certificate = this.addCertificate(merchant, platform_serial, platform);
    merchant.signers.set(merchant.public_key_id, { kind: 'public', private_key: public_pair.privateKey, public_key: public_pair.publicKey });
    merchant.notify_with = key_mode === 'certificate' ? platform_serial : merchant.public_key_id;
    merchant.keys = { pair, serial, platform, platform_serial, public_pair, public_key_id: merchant.public_key_id, apiv3_key: merchant.apiv3_key };
    this.merchants.set(mchid, merchant);
    return merchant;
  }

  addCertificate(merchant, serial = newSerial(), pair = newKeyPair()) {
    const certificate = makeCertificate({ common: 'Tenpay.com sign', serial, publicKey: pair.publicKey, privateKey: pair.privateKey });
    merchant.signers.set(serial, { kind: 'certificate', certificate, private_key: pair.privateKey, public_key: pair.publicKey });
    return certificate;
  }

  newId(prefix) {
    return `${prefix}${beijing(this.now()).slice(0, 10).replace(/-/g, '')}${String(++this.counter).padStart(10, '0')}${newNonce(4).replace(/\D/g, '7')}`;
  }

  key(mchid, out_trade_no) {
    return `${mchid}/${out_trade_no}`;
  }

  find(out_trade_no) {
    for (const order of this.orders.values()) if (order.out_trade_no === out_trade_no) return order;
    return undefined;
  }

  // Unpaid orders close themselves at their deadline.
  state(order) {
    if (order.state === 'NOTPAY' && this.now() >= order.expires_at) order.state = 'CLOSED';
    return order.state;
  }

  create(merchant, product, path_is_partner, body) {
    const partner = merchant.is_partner;
    if (partner !== path_is_partner) refuse(400, 'INVALID_REQUEST', 'the path is not of this kind of merchant');
    const ids = partner
      ? { sp_appid: text(32), sp_mchid: text(32), sub_appid: optional(text(32)), sub_mchid: text(32) }
      : { appid: text(32), mchid: text(32) };
    const payer = !partner ? PAYERS : body?.payer?.sub_openid !== undefined ? { sub_openid: text(128) } : { sp_openid: text(128) };
    check(body, {
      ...ids,
      description: text(127),
      out_trade_no: number(32),
      time_expire: optional(text(64, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\+\d\d:\d\d|Z)$/)),
      attach: optional(text(128)),
      notify_url: url,
      amount: { total: fen, currency: optional(currency) },
      ...(product === 'jsapi' ? { payer } : {}),
      ...(product === 'h5' ? { scene_info: SCENE } : {}),
    });
    if (body.out_trade_no.length < 6) parameter('out_trade_no is too short');
    if ((body.mchid ?? body.sp_mchid) !== merchant.mchid || (body.appid ?? body.sp_appid) !== merchant.appid) refuse(400, 'APPID_MCHID_NOT_MATCH', 'appid and mchid do not belong together');
    if (partner) {
      const sub = merchant.subs.get(body.sub_mchid);
      if (!sub) refuse(403, 'NO_AUTH', 'the sub-merchant has no relation to the service provider');
      if (body.sub_appid !== undefined && body.sub_appid !== sub.sub_appid) refuse(400, 'APPID_MCHID_NOT_MATCH', 'sub_appid is not the sub-merchant’s');
      if (body.payer?.sub_openid && !body.sub_appid) parameter('sub_openid needs sub_appid');
    }
    const content = JSON.stringify({ product, ...body });
    const key = this.key(merchant.mchid, body.out_trade_no);
    let order = this.orders.get(key);
    if (order) {
      const state = this.state(order);
      if (state === 'SUCCESS' || state === 'REFUND') refuse(400, 'ORDER_PAID', 'the order is paid');
      if (state === 'CLOSED') refuse(400, 'ORDER_CLOSED', 'the order is closed');
      if (order.content !== content) refuse(400, 'INVALID_REQUEST', 'the order number was used with other parameters');
      if (order.token) this.tokens.delete(order.token);
    } else {
      const expires_at = body.time_expire ? Date.parse(body.time_expire) : this.now() + 7 * 86_400_000;
      if (expires_at <= this.now()) parameter('time_expire has passed');
      order = { ...body, merchant, product, content, state: 'NOTPAY', expires_at, created_at: this.now(), refunded_fen: 0 };
      this.orders.set(key, order);
    }
    order.token = `wx${newNonce(34)}`;
    this.tokens.set(order.token, order);
    return { order };
  }

  ids(order) {
    return order.merchant.is_partner
      ? { sp_appid: order.sp_appid, sp_mchid: order.sp_mchid, ...(order.sub_appid ? { sub_appid: order.sub_appid } : {}), sub_mchid: order.sub_mchid }
      : { appid: order.appid, mchid: order.mchid };
  }

  // What a query and a payment's notification tell about an order.
  describe(order) {
    const trade_state = this.state(order);
    const told = { ...this.ids(order), out_trade_no: order.out_trade_no, trade_state, trade_state_desc: trade_state === 'SUCCESS' ? '支付成功' : trade_state };
    if (!order.paid) return told;
    const { payer_total = order.amount.total, openid = 'oTestPayer', transaction_id, at } = order.paid;
    const payer = order.merchant.is_partner ? { sp_openid: openid } : { openid };
    return {
      ...told,
      transaction_id,
      trade_type: { native: 'NATIVE', jsapi: 'JSAPI', h5: 'MWEB' }[order.product],
      bank_type: 'OTHERS',
      ...(order.attach ? { attach: order.attach } : {}),
      success_time: beijing(at),
      payer: order.payer ?? payer,
      amount: { total: order.amount.total, payer_total, currency: 'CNY', payer_currency: 'CNY' },
    };
  }

  owned(merchant, out_trade_no, query) {
    const named = merchant.is_partner ? query.get('sp_mchid') : query.get('mchid');
    if (named !== merchant.mchid) refuse(400, 'PARAM_ERROR', 'the merchant number of the query is another');
    const order = this.orders.get(this.key(merchant.mchid, out_trade_no));
    if (!order || (merchant.is_partner && order.sub_mchid !== query.get('sub_mchid'))) refuse(404, 'ORDER_NOT_EXIST', 'no such order');
    return order;
  }

  close(merchant, out_trade_no, body) {
    check(body, merchant.is_partner ? { sp_mchid: text(32), sub_mchid: text(32) } : { mchid: text(32) });
    const order = this.owned(merchant, out_trade_no, new URLSearchParams(body));
    const state = this.state(order);
    if (state === 'SUCCESS' || state === 'REFUND') refuse(400, 'ORDERPAID', 'the order is paid');
    order.state = 'CLOSED';
  }

  pay(order, { payer_total, openid, at = this.now(), force = false } = {}) {
    const state = this.state(order);
    if (state !== 'NOTPAY' && !force) refuse(400, state === 'CLOSED' ? 'ORDER_CLOSED' : 'ORDER_PAID', `the order is ${state}`);
    order.paid = { payer_total, openid, at, transaction_id: this.newId('42') };
    order.state = 'SUCCESS';
    if (Number.isFinite(order.merchant.balance_fen)) order.merchant.balance_fen += order.amount.total;
  }

  refund(merchant, body) {
    check(body, {
      ...(merchant.is_partner ? { sub_mchid: text(32) } : {}),
      out_trade_no: optional(number(32)),
      transaction_id: optional(text(32)),
      out_refund_no: number(64),
      reason: optional(text(80)),
      notify_url: optional(url),
      amount: { refund: fen, total: fen, currency },
    });
    if ((body.out_trade_no === undefined) === (body.transaction_id === undefined)) parameter('out_trade_no or transaction_id, and only one');
    const order = [...this.orders.values()].find(
      (one) => one.merchant === merchant && (one.out_trade_no === body.out_trade_no || (body.transaction_id && one.paid?.transaction_id === body.transaction_id)),
    );
    if (!order?.paid || (merchant.is_partner && order.sub_mchid !== body.sub_mchid)) refuse(404, 'RESOURCE_NOT_EXISTS', 'no such paid order');
    const key = this.key(merchant.mchid, body.out_refund_no);
    const content = JSON.stringify(body);
    const known = this.refunds.get(key);
    if (known && known.content !== content) refuse(400, 'INVALID_REQUEST', 'the refund number was used with other parameters');
    if (known) return known;
    if (body.amount.total !== order.amount.total) refuse(400, 'INVALID_REQUEST', 'the total is not the order’s');
    if (order.refunded_fen + body.amount.refund > order.amount.total) refuse(403, 'TRADE_ERROR', 'more than the order’s rest');
    if ([...this.refunds.values()].filter((one) => one.order === order).length >= 50) refuse(403, 'RULE_LIMIT', 'more than 50 refunds of one order');
    if (body.amount.refund > merchant.balance_fen) refuse(403, 'NOT_ENOUGH', 'the balance does not cover it');
    merchant.balance_fen -= body.amount.refund;
    order.refunded_fen += body.amount.refund;
    order.state = 'REFUND';
    const refund = { order, content, out_refund_no: body.out_refund_no, amount: body.amount, notify_url: body.notify_url, status: 'PROCESSING', refund_id: this.newId('50'), at: this.now() };
    this.refunds.set(key, refund);
    return refund;
  }

  settle(refund, status) {
    refund.status = status;
    refund.success_at = this.now();
    if (status !== 'CLOSED') return;
    refund.order.refunded_fen -= refund.amount.refund;
    refund.order.merchant.balance_fen += refund.amount.refund;
    if (refund.order.refunded_fen === 0) refund.order.state = 'SUCCESS';
  }

  findRefund(merchant, out_refund_no) {
    return this.refunds.get(this.key(merchant.mchid, out_refund_no)) ?? refuse(404, 'RESOURCE_NOT_EXISTS', 'no such refund');
  }

  describeRefund(refund) {
    return {
      refund_id: refund.refund_id,
      out_refund_no: refund.out_refund_no,
      transaction_id: refund.order.paid.transaction_id,
      out_trade_no: refund.order.out_trade_no,
      channel: 'ORIGINAL',
      user_received_account: '支付用户零钱',
      create_time: beijing(refund.at),
      ...(refund.status === 'SUCCESS' ? { success_time: beijing(refund.success_at) } : {}),
      status: refund.status,
      funds_account: 'AVAILABLE',
      amount: {
        ...refund.amount,
        payer_total: refund.amount.total,
        payer_refund: refund.amount.refund,
        settlement_total: refund.amount.total,
        settlement_refund: refund.amount.refund,
        discount_refund: 0,
      },
      promotion_detail: [],
    };
  }

  describeRefundNotice(refund) {
    const { order } = refund;
    const { total, refund: amount } = refund.amount;
    const ids = order.merchant.is_partner ? { sp_mchid: order.sp_mchid, sub_mchid: order.sub_mchid } : { mchid: order.mchid };
    return {
      ...ids,
      out_trade_no: order.out_trade_no,
      transaction_id: order.paid.transaction_id,
      out_refund_no: refund.out_refund_no,
      refund_id: refund.refund_id,
      refund_status: refund.status,
      ...(refund.status === 'SUCCESS' ? { success_time: beijing(refund.success_at) } : {}),
      user_received_account: '支付用户零钱',
      amount: { total, refund: amount, payer_total: total, payer_refund: amount },
    };
  }

  certificates(merchant) {
    if (merchant.key_mode === 'public') refuse(404, 'RESOURCE_NOT_EXISTS', 'no platform certificate can be used');
    const data = [...merchant.signers]
      .filter(([, signer]) => signer.kind === 'certificate')
      .map(([serial_no, { certificate }]) => ({
        serial_no,
        effective_time: beijing(this.now() - 86_400_000),
        expire_time: beijing(this.now() + 5 * 365 * 86_400_000),
        encrypt_certificate: seal(merchant.apiv3_key, certificate, { associated_data: 'certificate' }),
      }));
    return { data };
  }
}
