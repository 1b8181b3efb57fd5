// penstockctl migrate: in order, once, whole, and never over what was changed behind its back.
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import pg from 'pg';
import { ROOT, program, startStack } from '../../support/stack.mjs';
import { runProgram } from '../../support/child.mjs';

let stack, folder, admin, database;
let made = 0;

before(async () => {
  stack = await startStack({ migrated: false, redis: false });
  admin = await stack.connect();
});
after(async () => {
  await admin.end();
  await stack.stop();
});

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'migrations-'));
  database = `${stack.database}_m${++made}`;
  await admin.query(`create database ${database}`);
});
afterEach(async () => {
  await admin.query(`drop database ${database} with (force)`);
  await rm(folder, { recursive: true });
});

async function open() {
  const client = new pg.Client({ host: stack.sockets, user: 'postgres', database });
  await client.connect();
  return client;
}

async function write(files) {
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content);
}

const environment = () => ({ PENSTOCK_DATABASE: `host='${stack.sockets}' port=5432 dbname=${database} user=postgres`, PENSTOCK_MIGRATIONS_DIR: '' });
const migrate = (...args) => runProgram(program('penstockctl'), ['migrate', '--dir', folder, ...args], { env: environment(), within_ms: 60_000 });

async function ask(text) {
  const client = await open();
  try {
    return (await client.query(text)).rows.map((row) => Object.values(row)[0]);
  } finally {
    await client.end();
  }
}

async function refuses(reason, ...args) {
  const { code, stderr } = await migrate(...args);
  assert.notEqual(code, 0);
  assert.match(stderr, reason);
  assert.equal(stderr.trim().split('\n').length, 1, stderr);
}

const A = { '0001_a.sql': 'create table public.a (n integer);' };
const B = { '0002_b.sql': 'insert into public.a values (1);\ninsert into public.a values (2);' };

test('applies in order, once', async () => {
  await write({ ...B, ...A });
  const first = await migrate();
  assert.equal(first.code, 0, first.stderr);
  const second = await migrate();
  assert.equal(second.code, 0);
  assert.match(second.stdout, /nothing to apply/);
  assert.deepEqual(await ask('select n from public.a order by n'), [1, 2]);
  assert.deepEqual(await ask("select version || '_' || slug from penstock.schema_version order by version"), ['1_a', '2_b']);
});

test('tells what waits', async () => {
  await write(A);
  await migrate();
  await write(B);
  const { code, stdout } = await migrate('--status');
  assert.equal(code, 1);
  assert.deepEqual(stdout.trim().split('\n').map((line) => line.split(/\s+/)), [['applied', '0001_a.sql'], ['waiting', '0002_b.sql']]);
  assert.deepEqual(await ask('select n from public.a'), []);
});

test('a file that fails leaves nothing behind', async () => {
  await write({ ...A, '0002_bad.sql': 'insert into public.a values (7);\nselect 1 / 0;' });
  await refuses(/0002_bad\.sql.*division by zero/s);
  assert.deepEqual(await ask('select n from public.a'), []);
  assert.deepEqual(await ask('select version from penstock.schema_version'), [1]);
  await rm(path.join(folder, '0002_bad.sql'));
  await write(B);
  assert.equal((await migrate()).code, 0);
});

test('refuses a gap, a duplicate and a strange name', async () => {
  await write({ ...A, '0003_c.sql': 'select 1' });
  await refuses(/0003_c\.sql.*0002/);
  await write({ '0002_b.sql': 'select 1', '0002_c.sql': 'select 1' });
  await refuses(/0002_b\.sql and 0002_c\.sql have the same number/);
  await rm(path.join(folder, '0002_c.sql'));
  await write({ '4_d.sql': 'select 1' });
  await refuses(/4_d\.sql/);
  assert.deepEqual(await ask("select to_regclass('public.a')::text"), [null]);
});

test('refuses an edited file, a renamed one and one that vanished', async () => {
  await write({ ...A, ...B });
  assert.equal((await migrate()).code, 0);
  await write({ '0001_a.sql': 'create table public.a (n bigint);', '0003_c.sql': 'insert into public.a values (3)' });
  await refuses(/0001_a\.sql was edited/);
  await refuses(/0001_a\.sql was edited/, '--status');
  await write(A);
  await rename(path.join(folder, '0002_b.sql'), path.join(folder, '0002_other.sql'));
  await refuses(/applied as 'b'.*0002_other\.sql/);
  await rm(path.join(folder, '0002_other.sql'));
  await refuses(/0003_c\.sql.*0002/);
  assert.deepEqual(await ask('select n from public.a order by n'), [1, 2]);
});

test('refuses a database that is newer than the files', async () => {
  await write({ ...A, ...B });
  await migrate();
  await rm(path.join(folder, '0002_b.sql'));
  await refuses(/newer than these files.*0002_b/);
});

test('two at once: each file once', async () => {
  await write({ ...A, '0002_slow.sql': 'select pg_sleep(0.5); insert into public.a values (1);' });
  const answers = await Promise.all([migrate(), migrate(), migrate()]);
  assert.deepEqual(answers.map(({ code }) => code), [0, 0, 0], answers.map(({ stderr }) => stderr).join(''));
  assert.deepEqual(await ask('select n from public.a'), [1]);
});

test('a lock that is held makes a migration give up, not hang', async () => {
  await write(A);
  await migrate();
  await write({ '0002_alter.sql': 'alter table public.a add column m integer;' });
  const holder = await open();
  await holder.query('begin; lock table public.a in access share mode');
  const started = Date.now();
  await refuses(/0002_alter\.sql.*lock timeout/s);
  assert.ok(Date.now() - started < 20_000);
  await holder.query('rollback');
  await holder.end();
  assert.equal((await migrate()).code, 0);
});

test('what cannot be read or reached is told', async () => {
  await refuses(/no migration/);
  const nowhere = await runProgram(program('penstockctl'), ['migrate', '--dir', path.join(folder, 'nothing')], { env: environment() });
  assert.equal(nowhere.code, 2);
  assert.match(nowhere.stderr, /nothing: No such file/);
  const unset = await runProgram(program('penstockctl'), ['migrate', '--dir', path.join(ROOT, 'migrations')], { env: { PENSTOCK_DATABASE: '' } });
  assert.equal(unset.code, 2);
  assert.match(unset.stderr, /PENSTOCK_DATABASE/);
});

test("the product's migrations, twice, and their partitions", async () => {
  await cp(path.join(ROOT, 'migrations'), folder, { recursive: true });
  const first = await migrate();
  assert.equal(first.code, 0, first.stderr);
  assert.match((await migrate()).stdout, /nothing to apply/);
  const files = (await readdir(folder)).length;
  assert.deepEqual(await ask('select count(*)::integer from penstock.schema_version'), [files]);
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10).replaceAll('-', '');
  assert.deepEqual(await ask(`select to_regclass('billing.charge_${tomorrow}') is not null`), [true]);
  assert.deepEqual(await ask("select tableowner::text from pg_tables where schemaname = 'penstock' and tablename = 'schema_version'"), ['penstock_owner']);
});
