// The demo, charged by billing, proven by `ledger verify`; and that the proof finds what was changed behind its back.
import assert from 'node:assert/strict';
import { readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';
import pg from 'pg';

const METERS = 60;
const DAYS = 40; // over the end of a month, so that month tiers begin anew

let stack, billing, fleetFile, loaded;

before(async () => {
  stack = await startStack();
  fleetFile = path.join(stack.dir, 'fleet.json');
});
after(() => stack.stop());

async function open(database) {
  const client = new pg.Client({ host: stack.sockets, user: 'postgres', database });
  await client.connect();
  return client;
}

const load = (...args) => stack.ctl(['demo', 'load', '--meters', String(METERS), '--days', String(DAYS), '--fleet-out', fleetFile, ...args]);
const decimal = (text) => {
  const [whole, fraction = ''] = text.replace('-', '').split('.');
  return (text.startsWith('-') ? -1n : 1n) * BigInt(whole + fraction.padEnd(30, '0'));
};

const count = async (table) => Number(await stack.value(`select count(*) from ${table}`));

test('two loads at once: one loads, the other says so', async () => {
  const answers = await Promise.all([load(), load('--fleet-out', `${fleetFile}.other`)]);
  for (const { code, stderr } of answers) assert.equal(code, 0, stderr);
  loaded = answers.find(({ stdout }) => /history/.test(stdout));
  const second = answers.find(({ stdout }) => /loaded before/.test(stdout));
  assert.ok(loaded && second);
  assert.deepEqual(JSON.parse(await readFile(fleetFile, 'utf8')), JSON.parse(await readFile(`${fleetFile}.other`, 'utf8')));
  await rm(`${fleetFile}.other`);
});

test('what was loaded', async () => {
  assert.equal(await count('core.company'), 2);
  assert.equal(await count('core.property'), 3);
  assert.equal(await count('core.meter'), METERS);
  assert.equal(await count('core.channel_installation'), METERS);
  assert.equal(Number(await stack.value('select sum(record_count) from ingest.reading_block')), METERS * DAYS * 24);
  assert.equal(await stack.value("select count(distinct partition)::integer from core.property"), 3);
  assert.equal(await stack.value("select kind from core.calendar_day where calendar_name = 'cn-public' and day = '2026-10-10'"), 'workday');
  const passwords = [...loaded.stdout.matchAll(/log-in\s+company (\S+)\s+operator (\S+)\s+password (\S+)/g)];
  assert.deepEqual(passwords.map(([, company, login]) => `${company}/${login}`).sort(), ['haigang/manager', 'haigang/viewer', 'xuefu/manager', 'xuefu/viewer']);
  assert.equal(new Set(passwords.map(([, , , password]) => password)).size, 4);
  assert.equal(await stack.value("select count(*)::integer from core.operator where password_hash like '$argon2id$%'"), 4);
});

test('secrets are sealed, the file with them is private', async () => {
  const fleet = JSON.parse(await readFile(fleetFile, 'utf8'));
  assert.equal((await stat(fleetFile)).mode & 0o777, 0o600);
  assert.equal(fleet.gateways.flatMap(({ meters }) => meters).length, METERS);
  const push = fleet.gateways.filter(({ kind }) => kind === 'http');
  for (const { secret } of push) {
    assert.match(secret, /^[0-9a-f]{64}$/);
    assert.equal(await stack.value('select count(*)::integer from core.gateway where position($1 in secret_sealed) > 0', [Buffer.from(secret, 'hex')]), 0);
  }
  for (const { registration } of fleet.gateways.filter(({ kind }) => kind === 'dtu')) assert.ok(registration.length >= 16);
  assert.equal(await stack.value("select count(*)::integer from core.meter where password_sealed is null or position('02000000'::bytea in password_sealed) > 0"), 0);
});

test('bad wishes are refused', async () => {
  for (const args of [['--meters', '0'], ['--meters', 'many'], ['--days', '4000'], ['--colour', 'red'], ['--days']]) {
    const { code, stderr } = await stack.ctl(['demo', 'load', ...args]);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, new RegExp(args[0]));
  }
  const keyless = await stack.ctl(['demo', 'load'], { env: { PENSTOCK_MASTER_KEY_FILE: '' } });
  assert.equal(keyless.code, 2);
  assert.match(keyless.stderr, /PENSTOCK_MASTER_KEY_FILE/);
});

