// The command line: a wish is waited for until it is read back or refused; freezes are listed and released by two.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack } from '../../support/stack.mjs';
import { waitFor } from '../../support/wait.mjs';
import { Site } from './site.mjs';

let stack, site, point, id;
before(async () => {
  stack = await startStack();
  await stack.query("select penstock.ensure_partitions((now() - interval '1 day')::date, (now() + interval '1 day')::date)");
  await (await stack.spawnService('control')).ready();
  site = await Site.make(stack, { code: 'by-hand' });
  point = await site.addPoint();
  id = await stack.value('select id from core.usage_point where num = $1', [point.num]);
});
after(() => stack.stop());

const supply = (verb, ...more) => stack.ctl(['supply', verb, '--company', 'by-hand', '--usage-point', id, ...more]);
const asked = ['--reason', 'leak', '--as', 'lin'];

test('off, on and force-on are waited for until they are read back', async () => {
  assert.match((await supply('show')).stdout, /nobody ever switched it/);
  const answer = supply('off', ...asked);
  const off = await site.issued(point, 'switch_off');
  assert.equal(off.requested_by, 'cli:lin');
  await site.claim(off);
  await site.finish(off, 'verified', { state: 'off' });
  assert.deepEqual(await answer.then(({ code, stdout }) => [code, stdout]), [0, 'E\ndone  off\n']);
  const forced = supply('force-on', ...asked);
  await site.finish(await site.issued(point, 'switch_on'), 'verified', { state: 'on', at: Date.now() + 5 });
  assert.equal((await forced).code, 0);
  const refused = await supply('off', ...asked);
  assert.deepEqual([refused.code, refused.stdout], [1, 'E\nrefused  force_on\n']);
  const shown = (await supply('show')).stdout;
  for (const line of [/wanted +on .*force_on.*read back/, /seen +on/, /forced +on: leak, by cli:lin/, /command .*switch_off .*verified.*by cli:lin/, /refused .*off: force_on/]) assert.match(shown, line);
  assert.equal((await supply('release', ...asked)).code, 0);
  assert.equal((await supply('resume', ...asked)).code, 0);
});

test('what is wrong with a command line is said', async () => {
  for (const [args, words] of [[['--company', 'x', '--usage-point', id, ...asked], /no company 'x'/], [['--company', 'by-hand', '--usage-point', 'x', ...asked], /is no id/],
    [['--company', 'by-hand', '--usage-point', id], /needed/], [['--company', 'by-hand', '--usage-point', id, ...asked, '--until', 'noon'], /RFC 3339/]]) {
    const { code, stderr } = await stack.ctl(['supply', 'off', ...args]);
    assert.equal(code, 2);
    assert.match(stderr, words);
  }
});

test('a freeze is listed, and released by two', async () => {
  assert.equal((await stack.ctl(['control', 'freeze', 'list'])).code, 0);
  await stack.query("insert into control.freeze (company_id, reason, detail, frozen_at) values ($1, 'limiter', 'many', now())", [site.company]);
  const listed = await stack.ctl(['control', 'freeze', 'list', '--company', 'by-hand']);
  assert.equal(listed.code, 1);
  const [, num] = /by-hand +(\d+) .*limiter: many/.exec(listed.stdout);
  const release = (who) => stack.ctl(['control', 'freeze', 'release', '--company', 'by-hand', '--freeze', num, '--as', who]).then(({ code, stdout }) => [code, stdout.trim()]);
  assert.deepEqual(await release('lin'), [0, 'one more person is needed']);
  assert.deepEqual(await release('lin'), [1, 'another person is needed']);
  assert.deepEqual(await release('wang'), [0, 'released']);
  assert.deepEqual(await release('wang'), [1, 'there is no such freeze']);
  await waitFor(async () => (await stack.ctl(['control', 'freeze', 'list'])).code === 0, { what: 'nothing is frozen' });
  assert.match((await stack.ctl(['control', 'freeze', 'list', '--all'])).stdout, /first cli:lin {2}released by cli:wang/);
});
