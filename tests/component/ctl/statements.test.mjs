// Every named statement of every service, library and of the command line: prepared, described and planned against the
// migrated schema under the role that runs it. Planning an execution checks the grants, which preparing does not.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, startStack } from '../../support/stack.mjs';

// Who runs the statements of a folder; any of them must be able to. `only` narrows a statement to some of them.
const FOLDERS = [
  { folder: 'services/ingest/sql', all: ['penstock_ingest'] },
  { folder: 'services/billing/sql', all: ['penstock_billing'] },
  { folder: 'services/payments/sql', all: ['penstock_payments'] },
  { folder: 'services/control/sql', all: ['penstock_control'] },
  { folder: 'services/alerts/sql', all: ['penstock_alerts'] },
  { folder: 'services/api/sql', any: ['penstock_api', 'penstock_api_worker'] },
  { folder: 'tools/penstockctl/sql', all: ['penstock_admin'], migrating: 'migrate.sql' },
  { folder: 'libs/setups/sql', all: ['penstock_billing', 'penstock_admin', 'penstock_api'] },
  { folder: 'libs/explaining/sql', all: ['penstock_admin', 'penstock_api'] },
  { folder: 'libs/balances/sql', all: ['penstock_admin', 'penstock_api'] },
  { folder: 'libs/simulation/sql', all: ['penstock_admin'] },
  { folder: 'libs/db/sql', all: ['penstock_ingest', 'penstock_billing', 'penstock_api', 'penstock_api_worker', 'penstock_admin'] },
  {
    folder: 'libs/service/sql',
    all: ['penstock_ingest', 'penstock_billing', 'penstock_api_worker'],
    only: [
      [/_(fetch|sweep)_(ingest|billing)$/, ['penstock_api_worker']],
      [/_(fetch|sweep)_api$/, ['penstock_ingest']],
      [/_(fetch|sweep)_control$/, ['penstock_ingest', 'penstock_api_worker']],
      [/_(fetch|sweep)_(payments|alerts)$/, ['penstock_api_worker']],
    ],
  },
];
const SCHEMA_OF = { penstock_payments: 'payments', penstock_control: 'control', penstock_alerts: 'alerts', penstock_ingest: 'ingest', penstock_billing: 'billing', penstock_api: 'api', penstock_api_worker: 'api' };

// The same reading of a file as cmake/embed_sql.awk.
function parse(file, content) {
  const statements = [];
  for (const [at, line] of content.split('\n').entries()) {
    const name = /^-- name: (\S+)/.exec(line);
    if (name) statements.push({ name: name[1], place: `${file}:${at + 1}`, lines: [] });
    else if (!/^\s*(--|$)/.test(line)) {
      assert.ok(statements.length > 0, `${file}:${at + 1}: text before the first name`);
      statements.at(-1).lines.push(line);
    }
  }
  return statements.map(({ name, place, lines }) => ({ name, place, text: lines.join('\n').replace(/[ \n;]+$/, '') }));
}

async function statementsOf({ folder, migrating }) {
  const root = path.join(ROOT, folder);
  const found = [];
  for (const file of (await readdir(root)).filter((name) => name.endsWith('.sql')).sort()) {
    const role = file === migrating ? 'postgres' : undefined;
    for (const one of parse(`${folder}/${file}`, await readFile(path.join(root, file), 'utf8'))) found.push({ ...one, role });
  }
  return found;
}

let stack;
const clients = new Map();
before(async () => { stack = await startStack({ redis: false }); });
after(async () => {
  for (const client of clients.values()) await client.end();
  await stack.stop();
});

async function clientOf(role) {
  if (!clients.has(role)) {
    const client = await stack.connect({ user: role });
    await client.query(`set search_path = ${SCHEMA_OF[role] ?? 'pg_catalog'}`);
    clients.set(role, client);
  }
  return clients.get(role);
}

// COPY cannot be prepared: its table, columns and grant are looked up.
async function checkCopy(client, text, role) {
  const match = /^copy (\w+)\.(\w+?)(_\{leaf\})?\s*\(([^)]*)\)/i.exec(text.replace(/\s+/g, ' '));
  assert.ok(match, 'no COPY this test understands');
  const [, schema, table, leaf, columns] = match;
  const wanted = columns.split(',').map((column) => column.trim());
  const { rows } = await client.query(
    `select c.oid, array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as columns
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname ~ $2 and c.relname !~ 'default'`,
    [schema, leaf ? `^${table}_[0-9]+$` : `^${table}$`],
  );
  assert.ok(rows.length > 0, `there is no table ${schema}.${table}${leaf ? '_<leaf>' : ''}`);
  for (const column of wanted) assert.ok(rows[0].columns.includes(column), `there is no column ${column}`);
  const granted = await client.query('select has_table_privilege($1, $2::oid, $3) as yes', [role, rows[0].oid, 'insert']);
  assert.ok(granted.rows[0].yes, `${role} may not insert into it`);
}

const PLANNED = /^\s*(select|insert|update|delete|with|merge|values)\b/i;

async function check(client, { name, text }, role) {
  if (/^\s*copy\b/i.test(text)) return checkCopy(client, text, role);
  await client.query('begin');
  try {
    if (!PLANNED.test(text)) {
      // BEGIN, DO, SET and the like have nothing to plan; running LISTEN or DO would have effects.
      if (!/^\s*(begin|commit|rollback|do|listen|set)\b/i.test(text)) throw new Error('is of no known kind');
      return;
    }
    await client.query(`prepare ${name} as ${text}`);
    const { rows } = await client.query('select cardinality(parameter_types) as n from pg_prepared_statements where name = $1', [name]);
    const nulls = Array(rows[0].n).fill('null').join(', ');
    await client.query(`explain execute ${name}${nulls && `(${nulls})`}`);
    await client.query(`deallocate ${name}`);
  } finally {
    await client.query('rollback');
    await client.query('deallocate all');
  }
}

async function failuresOf(entry, statement) {
  const narrowed = (entry.only ?? []).find(([pattern]) => pattern.test(statement.name));
  const roles = statement.role ? [statement.role] : (narrowed?.[1] ?? entry.all ?? entry.any);
  const failures = [];
  for (const role of roles) {
    try {
      await check(await clientOf(role), statement, role);
    } catch (error) {
      failures.push(`${statement.place} ${statement.name} as ${role}: ${error.message}`);
    }
  }
  return entry.any && !statement.role && failures.length < roles.length ? [] : failures;
}

for (const entry of FOLDERS) {
  test(`statements of ${entry.folder}`, async (t) => {
    if (!existsSync(path.join(ROOT, entry.folder))) return t.skip('this folder does not exist');
    const statements = await statementsOf(entry);
    assert.ok(statements.length > 0, 'no statement was found');
    const names = new Set(statements.map(({ name }) => name));
    assert.equal(names.size, statements.length, 'names are unique in a folder');
    const failures = [];
    for (const statement of statements) failures.push(...(await failuresOf(entry, statement)));
    assert.deepEqual(failures, []);
  });
}

test('a statement that cannot work is found', async () => {
  const broken = [
    { name: 'no_table', place: 'here', text: 'select * from billing.nothing' },
    { name: 'no_grant', place: 'here', text: 'update billing.transfer set note = $1' },
    { name: 'no_type', place: 'here', text: "select $1 - interval '1 day' > now()" },
    { name: 'no_column', place: 'here', text: 'copy billing.charge_{leaf} (nothing) from stdin (format binary)' },
  ];
  for (const statement of broken) assert.equal((await failuresOf({ all: ['penstock_billing'] }, statement)).length, 1, statement.name);
});
