// Terms of a contract from an instant to come: heads and contracted capacity.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { HOUR, Site } from '../billing/site.mjs';

let stack, site, point, id;
before(async () => {
  stack = await startStack({ redis: false });
  site = await Site.make(stack, { code: 'terms' });
  point = await site.addPoint();
  id = await stack.value('select id from core.usage_point where num = $1', [point.num]);
});
after(() => stack.stop());

const soon = (hours) => new Date(Math.floor(Date.now() / 1000) * 1000 + hours * HOUR).toISOString();
const heads = (...more) => stack.ctl(['agreement', 'heads', '--company', 'terms', '--property', 'p1', '--number', 'A1', ...more]);
const capacity = (...more) => stack.ctl(['agreement', 'capacity', '--company', 'terms', '--usage-point', id, ...more]);
const refused = async (promise, code, pattern) => {
  const answer = await promise;
  assert.equal(answer.code, code, answer.stdout + answer.stderr);
  assert.match(answer.stderr, pattern);
};

test('heads hold from an instant to come; a second word replaces the first', async () => {
  await refused(heads('--heads', '3', '--from', '2024-01-01T00:00:00+08:00'), 1, /--from: must lie in the future/);
  await refused(heads('--heads', '0', '--from', soon(1)), 2, /--heads/);
  await refused(heads('--heads', '3', '--from', 'soon'), 2, /--from: 'soon' is no RFC 3339 time/);
  await refused(stack.ctl(['agreement', 'heads', '--company', 'terms', '--property', 'p1', '--number', 'B7', '--heads', '3', '--from', soon(1)]), 2, /no agreement 'B7'/);
  const from = soon(5);
  const { code, stdout, stderr } = await heads('--heads', '3', '--from', from);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /agreement A1 counts 3 heads from \S+\+08:00 on/);
  assert.equal((await heads('--heads', '4', '--from', from)).code, 0);
  const { rows } = await stack.query('select from_at, heads from core.agreement_heads where company_id = $1', [site.company]);
  assert.deepEqual(rows.map((r) => [r.from_at.getTime(), r.heads]), [[Date.parse(from), 4]]);
  assert.equal(await stack.value(`select count(*)::int from core.audit where company_id = $1 and action = 'agreement_heads'`, [site.company]), 2);
});

test('a contracted capacity goes on with the same account', async () => {
  await refused(capacity('--kva', '-5', '--from', soon(1)), 2, /--kva/);
  await refused(capacity('--kva', '30', '--from', soon(-1)), 1, /must lie in the future/);
  const [first, second] = [soon(2), soon(9)];
  for (const [kva, from] of [['30', first], ['45.5', second], ['50', second]]) {
    const { code, stderr } = await capacity('--kva', kva, '--from', from);
    assert.equal(code, 0, stderr);
  }
  const { rows } = await stack.query('select account_num as account, from_at, to_at, contracted_va as va from core.usage_point_account where company_id = $1 and usage_point_num = $2 order by from_at', [site.company, point.num]);
  assert.deepEqual(rows.map((r) => [r.account, r.to_at?.getTime() ?? null, r.va]), [
    [point.account, Date.parse(first), null], [point.account, Date.parse(second), 30_000n], [point.account, null, 50_000n]]);
  assert.deepEqual(rows.slice(1).map((r) => r.from_at.getTime()), [Date.parse(first), Date.parse(second)]);
});
