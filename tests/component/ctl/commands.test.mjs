// The command line as a person meets it: help everywhere, one line for what is wrong, companies, and a status of nothing.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, startStack } from '../../support/stack.mjs';

let stack;
before(async () => { stack = await startStack({ redis: false }); });
after(() => stack.stop());

async function commands() {
  const table = await readFile(path.join(ROOT, 'tools/penstockctl/src/commands.def'), 'utf8');
  return [...table.matchAll(/^COMMAND\("([^"]+)", \w+, "([^"]+)"\)/gm)].map(([, words, summary]) => ({ words, summary }));
}

test('help lists every command, and each has its own', async () => {
  const { code, stdout } = await stack.ctl(['--help']);
  assert.equal(code, 0);
  for (const { words, summary } of await commands()) {
    assert.ok(stdout.includes(words) && stdout.includes(summary), words);
    const own = await stack.ctl([...words.split(' '), '--help']);
    assert.equal(own.code, 0, words);
    assert.ok(own.stdout.startsWith(`penstockctl ${words}`), own.stdout);
    assert.equal(own.stderr, '');
  }
});

test('what is wrong is told in one line, with exit code 2', async () => {
  const wrong = [[], ['fly'], ['demo'], ['ledger', 'burn'], ['status', '--colour'], ['status', 'now'], ['migrate', '--dir'], ['status', '--line=1']];
  for (const args of wrong) {
    const { code, stdout, stderr } = await stack.ctl(args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(stdout, '');
    if (args.length > 0) assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.ok(stderr.includes(args.at(-1)?.split('=')[0] ?? 'COMMAND'), stderr);
  }
});

test('a database that cannot be reached or is not named', async () => {
  const unnamed = await stack.ctl(['status'], { env: { PENSTOCK_DATABASE: '' } });
  assert.equal(unnamed.code, 1);
  assert.match(unnamed.stderr, /PENSTOCK_DATABASE is not set/);
  const away = await stack.ctl(['status'], { env: { PENSTOCK_DATABASE: 'host=/nowhere dbname=none' } });
  assert.equal(away.code, 1);
  assert.match(away.stderr, /^penstockctl: the database: /);
});

test('company create: company, legal entity, manager', async () => {
  const { code, stdout, stderr } = await stack.ctl(['company', 'create', '--code', 'acme', '--name', 'Acme 物业', '--operator', 'boss']);
  assert.equal(code, 0, stderr);
  const password = /password (\S+)/.exec(stdout)[1];
  assert.ok(password.length >= 16);
  const { rows } = await stack.query(`
    select c.name, e.name as entity, o.login, o.password_hash, r.role, r.property_num
    from core.company c join core.legal_entity e using (company_id) join core.operator o using (company_id)
    join core.operator_role r on r.company_id = o.company_id and r.operator_num = o.num where c.code = 'acme'`);
  assert.equal(rows.length, 1);
  assert.deepEqual([rows[0].name, rows[0].entity, rows[0].login, rows[0].role, rows[0].property_num], ['Acme 物业', 'Acme 物业', 'boss', 'manager', null]);
  assert.ok(rows[0].password_hash.startsWith('$argon2id$') && !rows[0].password_hash.includes(password));
});

test('company create: a password from a file is not printed', async () => {
  const { code, stdout } = await stack.ctl(['company', 'create', '--code', 'beta', '--name', 'Beta', '--operator', 'boss', '--password-file', stack.masterKeyFile]);
  assert.equal(code, 0);
  assert.ok(!stdout.includes('password'));
  assert.equal((await stack.ctl(['company', 'create', '--code', 'gamma', '--name', 'Gamma'])).code, 0);
  assert.equal(await stack.value("select count(*)::integer from core.operator join core.company using (company_id) where code = 'gamma'"), 0);
});

test('company create: what is refused leaves nothing', async () => {
  const before = await stack.value('select count(*) from core.company');
  const refused = [
    [['--code', 'acme', '--name', 'Again'], /exists/],
    [['--code', 'UPPER', '--name', 'x'], /--code/],
    [['--code', 'good-one', '--name', 'x', '--operator', 'Ä'], /--operator/],
    [['--code', 'good-one'], /--name/],
    [['--code', 'good-one', '--name', 'x', '--password-file', '/etc/hostname'], /--operator/],
    [['--code', 'good-one', '--name', 'x', '--operator', 'boss', '--password-file', '/nowhere'], /nowhere: No such file/],
  ];
  for (const [args, reason] of refused) {
    const { code, stderr } = await stack.ctl(['company', 'create', ...args]);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, reason);
  }
  assert.equal(await stack.value('select count(*) from core.company'), before);
});

test('the status and the ledger of nothing', async () => {
  const { code, stdout } = await stack.ctl(['status']);
  assert.equal(code, 0);
  assert.match(stdout, /no replica has ever beaten/);
  const status = JSON.parse((await stack.ctl(['status', '--json'])).stdout);
  assert.deepEqual([status.replicas, status.blocks_waiting, status.oldest_waiting_ms, status.charged_today], [[], 0, null, {}]);
  const ledger = await stack.ctl(['ledger', 'verify']);
  assert.equal(ledger.code, 0, ledger.stdout);
});
