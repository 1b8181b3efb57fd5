#!/usr/bin/env node
// How fast payment notifications are verified and committed, beside what the same disk and the same processors do at best.
//
//   loadtest/notifications [--build build/release] [--seconds 10] [--rate 1000]
//
// Floor: fdatasync of 8 KiB appended, one after the other, in the folder of the database. One connection: notifications one
// after the other over one kept connection; each is a payment of its own. Rate: so many a second over 64 connections, by the
// clock; an answer's time counts from when it was due.
import { randomUUID } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { build: { type: 'string', default: 'build/release' }, seconds: { type: 'string', default: '10' }, rate: { type: 'string', default: '1000' } } });
process.env.PENSTOCK_BUILD_DIR = values.build;
const { Site } = await import('../tests/component/payments/site.mjs');
const SECONDS = Number(values.seconds);
const RATE = Number(values.rate);

function floor(dir, seconds) {
  const file = path.join(dir, 'floor');
  const fd = openSync(file, 'w');
  const bytes = Buffer.alloc(8192, 1);
  const until = performance.now() + seconds * 1000;
  let count = 0;
  for (; performance.now() < until; count++) {
    writeSync(fd, bytes);
    fdatasyncSync(fd);
  }
  closeSync(fd);
  rmSync(file);
  return count / seconds;
}

const site = await Site.start({ env: { PENSTOCK_PAYMENTS_QUERY_AFTER_MS: '600000', PENSTOCK_LOG_LEVEL: 'warn' } });
const shop = await site.company('shop', { accounts: 200 });
const merchant = shop.merchant;
const url = new URL(shop.notifyUrl());

// Payable orders and their signed notifications, made beforehand.
async function make(count) {
  const numbers = Array.from({ length: count }, () => randomUUID().replaceAll('-', ''));
  const chosen = numbers.map((_, i) => shop.accounts[i % shop.accounts.length]);
  await site.stack.query(
    `insert into payments.payment_order (company_id, id, number, account_num, purse_num, property_num, purpose, legal_entity_num, merchant_num, channel, product, payer, client_ip, description,
       amount_micro, currency, request_key, state, handle_kind, handle, handle_valid_to, created_at, expires_at, next_query_at)
     select $1, n::uuid, n, a, p, $2, 'electricity', $3, (select num from core.merchant where id = $4), 'wechat', 'native', '', '', 'E', 50000000, 'CNY', n, 'pending', 'qr', 'x', now() + interval '1 hour', now(),
            now() + interval '1 hour', now() + interval '1 hour'
     from unnest($5::text[], $6::bigint[], $7::bigint[]) as u (n, a, p)`,
    [shop.num, shop.property, shop.entity, merchant.our_id, numbers, chosen.map((one) => one.num), chosen.map((one) => one.purse)]);
  return numbers.map((number) => site.channel.makeNotification(merchant, { event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', plain: {
    mchid: merchant.mchid, appid: merchant.appid, out_trade_no: number, transaction_id: `42${number.slice(0, 26)}`, trade_type: 'NATIVE', trade_state: 'SUCCESS', trade_state_desc: 'x', bank_type: 'OTHERS',
    success_time: new Date().toISOString(), payer: { openid: 'o' }, amount: { total: 5000, payer_total: 5000, currency: 'CNY', payer_currency: 'CNY' } } }));
}

function send(agent, made) {
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, host: url.hostname, port: url.port, path: url.pathname, method: 'POST', headers: { ...made.headers, 'Content-Length': Buffer.byteLength(made.body) } }, (response) => {
      response.resume().on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`answered ${response.statusCode}`))));
    });
    request.on('error', reject).end(made.body);
  });
}

// Seconds of processor time of the service and of its server processes.
async function used() {
  const { rows } = await site.stack.query("select pid from pg_stat_activity where application_name like 'penstock-payments%'");
  const of = (pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  };
  return { service: of(site.payments.process.pid), server: rows.reduce((sum, row) => sum + of(row.pid), 0) };
}

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);

async function oneConnection() {
  const notices = await make(SECONDS * 600);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (const made of notices.splice(0, 50)) await send(agent, made);
  const before = floor(site.stack.dir, 2);
  const began = performance.now();
  let count = 0;
  for (; count < notices.length && performance.now() - began < SECONDS * 1000; count++) await send(agent, notices[count]);
  const rate = count / ((performance.now() - began) / 1000);
  const after = floor(site.stack.dir, 2);
  const sync = (before + after) / 2;
  console.log(`fdatasync ${sync.toFixed(0)}/s (${before.toFixed(0)}, ${after.toFixed(0)}); one connection ${rate.toFixed(0)}/s: ${(rate / sync).toFixed(2)} of it`);
}

async function atRate() {
  const notices = await make(SECONDS * RATE);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  const took = [];
  const before = await used();
  const commits_before = await site.payments.metric('penstock_payments_commits_total');
  const under_way = [];
  const began = performance.now();
  for (let i = 0; i < notices.length; ) {
    const due = Math.floor(((performance.now() - began) / 1000) * RATE);
    for (; i < due && i < notices.length; i++) {
      const due_at = began + (i / RATE) * 1000;
      under_way.push(send(agent, notices[i]).then(() => took.push(performance.now() - due_at)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(under_way);
  const seconds = (performance.now() - began) / 1000;
  const after = await used();
  const each = (name) => (((after[name] - before[name]) * 1000) / took.length).toFixed(2);
  took.sort((a, b) => a - b);
  const commits = (await site.payments.metric('penstock_payments_commits_total')) - commits_before;
  console.log(`${RATE}/s: ${(took.length / seconds).toFixed(0)}/s answered; p50 ${at(took, 0.5)} p90 ${at(took, 0.9)} p99 ${at(took, 0.99)} max ${at(took, 1)} ms; ${(took.length / commits).toFixed(1)} in a commit; processor ${each('service')} ms here and ${each('server')} ms in the server for each`);
}

await oneConnection();
await atRate();
await site.verify();
await site.stop();