test('billing charges all of it, without alarms from the past', async () => {
  billing = await stack.spawnService('billing');
  await billing.ready();
  await waitFor(async () => (await count('billing.reading')) === METERS * DAYS * 24, { what: 'all readings charged', within_ms: 60_000, every_ms: 200 });
  const { rows } = await stack.query('select level, count(*)::integer as n from billing.purse group by level order by level');
  assert.deepEqual(rows.map(({ level }) => level), [0, 1, 2, 3], 'balances of every level');
  assert.ok((await count('core.usage_point')) > (await count('billing.purse')), 'some rooms are not opened');
  assert.equal(await stack.value("select count(*)::integer from billing.outbox where type = 'level_changed'"), 0);
  assert.equal(await count('billing.quarantine'), 0);
  await waitFor(async () => (await count('billing.day')) >= METERS * DAYS, { what: 'all days packed', within_ms: 60_000, every_ms: 200 });
  assert.equal(await count('billing.dead_letter'), 0);
});

test('status tells it', async () => {
  const status = JSON.parse((await stack.ctl(['status', '--json'])).stdout);
  assert.equal(status.readings_waiting, 0);
  assert.equal(status.meters, METERS);
  assert.deepEqual(status.replicas.map(({ service, is_alive: isAlive }) => [service, isAlive]), [['billing', true]]);
  const today = await stack.value('select sum(day_amount_micro)::bigint from billing.point where day_start > now() - interval \'24 hours\'');
  assert.equal(decimal(status.charged_today.CNY), today * 10n ** 24n);
  assert.match((await stack.ctl(['status', '--line'])).stdout, /^0 of 60 meters online · .* readings\/s · charged today [0-9.]+ CNY\n$/);
});

const verify = (...args) => stack.ctl(['ledger', 'verify', ...args]);

test('the ledger is proven', async () => {
  const { code, stdout, stderr } = await verify();
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /the ledger is proven/);
  assert.match(stdout, new RegExp(`readings charged again +${METERS * DAYS * 24}`));
  assert.equal((await verify('--company', 'haigang')).code, 0);
  assert.match(stdout, new RegExp(`claimed records are stored or set aside +${METERS * DAYS * 24}`));
  const unknown = await verify('--company', 'nobody');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /nobody/);
});

test('every charge of a room on each tariff is explained', async () => {
  const { rows } = await stack.query(`
    select distinct on (t.code, c.from_at::date) c.id, c.amount_micro, t.code
    from billing.charge c
    join core.tariff_version v on v.num = c.tariff_version_num join core.tariff t on t.num = v.tariff_num
    where c.account_num <> 0 order by t.code, c.from_at::date, c.id`);
  assert.equal(new Set(rows.map(({ code }) => code)).size, 4);
  for (const { id, amount_micro: amount } of rows) {
    const { code, stdout, stderr } = await stack.ctl(['charge', 'explain', String(id), '--json', '--lang', 'zh']);
    assert.equal(code, 0, stderr);
    const why = JSON.parse(stdout);
    const sum = why.lines.reduce((total, line) => total + decimal(line.amount_after), 0n);
    assert.equal(sum, decimal(why.unrounded_total));
    assert.equal(decimal(why.total) - decimal(why.already_charged), decimal(why.charge.amount));
    assert.equal(decimal(why.charge.amount), amount * 10n ** 24n);
    assert.match(why.sentences[0], /示数由/);
  }
  const text = await stack.ctl(['charge', 'explain', String(rows[0].id)]);
  assert.match(text.stdout, /were charged before, so .* are charged now\.\n$/);
  assert.equal((await stack.ctl(['charge', 'explain', '12'])).code, 1);
  assert.equal((await stack.ctl(['charge', 'explain', 'x'])).code, 2);
});

