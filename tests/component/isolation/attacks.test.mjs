// Attacks from inside the database: with one company set, nothing of another is seen, written, locked or posted.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { Site } from '../billing/site.mjs';

const stack = await startStack({ redis: false });
const [owner, api, admin] = await Promise.all(['postgres', 'penstock_api', 'penstock_admin'].map((user) => stack.connect({ user })));
after(async () => {
  for (const client of [api, admin, owner]) await client.end();
  await stack.stop();
});
await owner.query("select penstock.ensure_partitions((now() - interval '1 day')::date, (now() + interval '1 day')::date)");
const [here, there] = [await Site.make(stack, { code: 'here' }), await Site.make(stack, { code: 'there' })];
for (const site of [here, there]) await site.addPoint();

// Runs inside a transaction that is rolled back, with the company set (null: not set).
async function as(client, company, work) {
  await client.query('begin');
  try {
    if (company !== null) await client.query("select set_config('app.company', $1, true)", [String(company)]);
    return await work(client);
  } finally {
    await client.query('rollback');
  }
}
const rows = async (client, text, values) => (await client.query(text, values)).rows;
const refused = (code) => (error) => {
  assert.equal(error.code, code, error.message);
  return true;
};

describe('every table, whatever it will be called', () => {
  // A row of each table for each of two companies, made up from the types of its columns. Triggers, foreign keys and
  // check constraints are out of the way: all this is rolled back.
  const A = 900_001;
  const B = 900_002;
  const MADE_UP = {
    int2: 1, int4: 1, int8: 1, text: 'x', bool: false, uuid: () => randomUUID(), bytea: Buffer.alloc(32), jsonb: '{}', timestamptz: () => new Date(),
    date: '2026-11-21', time: '22:00', inet: '127.0.0.1', xid8: '1', _text: [], _int8: [], _inet: [],
  };
  let tables, client;

  before(async () => {
    client = owner;
    tables = await rows(client, `
      select n.nspname || '.' || c.relname as name, c.oid,
             (select jsonb_agg(jsonb_build_object('name', a.attname, 'type', t.typname, 'identity', a.attidentity <> '') order by a.attnum)
              from pg_attribute a join pg_type t on t.oid = a.atttypid where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
             array(select k.conname::text from pg_constraint k where k.conrelid = c.oid and k.contype = 'c') as checks,
             has_table_privilege('penstock_api', c.oid, 'select') as seen, has_table_privilege('penstock_api', c.oid, 'insert') as written,
             has_table_privilege('penstock_api', c.oid, 'update') as changed, has_table_privilege('penstock_api', c.oid, 'delete') as removed
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('penstock', 'core', 'ingest', 'billing', 'api') and c.relkind in ('r', 'p') and not c.relispartition
        and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'company_id' and not a.attisdropped)
      order by 1`);
    await client.query('begin');
    await client.query('set local session_replication_role = replica');
    let serial = 800_000n; // keys that are unique without the company
    for (const table of tables) {
      for (const check of table.checks) await client.query(`alter table ${table.name} drop constraint "${check}"`);
      for (const company of [A, B]) {
        const values = table.columns.map(({ name, type }) => {
          if (name === 'company_id') return company;
          if (['num', 'id', 'usage_point_num', 'event_id'].includes(name) && type === 'int8') return serial++;
          if (['code', 'registration', 'key_id', 'receipt_path'].includes(name)) return `canary-${company}-${serial++}`;
          const made = MADE_UP[type];
          assert.notEqual(made, undefined, `${table.name}.${name} is of an unknown type ${type}`);
          return typeof made === 'function' ? made() : made;
        });
        const names = table.columns.map((c) => `"${c.name}"`).join(', ');
        await client.query(`insert into ${table.name} (${names}) overriding system value values (${values.map((_, i) => `$${i + 1}`).join(', ')})`, values);
      }
    }
  });
  after(() => client.query('rollback'));

  // As the api, with a company; an error undoes the attempt alone.
  async function attempt(company, text, values = []) {
    await client.query('savepoint attempt');
    try {
      await client.query("select set_config('app.company', $1, true)", [company === null ? '' : String(company)]);
      await client.query('set local role penstock_api');
      const answer = await client.query(text, values);
      return { rows: answer.rows, count: answer.rowCount };
    } catch (error) {
      return { code: error.code, count: 0, message: error.message };
    } finally {
      await client.query('rollback to attempt');
    }
  }
  const companies = async (company, table) => (await attempt(company, `select distinct company_id from ${table}`)).rows?.map((r) => r.company_id);

  test('there are tables to ask', () => assert.ok(tables.length > 45, String(tables.length)));

  test('with a company set, its rows and no other are seen', async () => {
    for (const table of tables.filter((t) => t.seen)) {
      assert.deepEqual(await companies(A, table.name), [A], table.name);
      assert.deepEqual(await companies(B, table.name), [B], table.name);
    }
  });

  test('without a company nothing is seen', async () => {
    for (const table of tables.filter((t) => t.seen)) {
      assert.deepEqual(await companies(null, table.name), [], table.name);
      assert.deepEqual(await companies(0, table.name), [], table.name);
    }
  });

  test('words instead of a number are an error, not everything', async () => {
    for (const word of ["1 or 1=1", 'all', "900002'", '9e5'])
      assert.ok(['22P02', '22003'].includes((await attempt(word, 'select * from core.customer')).code), word);
  });

  test('what may not be seen is refused', async () => {
    for (const table of tables.filter((t) => !t.seen)) assert.equal((await attempt(A, `select 1 from ${table.name}`)).code, '42501', table.name);
  });

  test('nothing can be written for another company', async () => {
    for (const table of tables) {
      const names = table.columns.filter((c) => !c.identity).map((c) => `"${c.name}"`).join(', ');
      const answer = await attempt(A, `insert into ${table.name} (${names}) select ${names.replace('"company_id"', String(B))} from ${table.name}`);
      assert.equal(answer.code, '42501', `${table.name}: ${answer.message ?? 'accepted'}`);
    }
  });

  test('nothing of another company can be changed, taken over or removed', async () => {
    for (const table of tables) {
      const change = await attempt(A, `update ${table.name} set company_id = ${A} where company_id = ${B}`);
      assert.equal(change.count, 0, `${table.name} was changed`);
      if (table.changed) {
        const gift = await attempt(A, `update ${table.name} set company_id = ${B} where company_id = ${A}`);
        assert.equal(gift.code, '42501', `${table.name} was given away`);
      }
      const removal = await attempt(A, `delete from ${table.name} where company_id = ${B}`);
      assert.equal(removal.count, 0, `${table.name} lost a row`);
      assert.ok(['42501', '428C9'].includes(change.code) || table.changed, table.name); // 428C9: the number of a company is generated
      assert.ok(removal.code === '42501' || table.removed, table.name);
    }
  });

  test('what may be changed by column is changed of the own company alone', async () => {
    for (const change of ['core.purse set version = version + 1, alarm_1_micro = 7, alarm_2_micro = 7', "core.operator set locale = 'en'"]) {
      assert.deepEqual(await attempt(A, `update ${change} returning company_id`), { rows: [{ company_id: A }], count: 1 }, change);
      assert.equal((await attempt(A, `update ${change} where company_id = ${B}`)).count, 0, change);
    }
  });

  test('leaves are shut', async () => {
    const leaves = await rows(client, `select c.oid::regclass::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind = 'r'`);
    assert.ok(leaves.length >= 12);
    for (const { name } of leaves) assert.equal((await attempt(A, `select 1 from ${name}`)).code, '42501', name);
  });
});

