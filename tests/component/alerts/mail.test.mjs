// Mail to a real SMTP server: TLS, log-in, words in any language, and what refusals mean.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';
import { Site } from '../billing/site.mjs';

let stack, alerts, folder, key, certificate;
let count = 0;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'penstock-mail-'));
  [key, certificate] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'ignore' });
  stack = await startStack({ exclusive: true });
  alerts = await stack.spawnService('alerts');
  await alerts.ready();
});
after(async () => {
  await stack?.stop();
  rmSync(folder, { recursive: true });
});

// A server that keeps what it took; `hooks` override smtp-server's own.
async function startServer(hooks = {}) {
  const { readFileSync } = await import('node:fs');
  const taken = [];
  const server = new SMTPServer({
    key: readFileSync(key), cert: readFileSync(certificate), authOptional: true, logger: false, allowInsecureAuth: false,
    onAuth: (auth, session, done) => (auth.username === 'user' && auth.password === 'geheim' ? done(null, { user: 'user' }) : done(Object.assign(new Error('no'), { responseCode: 535 }))),
    onData: (stream, session, done) => {
      let raw = '';
      stream.setEncoding('latin1').on('data', (text) => (raw += text)).on('end', () => {
        taken.push({ raw, from: session.envelope.mailFrom.address, to: session.envelope.rcptTo.map((each) => each.address), isSecure: session.secure, user: session.user });
        done();
      });
    },
    ...hooks,
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.on('error', () => {});
  return { server, taken, port: server.server.address().port, stop: () => new Promise((resolve) => server.close(resolve)) };
}

async function makeSite(port, config = {}) {
  const site = await Site.make(stack, { code: `mail-${++count}` });
  await site.addPoints(1);
  const file = path.join(folder, `config-${count}.json`);
  writeFileSync(file, JSON.stringify({ host: '127.0.0.1', port, from: 'alerts@penstock.example', from_name: '海港物业', ca_file: certificate, ...config }));
  const set = await stack.ctl(['channel', 'set', '--company', `mail-${count}`, '--channel', 'mail', '--provider', 'smtp', '--config', file]);
  assert.equal(set.code, 0, set.stderr);
  const customer = await stack.value('select num from core.customer where company_id = $1', [site.company]);
  await stack.query("update core.customer set name = '张三' where num = $1", [customer]);
  await stack.query("insert into core.customer_contact (company_id, id, customer_num, channel, address) values ($1, $2, $3, 'mail', 'zhang@example.com')", [site.company, randomUUID(), customer]);
  await stack.query("insert into core.alert_rule (company_id, kind, chain) values ($1, 'alarm_2', '{mail}')", [site.company]);
  site.purse = await stack.value('select num from core.purse where company_id = $1 limit 1', [site.company]);
  return site;
}

async function fall(site) {
  await stack.query(`insert into billing.purse (num, company_id, account_num, property_num, purpose, currency, balance_micro, alarm_1_micro, alarm_2_micro, overdraft_micro, level, updated_at)
    select p.num, p.company_id, p.account_num, a.property_num, p.purpose, p.currency, 9500000, 50000000, 20000000, 0, 2, now() from core.purse p join core.account a on a.company_id = p.company_id and a.num = p.account_num where p.num = $1`, [site.purse]);
  const id = randomUUID();
  await stack.query(`insert into billing.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at) values ($1, $2, 'balances', 'level_changed', $3, 1, $4, now())`,
    [id, site.company, site.purse, JSON.stringify({ purse: Number(site.purse), account: 1, property: 1, purpose: 'electricity', balance_micro: '9500000', currency: 'CNY', level: 2, level_version: 1 })]);
  await stack.redis('XADD', 'balances', '*', 'e', id);
  const row = await waitFor(async () => {
    const found = (await stack.query("select state, reason, attempts from alerts.message where company_id = $1", [site.company])).rows[0];
    return found && (!['queued', 'sending'].includes(found.state) || found.attempts > 0 && found.state === 'queued') && found;
  }, { what: 'the mail', within_ms: 30_000 });
  return row;
}

const decodeWords = (text) => text.replace(/\?=\s+=\?/g, '?==?').replace(/=\?UTF-8\?B\?([^?]+)\?=/g, (_, base64) => Buffer.from(base64, 'base64').toString());
const decodeQuoted = (text) => Buffer.from(text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString('utf8');

test('by STARTTLS with a log-in, in Chinese, as text and HTML, and it counts as delivered', async () => {
  const smtp = await startServer();
  const site = await makeSite(smtp.port, { user: 'user', password: 'geheim' });
  assert.equal((await fall(site)).state, 'delivered');
  const [mail] = smtp.taken;
  assert.deepEqual([mail.from, mail.to, mail.isSecure, mail.user], ['alerts@penstock.example', ['zhang@example.com'], true, 'user']);
  const [head, ...rest] = mail.raw.split('\r\n\r\n');
  const headers = Object.fromEntries(head.replace(/\r\n[ \t]/g, ' ').split('\r\n').map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]));
  assert.equal(decodeWords(headers.subject), 'B 101 余额即将用完');
  assert.equal(decodeWords(headers.from), '海港物业 <alerts@penstock.example>');
  assert.ok(Math.abs(Date.parse(headers.date) - Date.now()) < 60_000, headers.date);
  assert.match(headers['message-id'], /^<[0-9a-f-]{36}@penstock\.example>$/);
  assert.match(headers['content-type'], /^multipart\/alternative/);
  for (const line of head.split('\r\n')) assert.ok(line.length <= 998);
  const body = decodeQuoted(rest.join('\r\n\r\n'));
  assert.match(body, /张三您好：B 101/);
  assert.match(body, /9\.50 CNY/);
  assert.match(body, /<p>/);
  assert.equal(await stack.value('select count(*)::int from alerts.delivered_warning where company_id = $1 and level = 2', [site.company]), 1);
  await smtp.stop();
});

test('never without TLS, never to a server that proves another name, never with a wrong password', async () => {
  const plain = await startServer({ hideSTARTTLS: true, disabledCommands: ['STARTTLS'] });
  assert.equal((await fall(await makeSite(plain.port))).state, 'queued', 'it waits');
  assert.equal(plain.taken.length, 0);
  await plain.stop();
  const stranger = await startServer();
  assert.equal((await fall(await makeSite(stranger.port, { ca_file: '/etc/ssl/certs/ca-certificates.crt' }))).state, 'queued');
  assert.equal(stranger.taken.length, 0);
  const wrong = await fall(await makeSite(stranger.port, { user: 'user', password: 'falsch' }));
  assert.equal(wrong.state, 'failed');
  assert.match(wrong.reason, /log-in/);
  await stranger.stop();
});

const refusals = [
  ['an unknown mailbox', 550, '5.1.1 no such user', 'failed', true],
  ['greylisting', 451, '4.7.1 try again later', 'queued', false],
  ['a full mailbox', 452, '4.2.2 full', 'queued', false],
  ['a policy', 554, '5.7.1 rejected by policy', 'failed', false],
];
for (const [what, responseCode, message, state, isBad] of refusals) {
  test(`${what}: ${responseCode}`, async () => {
    const smtp = await startServer({ onRcptTo: (address, session, done) => done(Object.assign(new Error(message), { responseCode })) });
    const site = await makeSite(smtp.port);
    assert.equal((await fall(site)).state, state);
    assert.equal((await stack.value("select bad_since is not null from core.customer_contact where company_id = $1", [site.company])), isBad);
    await smtp.stop();
  });
}

test('a server that falls silent after the mail: unknown, and not sent again', async () => {
  const smtp = await startServer({ onData: (stream, session, done) => stream.resume().on('end', () => { smtp.taken.push(1); session.hold = done; smtp.server.close(() => {}); for (const each of smtp.server.connections) each._socket?.destroy(); }) });
  const site = await makeSite(smtp.port);
  assert.equal((await fall(site)).state, 'unknown');
  assert.equal(smtp.taken.length, 1);
});

test('a configuration that breaks a rule is named in the log and sends nothing', async () => {
  const site = await makeSite(1, { security: 'perhaps' });
  const row = await fall(site);
  assert.equal(row.state, 'failed');
  assert.ok(alerts.logs.some((line) => line.place === '/security'), alerts.tail());
});
