// Merchants by the command line: what is refused before anything is stored, what is kept, what is never shown.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '../../support/wait.mjs';
import { Site } from './site.mjs';

let site;
let shop;
let dir;
before(async () => {
  site = await Site.start();
  shop = await site.company('shop', { accounts: 2 });
  dir = site.stack.dir;
});
after(() => site?.stop());

const file = async (name, text) => {
  await writeFile(path.join(dir, name), text, { mode: 0o600 });
  return path.join(dir, name);
};
const set = (...args) => site.stack.ctl(['merchant', 'set', '--company', 'shop', '--merchant', '1988888888', '--app', 'wx1111222233334444', ...args]);

const REFUSED = [
  ['no such company', async () => site.stack.ctl(['merchant', 'set', '--company', 'nobody', '--merchant', '1', '--app', 'x']), /no company/],
  ['a mode nobody knows', () => set('--mode', 'agent'), /--mode/],
  ['partner without a sub-merchant', () => set('--mode', 'partner'), /--sub-merchant/],
  ['a key that is none', async () => set('--private-key', await file('bad.pem', 'no key'), '--serial', '5F1C72E2'), /bad\.pem/],
  ['a certificate of another key', async () => {
    const other = site.channel.addMerchant({ mchid: '1977777777' });
    return set('--private-key', await file('a.pem', other.private_key), '--certificate', await file('b.pem', shop.merchant.certificate));
  }, /not the certificate/],
  ['a key without its serial', async () => set('--private-key', await file('c.pem', shop.merchant.private_key)), /--serial/],
  ['an APIv3 key of 31 bytes', async () => set('--apiv3-key', await file('short', 'x'.repeat(31))), /32 bytes/],
  ['a public key without its id', async () => set('--channel-public-key', await file('d.pem', shop.merchant.public_key)), /--channel-key-id/],
  ['a key to end that does not exist', () => set('--end-key', 'signing/9'), /no key/],
];
for (const [what, run, says] of REFUSED) {
  test(`refused: ${what}`, async () => {
    const count = async () => [await site.stack.value('select count(*) from core.merchant'), await site.stack.value('select count(*) from payments.merchant_key')];
    const was = await count();
    const { code, stderr } = await run();
    assert.equal(code, 2, stderr);
    assert.match(stderr, says);
    assert.deepEqual(await count(), was);
  });
}

test('the same files again change nothing; another key is a new version', async () => {
  const versions = async () => (await site.stack.query('select use, version from payments.merchant_key where merchant_num = (select num from core.merchant where id = $1) order by 1, 2', [shop.merchant.our_id])).rows.map((row) => `${row.use}/${row.version}`);
  assert.deepEqual(await versions(), ['channel_public/1', 'signing/1', 'signing_certificate/1', 'symmetric/1']);
  await shop.setMerchant({ keys: { merchant: shop.merchant } });
  assert.deepEqual(await versions(), ['channel_public/1', 'signing/1', 'signing_certificate/1', 'symmetric/1']);
});

test('list and show name versions and serials, never a key', async () => {
  const list = await site.stack.ctl(['merchant', 'list', '--company', 'shop']);
  assert.match(list.stdout, new RegExp(`${shop.merchant.our_id}.*${shop.merchant.mchid}`));
  const show = await site.stack.ctl(['merchant', 'show', shop.merchant.our_id]);
  assert.match(show.stdout, new RegExp(`signing/1.*${shop.merchant.serial}`));
  for (const text of [list.stdout, show.stdout]) {
    assert.doesNotMatch(text, /BEGIN/);
    assert.ok(!text.includes(shop.merchant.apiv3_key));
  }
});

test('keys are sealed in the database, each for its own place', async () => {
  const { rows } = await site.stack.query('select sealed from payments.merchant_key');
  for (const { sealed } of rows) {
    assert.equal(sealed.subarray(0, 2).toString(), 'P1');
    assert.ok(!sealed.includes('BEGIN') && !sealed.includes(shop.merchant.apiv3_key));
  }
});

test('a new active merchant retires the one before', async () => {
  const first = shop.merchant.our_id;
  await shop.setMerchant();
  assert.equal(await site.stack.value('select state from core.merchant where id = $1', [first]), 'retired');
  assert.equal(await site.stack.value("select count(*) from core.merchant where state = 'active'"), 1n);
});

test('a merchant whose keys cannot be unsealed is told and answers 503; the others work', async () => {
  const other = await site.company('other');
  await site.stack.query("update payments.merchant_key set sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1), valid_to = '2099-01-01' where merchant_num = (select num from core.merchant where id = $1) and use = 'signing'", [other.merchant.our_id]);
  await waitFor(async () => (await other.send(null, { plain: {} })).status === 503, { what: 'unusable' });
  await waitFor(async () => (await site.payments.metric('penstock_payments_merchants_unusable')) === 1, { what: 'counted' });
  assert.equal((await shop.payable()).state, 'pending');
});
