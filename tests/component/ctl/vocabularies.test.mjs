// Words that live in a .def table and in a CHECK constraint are the same words.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, startStack } from '../../support/stack.mjs';

let stack;
before(async () => { stack = await startStack({ redis: false }); });
after(() => stack.stop());

// The rows of a table: arguments of each line's macro.
async function rowsOf(file) {
  const rows = [];
  for (const line of (await readFile(path.join(ROOT, file), 'utf8')).split('\n')) {
    const match = /^[A-Z_]+\((.*)\)\s*$/.exec(line);
    if (match) rows.push(match[1].match(/"(?:[^"\\]|\\.)*"|[^,]+/g).map((word) => word.trim().replace(/^"(.*)"$/, '$1')));
  }
  assert.ok(rows.length > 0, `${file} holds no row`);
  return rows;
}

const textsOf = async (file, column) => (await rowsOf(file)).map((row) => row[column]);

async function wordsOf(constraint) {
  const text = await stack.value('select pg_get_constraintdef(oid) from pg_constraint where conname = $1', [constraint]);
  assert.ok(text, `there is no constraint ${constraint}`);
  return [...text.matchAll(/'([^']*)'/g)].map(([, word]) => word);
}

const sorted = (words) => [...words].sort();

test('purposes and utilities', async () => {
  const purposes = await textsOf('libs/ledger/include/ledger/purposes.def', 2);
  assert.deepEqual(sorted(await wordsOf('purse_purpose_ck')), sorted(purposes));
  const utilities = await textsOf('libs/rating/include/rating/utility.def', 1);
  assert.deepEqual(sorted(await wordsOf('usage_point_utility_ck')), sorted(utilities));
  assert.deepEqual(sorted(await wordsOf('property_seller_item_ck')), sorted(purposes.filter((purpose) => purpose !== 'deposit')));
  for (const utility of utilities) assert.ok(purposes.includes(utility), utility);
});

test('credit levels', async () => {
  const numbers = (await textsOf('libs/ledger/include/ledger/credit_levels.def', 0)).map(Number);
  assert.deepEqual(numbers, [0, 1, 2, 3]);
  assert.match(await stack.value("select pg_get_constraintdef(oid) from pg_constraint where conname = 'purse_level_ck'"), /level >= 0.*level <= 3/);
  // Thresholds 20, 5, −3: at or below each the level begins.
  const levels = [];
  for (const balance of [21, 20, 6, 5, -2, -3]) levels.push(await stack.value('select billing.credit_level($1, 20, 5, 3)', [balance]));
  assert.deepEqual(levels, [0, 1, 1, 2, 2, 3]);
});

test('kinds of transfers that may be posted', async () => {
  const rows = await rowsOf('libs/ledger/include/ledger/transfer_kinds.def');
  const numbers = rows.map(([number]) => Number(number));
  const charges = rows.filter(([, name]) => name === 'CHARGE' || name === 'CORRECTION').map(([number]) => Number(number));
  const { rows: permitted } = await stack.query('select distinct kind from billing.transfer_permission');
  assert.ok(permitted.length > 0);
  for (const { kind } of permitted) {
    assert.ok(numbers.includes(kind), `kind ${kind} is in no table`);
    assert.ok(!charges.includes(kind), 'charges come from billing alone');
  }
});

test('kinds of days', async () => {
  const kinds = await textsOf('libs/calendar/include/calendar/day_kind.def', 1);
  for (const word of await wordsOf('calendar_day_kind_ck')) assert.ok(kinds.includes(word), word);
  assert.deepEqual(sorted(await wordsOf('property_calendar_day_kind_ck')), sorted(['normal', ...(await wordsOf('calendar_day_kind_ck'))]));
});

test('languages', async () => {
  assert.deepEqual(sorted(await wordsOf('operator_locale_ck')), sorted(await textsOf('libs/contracts/include/contracts/locales.def', 1)));
});

test('payments: states of orders and refunds, reasons of suspense, products, channels, uses of keys', async () => {
  const src = 'services/payments/src';
  assert.deepEqual(sorted(await wordsOf('payment_order_state_ck')), sorted(await textsOf(`${src}/order_states.def`, 1)));
  assert.deepEqual(sorted(await wordsOf('refund_state_ck')), sorted(await textsOf(`${src}/refund_states.def`, 1)));
  assert.deepEqual(sorted(await wordsOf('suspense_reason_ck')), sorted(await textsOf(`${src}/suspense_reasons.def`, 1)));
  assert.deepEqual(sorted(await wordsOf('payment_order_product_ck')), sorted(await textsOf(`${src}/providers/products.def`, 1)));
  assert.deepEqual(sorted(await wordsOf('merchant_channel_ck')), sorted(await textsOf(`${src}/providers/providers.def`, 1)));
  const received = (await rowsOf(`${src}/suspense_reasons.def`)).map((row) => row[2]);
  assert.ok(received.includes('true') && received.includes('false'));
});

test('what is done on the line', async () => {
  const operations = await textsOf('services/ingest/src/line_operations.def', 1);
  assert.deepEqual(sorted(await wordsOf('command_operation_ck')), sorted(operations.filter((word) => word !== 'read_now')));
  assert.deepEqual(sorted(await wordsOf('desired_observed_ck')), sorted(await wordsOf('line_command_supply_ck')));
});

test('kinds of days in windows', async () => {
  for (const kind of await textsOf('libs/calendar/include/calendar/day_kind.def', 1)) {
    assert.equal(await stack.value('select core.is_cut_windows($1)', [JSON.stringify([{ days: [kind], from: '10:00', to: '16:00' }])]), true, kind);
  }
});

test('credits after which nobody is switched off are kinds of transfers', async () => {
  const kinds = (await rowsOf('libs/ledger/include/ledger/transfer_kinds.def')).filter(([, name]) => ['SALE', 'TOP_UP', 'ADJUSTMENT', 'PRESET_CREDIT'].includes(name)).map(([number]) => number);
  assert.match(await stack.value("select prosrc from pg_proc where proname = 'facts_of'"), new RegExp(`t\\.kind in \\(${kinds.join(', ')}\\)`));
});