describe('the doors', () => {
  const purseOf = (site) => site.points[0].purse;
  const request = (purse, { kind = 2, amount = 1_000_000, currency = 'CNY', entity = here.entity } = {}) =>
    `array[row(${BigInt(purse) + 10_000_000n}::bigint, ${kind}, 7, ${entity}::bigint, 0, 1, ${purse}::bigint, 0, '${currency}', ${amount}::bigint, 0, now(), null, null)::billing.transfer_request]`;
  const post = (company, purse, options) => `select billing.post_transfers(${company === null ? 'null' : company}::integer, 'attack', '${randomUUID()}', now(), ${request(purse, options)})`;

  for (const role of ['api', 'admin']) {
    const client = () => (role === 'api' ? api : admin);
    const refuses = (company, text, code) => assert.rejects(as(client(), company, (c) => c.query(text)), refused(code));

    test(`${role}: without a company every door is shut`, async () => {
      for (const set of [null, '']) {
        await refuses(set, post(here.company, purseOf(here)), '42501');
        await refuses(set, post(null, purseOf(here)), '42501');
        await refuses(set, `select billing.lock_purse(${here.company}, ${purseOf(here)})`, '42501');
        await refuses(set, `select billing.lock_purse(null, ${purseOf(here)})`, '42501');
        await refuses(set, `select billing.open_purse(${here.company}, ${purseOf(here)}, now())`, '42501');
        await refuses(set, `select billing.open_purse(null, ${purseOf(here)}, now())`, '42501');
      }
    });

    test(`${role}: one company is set, the other named`, async () => {
      await refuses(here.company, post(there.company, purseOf(there)), '42501');
      await refuses(here.company, `select billing.lock_purse(${there.company}, ${purseOf(there)})`, '42501');
      await refuses(here.company, `select billing.open_purse(${there.company}, ${purseOf(there)}, now())`, '42501');
    });

    test(`${role}: the other's purse under the own company`, async () => {
      await refuses(here.company, post(here.company, purseOf(there)), 'P0002');
      await refuses(here.company, `select billing.lock_purse(${here.company}, ${purseOf(there)})`, 'P0002');
      await refuses(here.company, `select billing.open_purse(${here.company}, ${purseOf(there)}, now())`, 'P0002');
      await refuses(here.company, `select billing.lock_purse(${here.company}, null)`, 'P0002');
      await refuses(here.company, `select billing.open_purse(${here.company}, null, now())`, 'P0002');
    });

    test(`${role}: kinds, amounts and currencies that are not its own`, async () => {
      for (const kind of [1, 3, 9, 99, 'null', ...(role === 'api' ? [] : [4, 5, 7, 8])]) await refuses(here.company, post(here.company, purseOf(here), { kind }), '42501');
      await refuses(here.company, post(here.company, purseOf(here), { amount: 0 }), '23514');
      await refuses(here.company, post(here.company, purseOf(here), { amount: -1_000_000 }), '23514');
      await refuses(here.company, post(here.company, purseOf(here), { currency: 'USD' }), '22023');
      await refuses(here.company, `select billing.post_transfers(${here.company}, 'attack', 'none', now(), '{}')`, '22023');
    });

    test(`${role}: the own purse opens, locks and is posted to, once`, async () => {
      await as(client(), here.company, async (c) => {
        await c.query(`select billing.open_purse(${here.company}, ${purseOf(here)}, now())`);
        const posting = `select billing.post_transfers(${here.company}, 'counter', 'one', $1, ${request(purseOf(here)).replace('now()', "'2026-11-21T00:00:00Z'")}) as posted`;
        assert.equal((await rows(c, posting, [new Date()]))[0].posted, true);
        assert.equal((await rows(c, posting, [new Date()]))[0].posted, false);
        assert.equal((await rows(c, `select billing.lock_purse(${here.company}, ${purseOf(here)}) as balance`))[0].balance, 1_000_000n);
        await assert.rejects(c.query(posting.replace('1000000', '2000000'), [new Date()]), refused('23505'));
      });
    });
  }

  test('services that post nothing find the doors shut', async () => {
    for (const user of ['penstock_ingest', 'penstock_api_worker']) {
      const client = await stack.connect({ user });
      try {
        await assert.rejects(as(client, here.company, (c) => c.query(post(here.company, purseOf(here)))), refused('42501'));
        await assert.rejects(as(client, here.company, (c) => c.query('select core.company_by_code($1)', ['here'])), refused('42501'));
      } finally {
        await client.end();
      }
    }
  });

  test('a code becomes a number, and nothing else of the company is told', async () => {
    await as(api, null, async (c) => {
      assert.deepEqual(await rows(c, "select * from core.company_by_code('there')"), [{ company_by_code: there.company }]);
      assert.deepEqual(await rows(c, "select core.company_by_code('nowhere') as num"), [{ num: null }]);
      assert.deepEqual(await rows(c, "select core.company_by_code('%') as num"), [{ num: null }]);
      assert.deepEqual(await rows(c, 'select * from core.company'), []);
    });
  });

  test('a company set in one transaction is gone in the next', async () => {
    await as(api, there.company, async (c) => assert.equal((await rows(c, 'select * from core.customer')).length, 1));
    await as(api, null, async (c) => assert.equal((await rows(c, 'select * from core.customer')).length, 0));
    await assert.rejects(as(api, there.company, (c) => c.query('select 1 / 0')));
    await as(api, null, async (c) => assert.equal((await rows(c, 'select * from core.customer')).length, 0));
  });
});

