// A replica that is asked to stop lets its links go one after the other: newcomers at once, those that are up evenly over
// the drain time, each between two turns of its bus.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { sleep, waitFor } from '../../support/wait.mjs';
import { Dtu, MeterOnLine, Site } from './site.mjs';

const LINKS = 8;
const DRAIN_S = 4;
const COUNTS = [100, 10, 20, 30, 40];

let stack, site;
const links = [];
before(async () => {
  stack = await startStack();
  site = await Site.create(stack, { pollSeconds: 5 });
});
after(async () => {
  for (const link of links) link.end();
  await stack?.stop();
});

const spawn = async (env) => {
  const service = await stack.spawnService('ingest', { PENSTOCK_INGEST_DRAIN_S: String(DRAIN_S), ...env });
  await service.ready();
  return service;
};

let nextAddress = 300000000000;
async function linksOf(service, count) {
  const made = [];
  for (let i = 0; i < count; i++) {
    const gateway = await site.addDtu();
    const meter = await site.addMeter(gateway, String(nextAddress++), { protocol: 'dlt645_2007' });
    made.push({ gateway, meter, line: new MeterOnLine(meter.address, COUNTS) });
  }
  await sleep(1500); // the registry looks each second
  for (const one of made) {
    one.link = await new Dtu(service, one.gateway, [one.line]).connect();
    one.link.socket.on('close', () => (one.closedAt = Date.now()));
    links.push(one.link);
  }
  await waitFor(async () => (await openSessions()) === BigInt(count), { what: 'all sessions' });
  return made;
}
const openSessions = () => stack.value('select count(*) from ingest.gateway_session where closed_at is null');

async function isRefused(port) {
  const socket = net.connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('connect', () => (socket.destroy(), resolve(false)));
    socket.once('error', () => resolve(true));
  });
}

test('links are closed evenly over the drain time, newcomers are refused, and the process ends with the last one', async () => {
  const service = await spawn();
  const made = await linksOf(service, LINKS);
  const began = Date.now();
  service.kill('SIGTERM');
  await sleep(700);
  assert.ok(await isRefused(service.ports.tcp), 'nobody is let in');
  assert.equal((await fetch(`http://127.0.0.1:${service.ports.admin}/readyz`)).status, 503);
  const { code } = await service.exited;
  const took = Date.now() - began;
  assert.equal(code, 0);
  assert.ok(took > (DRAIN_S - 1) * 1000 && took < (DRAIN_S + 4) * 1000, `it took ${took} ms`);
  const closed = made.map(({ closedAt }) => closedAt - began).sort((a, b) => a - b);
  closed.forEach((at, i) => {
    const wanted = ((i + 1) * DRAIN_S * 1000) / LINKS;
    assert.ok(Math.abs(at - wanted) < 900, `link ${i} left after ${at} ms, not ${wanted}: ${closed}`);
  });
  assert.equal(await openSessions(), 0n, 'the sessions are free for others');
});

test('a link that is in the middle of a poll ends it first, and the poll is journaled', async () => {
  const service = await spawn({ PENSTOCK_INGEST_DRAIN_S: '1' });
  const [one] = await linksOf(service, 1);
  // Each answer takes most of a second: a poll is longer than the drain.
  one.link.alter = (answer, _, link) => {
    setTimeout(() => link.isClosed || link.socket.write(answer), 700);
    return [];
  };
  await waitFor(() => one.line.asked.at(-1) === 0x0001ff00, { within_ms: 15_000, every_ms: 5, what: 'the question for energy' });
  const polls = async () => (await site.journal()).filter((record) => record.channel === one.meter.channel && record.register === 0).length;
  const before = await polls();
  service.kill('SIGTERM');
  assert.equal((await service.exited).code, 0);
  assert.equal(await polls(), before + 1, 'what was asked was journaled');
});

test('without links it ends at once, and a second signal ends the waiting', async () => {
  const idle = await spawn({ PENSTOCK_INGEST_DRAIN_S: '60' });
  let began = Date.now();
  idle.kill('SIGTERM');
  assert.equal((await idle.exited).code, 0);
  assert.ok(Date.now() - began < 4000, `${Date.now() - began} ms`);
  const busy = await spawn({ PENSTOCK_INGEST_DRAIN_S: '60' });
  await linksOf(busy, 2);
  began = Date.now();
  busy.kill('SIGTERM');
  await sleep(1000);
  assert.ok(busy.isAlive);
  busy.kill('SIGTERM');
  assert.equal((await busy.exited).code, 0);
  assert.ok(Date.now() - began < 6000, `${Date.now() - began} ms`);
});
