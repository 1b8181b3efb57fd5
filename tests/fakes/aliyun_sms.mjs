// A programmable Aliyun SMS: it checks ACS3-HMAC-SHA256 by itself, keeps what it took, and refuses, delays or loses its
// answers on order. `receipts(url)` pushes what became of them, as the provider does.
import { createHash, createHmac, randomUUID } from 'node:crypto';
import http from 'node:http';

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

export class FakeAliyunSms {
  constructor({ keyId = 'LTAI-fake', secret = 'fake-secret' } = {}) {
    Object.assign(this, { keyId, secret, taken: [], orders: [], refused: [] });
  }

  static async start(options) {
    const fake = new FakeAliyunSms(options);
    fake.server = http.createServer((request, response) => fake.answer(request, response));
    await new Promise((resolve) => fake.server.listen(0, '127.0.0.1', resolve));
    fake.url = `http://127.0.0.1:${fake.server.address().port}`;
    return fake;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  config(signName = 'Penstock') {
    return { access_key_id: this.keyId, access_key_secret: this.secret, sign_name: signName, endpoint: this.url };
  }

  // The next calls do as ordered: { code, message } refuses; { lose: true } takes it and never answers; { hang: true }
  // neither takes nor answers; { garbage: true } takes it and answers nonsense.
  order(...orders) {
    this.orders.push(...orders);
  }

  isAuthentic(request, query) {
    const headers = request.headers;
    const names = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1]?.split(';') ?? [];
    for (const name of ['host', 'x-acs-action', 'x-acs-version', 'x-acs-date', 'x-acs-signature-nonce', 'x-acs-content-sha256']) if (!names.includes(name)) return false;
    const sorted = [...query.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => `${encode(k)}=${encode(v)}`).join('&');
    const canonical = [request.method, '/', sorted, ...names.map((name) => `${name}:${headers[name]}`), '', names.join(';'), headers['x-acs-content-sha256']].join('\n');
    const wanted = createHmac('sha256', this.secret).update(`ACS3-HMAC-SHA256\n${sha256(canonical)}`).digest('hex');
    const isFresh = Math.abs(Date.now() - Date.parse(headers['x-acs-date'])) < 900_000;
    return isFresh && headers.authorization === `ACS3-HMAC-SHA256 Credential=${this.keyId},SignedHeaders=${names.join(';')},Signature=${wanted}`;
  }

  answer(request, response) {
    const query = new URL(request.url, this.url).searchParams;
    const say = (body, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ RequestId: randomUUID(), ...body }));
    };
    if (!this.isAuthentic(request, query)) {
      this.refused.push('SignatureDoesNotMatch');
      return say({ Code: 'SignatureDoesNotMatch', Message: 'the signature is not ours' }, 400);
    }
    if (request.headers['x-acs-action'] === 'QuerySendDetails') return say(this.details(query));
    const order = this.orders.shift() ?? {};
    if (order.hang) return undefined;
    if (order.code) {
      this.refused.push(order.code);
      return say({ Code: order.code, Message: order.message ?? order.code });
    }
    const message = { bizId: `${Date.now()}^0`.replace('^0', `^${this.taken.length}`), phone: query.get('PhoneNumbers'), sign: query.get('SignName'), template: query.get('TemplateCode'),
      parameters: JSON.parse(query.get('TemplateParam')), outId: query.get('OutId'), at: new Date().toISOString(), state: 1 };
    this.taken.push(message);
    if (order.lose) return undefined;
    if (order.garbage) return response.end('<html>bad gateway</html>');
    return say({ Code: 'OK', Message: 'OK', BizId: message.bizId });
  }

  details(query) {
    const found = this.taken.filter((each) => each.phone === query.get('PhoneNumber'));
    return { Code: 'OK', TotalCount: found.length, SmsSendDetailDTOs: { SmsSendDetailDTO: found.map((each) => ({ PhoneNum: each.phone, SendStatus: each.state, OutId: each.outId, TemplateCode: each.template, ErrCode: '' })) } };
  }

  // Pushes receipts of the given messages; answers the status it was given.
  async receipts(url, messages, { success = true, code = success ? 'DELIVERED' : 'UNDELIV' } = {}) {
    const china = new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
    for (const each of messages) each.state = success ? 3 : 2;
    const body = messages.map((each) => ({ phone_number: each.phone, send_time: china, report_time: china, success, err_code: code, err_msg: '', sms_size: '1', biz_id: each.bizId, out_id: each.outId }));
    const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal: AbortSignal.timeout(10_000) });
    return { status: answer.status, body: await answer.json().catch(() => null) };
  }
}