describe('the doors of control', () => {
  const point = (site) => site.points[0];
  const uuid = () => `'${randomUUID()}'::uuid`;
  // Each door with the company it is asked for and whose point, purse or channel it names.
  const DOORS = [
    ['penstock_ingest', (company) => `select * from control.claim_switch_off(${company}, ${uuid()}, now())`],
    ['penstock_control', (company, site) => `select * from control.facts_of(${company}, ${point(site).num}, 'arrears', null, null, null, now())`],
    ['penstock_control', (company, site) => `select control.open_point(${company}, ${point(site).num}, now())`],
    ['penstock_control', (company, site) => `select control.points_of_purse(${company}, ${point(site).account}, ${point(site).purse}, now())`],
    ['penstock_control', (company, site) => `select control.point_of_channel(${company}, ${point(site).channel}, now())`],
    ['penstock_control', (company) => `select control.unwatched_points(${company}, now(), 10)`],
    ['penstock_control', (company) => `select control.wake_read(${company}, now())`],
    ['penstock_control', (company) => `select control.has_changed(${company}, 0)`],
    ['penstock_control', (company) => `select control.sync_parameters(${company}, now())`],
    ['penstock_api', (company, site) => `select control.submit_request(${company}, ${uuid()}, ${point(site).num}, 'off', 'operator:1', 'x', null, now())`],
    ['penstock_api', (company, site) => `select * from control.propose_batch(${company}, ${uuid()}, 'off', array[${point(site).num}], 'operator:1', 'x', null, now())`],
    ['penstock_api', (company) => `select control.decide_batch(${company}, ${uuid()}, '\\x00', true, 'operator:1', now())`],
    ['penstock_api', (company) => `select control.release_freeze(${company}, 1, 'operator:1', now())`],
  ];
  const clients = new Map();
  before(async () => {
    for (const user of ['penstock_ingest', 'penstock_control']) clients.set(user, await stack.connect({ user }));
    clients.set('penstock_api', api);
  });
  after(async () => {
    for (const user of ['penstock_ingest', 'penstock_control']) await clients.get(user).end();
  });

  for (const [role, text] of DOORS) {
    const name = /control\.(\w+)/.exec(text('1', { points: [{ num: 1, account: 1, purse: 1, channel: 1 }] }))[1];
    const refuses = (set, statement) => assert.rejects(as(clients.get(role), set, (c) => c.query(statement)), refused('42501'));

    test(`${name} is shut without a company, with NULL, and for another one`, async () => {
      for (const set of [null, '']) await refuses(set, text(here.company, here));
      await refuses(here.company, text('null::integer', here));
      await refuses(here.company, text(there.company, there));
    });

    test(`${name} is for ${role} alone`, async () => {
      const allowed = { submit_request: ['penstock_api', 'penstock_control'] }[name] ?? [role];
      for (const [user, client] of clients) {
        if (allowed.includes(user)) continue;
        await assert.rejects(as(client, here.company, (c) => c.query(text(here.company, here))), refused('42501'));
      }
    });
  }

  test("another company's points, purses and channels are nobody's", async () => {
    const c = clients.get('penstock_control');
    const one = async (text) => Object.values((await as(c, here.company, (client) => rows(client, text)))[0] ?? { none: null })[0];
    assert.equal(await one(`select control.open_point(${here.company}, ${point(there).num}, now())`), false);
    assert.equal(await one(`select control.open_point(${here.company}, ${point(here).num}, now())`), true);
    assert.equal(await one(`select control.point_of_channel(${here.company}, ${point(there).channel}, now())`), null);
    assert.equal(await one(`select control.point_of_channel(${here.company}, ${point(here).channel}, now())`), point(here).num);
    assert.equal(await one(`select control.points_of_purse(${here.company}, ${point(there).account}, ${point(there).purse}, now())`), null);
    assert.equal(await one(`select control.refusal_of(control.facts_of(${here.company}, ${point(there).num}, 'operator', null, null, null, now()))`), 'missing_facts');
    await assert.rejects(as(api, here.company, (client) => client.query(`select control.submit_request(${here.company}, ${uuid()}, ${point(there).num}, 'off', 'operator:1', 'x', null, now())`)), (error) => ['42501', 'P0002'].includes(error.code));
  });
});

