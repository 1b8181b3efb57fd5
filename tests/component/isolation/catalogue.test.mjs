// The walls between companies and services, as the database itself states them; and the proof that each check would
// notice a hole.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { checks } from './checks.mjs';

let stack, client;
const query = async (text) => (await client.query(text)).rows;

before(async () => {
  stack = await startStack({ redis: false });
  client = await stack.connect();
  await client.query("select penstock.ensure_partitions(date '2026-11-20', date '2026-12-02')");
});
after(async () => {
  await client?.end();
  await stack.stop();
});

for (const [name, check] of Object.entries(checks)) {
  test(name, async () => assert.deepEqual(await check(query), []));
}

// Each breaks one thing; the checks beside it must tell.
const ROW_SECURITY = 'every table with a company is under row security, enabled and forced';
const POLICIES = 'policies confine the api and the doors to one company, and name each worker';
const GRANTS = 'tables are granted as the list says and not otherwise';
const COLUMNS = 'columns are granted as the list says';
const LEAVES = 'leaves are for the service that fills them';
const BOOKED = 'nobody can change what was booked';
const SHARP = 'nobody truncates, references or adds triggers';
const SCHEMAS = 'schemas and sequences are closed except as listed';
const ROLES = 'service roles own nothing, bypass nothing and are nobody else';
const FUNCTIONS = 'functions are those of the list, with a fixed path and no public door';
const KEYS = 'keys of a table with a company begin with it';
const FLOATS = 'no column, parameter or result is a floating-point number';
const NAMES = 'constraints and unique indexes are named after table, columns and kind';
const CLOCK = 'time is a parameter';
const VIEWS = 'no view, rule or foreign table goes round the policies';

const holes = [
  ['alter table core.customer no force row level security', [ROW_SECURITY]],
  ['alter table billing.purse disable row level security', [ROW_SECURITY]],
  ['create table core.note (company_id integer); alter table core.note owner to penstock_owner', [ROW_SECURITY, POLICIES, GRANTS]],
  ['alter table core.meter_model add column company_id integer', [ROW_SECURITY, POLICIES]],
  ['drop policy account_company on core.account', [POLICIES]],
  ['drop policy account_billing on core.account', [POLICIES]],
  ['alter policy account_company on core.account with check (true)', [POLICIES]],
  ['alter policy account_company on core.account using (company_id > 0)', [POLICIES]],
  ['create policy wide on billing.charge for select to penstock_api using (true)', [POLICIES]],
  ['create policy wide on core.place using (true)', [POLICIES]],
  ['grant select on core.customer to public', [GRANTS]],
  ['grant select on ingest.reading_block to penstock_api', [GRANTS]],
  ['grant update on core.tariff_version to penstock_admin', [GRANTS]],
  ['revoke select on core.tariff_version from penstock_api', [GRANTS]],
  ['grant select on core.account to penstock_api with grant option', [GRANTS]],
  ['grant update (balance_micro) on billing.purse to penstock_api', [COLUMNS]],
  ['grant select on billing.charge_20261121 to penstock_api', [LEAVES]],
  ['grant insert on billing.transfer_default to penstock_billing', [LEAVES]],
  ['grant update on billing.transfer to penstock_billing', [GRANTS, BOOKED]],
  ['grant delete on billing.reading_20261121 to penstock_billing', [LEAVES, BOOKED]],
  ['grant truncate on core.place to penstock_api', [GRANTS, SHARP]],
  ['grant references on core.place to penstock_api', [GRANTS, SHARP]],
  ['grant usage on schema core to penstock_api_worker', [SCHEMAS]],
  ['grant create on schema core to penstock_api', [SCHEMAS]],
  ['grant usage on sequence core.account_num_seq to penstock_api', [SCHEMAS]],
  ['alter default privileges in schema core grant select on tables to penstock_api', [SCHEMAS]],
  ['alter table core.place owner to penstock_api', [ROLES]],
  ['create function core.shout() returns integer language sql security definer as $$ select 1 $$', [FUNCTIONS]],
  ['grant execute on function billing.post_transfers to public', [FUNCTIONS]],
  ['alter function billing.lock_purse reset search_path', [FUNCTIONS]],
  ['alter function billing.lock_purse owner to penstock_owner', [FUNCTIONS]],
  ['alter function penstock.current_company security definer', [FUNCTIONS]],
  ['alter table core.place add constraint place_num_uq unique (num)', [KEYS]],
  ['alter table core.place add constraint place_id_uq unique (id); alter table core.place add column twin uuid, add constraint place_twin_fk foreign key (twin) references core.place (id)', [KEYS]],
  ['alter table core.place add column area double precision', [FLOATS]],
  ['alter table core.place add constraint positive check (sort >= 0)', [NAMES]],
  ['create unique index other on core.place (company_id, sort)', [NAMES]],
  ['create or replace function penstock.current_company() returns integer language sql stable as $$ select extract(year from now())::integer $$', [CLOCK]],
  ['alter table core.place alter column name set default now()::text', [CLOCK]],
  ['create view core.names as select name from core.customer', [VIEWS]],
  ['create materialized view core.names as select name from core.customer', [VIEWS]],
  ['create rule quiet as on delete to core.place do instead nothing', [VIEWS]],
];

// Roles belong to the whole cluster; rolled back like the rest, nobody else ever sees these.
const roleHoles = [
  ['alter role penstock_api bypassrls', [ROLES]],
  ['alter role penstock_owner login', [ROLES]],
  ['grant penstock_owner to penstock_api', [ROLES]],
  ['grant penstock_billing to penstock_api', [ROLES]],
];

async function mustNotice(statement, expected) {
  await client.query('begin');
  try {
    await client.query(statement);
    for (const name of expected) assert.notDeepEqual(await checks[name](query), [], `"${name}" did not notice: ${statement}`);
  } finally {
    await client.query('rollback');
  }
}

for (const [statement, expected] of [...holes, ...roleHoles]) {
  test(`a hole is noticed: ${statement}`, () => mustNotice(statement, expected));
}

test('every check has a hole that proves it', () => {
  const proven = new Set([...holes, ...roleHoles].flatMap(([, expected]) => expected));
  assert.deepEqual(Object.keys(checks).filter((name) => !proven.has(name)), []);
});

test('after all holes the walls stand as before', async () => {
  for (const check of Object.values(checks)) assert.deepEqual(await check(query), []);
});