// Each is done as the superuser in a copy of the database.
const TAMPERINGS = [
  ['a balance', 'update billing.purse set balance_micro = balance_micro + 1 where num = (select min(num) from billing.purse)', /purse \d+ shows/],
  ['a level', 'update billing.purse set level = (level + 1) % 4 where num = (select max(num) from billing.purse)', /has level/],
  ['a charge that is gone', 'delete from billing.charge where id = (select max(id) from billing.charge where amount_micro > 0)', /has no charge/],
  ['a transfer that is gone', 'delete from billing.transfer where id = (select max(id) from billing.transfer where kind = 1)', /has no transfer/],
  ['an amount on both sides', `
    with dearer as (update billing.charge set amount_micro = amount_micro + 10000
                    where id = (select max(id) from billing.charge where amount_micro > 0) returning id, purse_num),
    moved as (update billing.transfer t set amount_micro = t.amount_micro + 10000 from dearer where t.id = dearer.id returning t.debit_num)
    update billing.purse p set balance_micro = balance_micro - 10000 from moved where p.num = moved.debit_num`, /charging again gives/],
  ['a stored reading', `
    update billing.reading set value = value + 10
    where (channel_num, read_at) = (select channel_num, max(read_at) from billing.reading r
                                    where read_at < (select max(read_at) from billing.reading) - interval '30 hours' group by channel_num order by channel_num limit 1)`,
  /charging again gives|was charged/],
  ['a sale nobody posted', 'delete from billing.posting where key = (select min(key) from billing.posting)', /0 postings name it/],
  ['a block that is gone', 'delete from ingest.reading_block where id = (select min(id) from ingest.reading_block)', /in the journal 0 times/],
  ['a reading stored twice', 'insert into billing.reading select * from billing.reading order by channel_num, read_at limit 1', /stored 2 times/],
  ['a reading that is gone', `
    delete from billing.reading where (channel_num, read_at) = (select channel_num, read_at from billing.reading order by read_at, channel_num offset 5 limit 1)`,
  /was claimed but is neither stored nor set aside/],
  ['a packed day', `
    update billing.day set readings = set_byte(readings, length(readings) - 1, (get_byte(readings, length(readings) - 1) + 2) % 128)
    where (usage_point_num, day) = (select usage_point_num, day from billing.day order by usage_point_num, day limit 1)`,
  /differ between row and packed day|cannot be read/],
  ['a charge moved in time', `update billing.charge set to_at = to_at + interval '1 second'
    where id = (select min(id) from billing.charge)`, /begins at/],
];

test('whatever is changed behind its back is found', async () => {
  await billing.stop();
  for (const client of stack.clients.values()) await client.end(); // a copy wants the original to itself
  stack.clients.clear();
  const admin = await open('postgres');
  for (const [at, [what, statement, reason]] of TAMPERINGS.entries()) {
    const copy = `${stack.database}_t${at}`;
    await admin.query(`create database ${copy} template ${stack.database}`);
    const client = await open(copy);
    const { rowCount } = await client.query(statement);
    await client.end();
    assert.ok(rowCount > 0, `${what}: nothing was changed`);
    const env = { PENSTOCK_DATABASE: stack.conninfo.replace(`dbname=${stack.database}`, `dbname=${copy}`) };
    const { code, stdout } = await stack.ctl(['ledger', 'verify'], { env });
    await admin.query(`drop database ${copy} with (force)`);
    assert.equal(code, 1, `${what}: not found\n${stdout}`);
    assert.match(stdout, reason, what);
    assert.match(stdout, /the ledger DIFFERS/);
  }
  await admin.end();
});