test('a foreign key cannot reach into another company', async () => {
  const c = await stack.connect();
  try {
    const attempts = [
      ['core.place', 'insert into core.place (company_id, id, property_num, kind, name) values ($1, gen_random_uuid(), $2, $$building$$, $$x$$)', [here.company, there.property]],
      ['core.purse', "insert into core.purse (company_id, id, account_num, purpose, currency, alarm_1_micro, alarm_2_micro) values ($1, gen_random_uuid(), $2, 'fees', 'CNY', 0, 0)", [here.company, there.points[0].account]],
      ['core.gateway_port', 'insert into core.gateway_port (company_id, gateway_num, port) values ($1, $2, 9)', [here.company, there.gateway]],
      ['core.usage_point', "insert into core.usage_point (company_id, id, property_num, place_num, utility, name) values ($1, gen_random_uuid(), $2, $3, 'gas', 'x')", [here.company, here.property, there.room]],
      ['core.channel_installation', 'insert into core.channel_installation (company_id, channel_num, usage_point_num, from_at, opening_value) values ($1, $2, $3, now(), 0)', [here.company, there.points[0].channel, here.points[0].num]],
      ['core.usage_point_account', 'insert into core.usage_point_account (company_id, usage_point_num, account_num, purse_num, from_at, to_at) values ($1, $2, $3, $4, now(), now() + interval $$1 hour$$)', [here.company, here.points[0].num, here.points[0].account, there.points[0].purse]],
      ['core.property_seller', "insert into core.property_seller (company_id, property_num, item, legal_entity_num) values ($1, $2, 'gas', $3)", [here.company, here.property, there.entity]],
    ];
    for (const [table, text, values] of attempts) await assert.rejects(as(c, here.company, (client) => client.query(text, values)), refused('23503'), table);
  } finally {
    await c.end();
  }
});
