// PostgreSQL goes and comes back: the api answers 503 meanwhile and needs no restart.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '../../support/wait.mjs';
import { World, assertProblem } from './world.mjs';

let world;
before(async () => {
  world = await World.create({ exclusive: true });
});
after(() => world?.stop());

test('an immediate stop of PostgreSQL is a 503 with Retry-After, then everything goes on', async () => {
  const manager = await world.logIn('haigang');
  assert.equal((await manager.get('/api/v1/properties')).status, 200);
  await world.stack.stopPostgres({ mode: 'immediate' });
  const meanwhile = await manager.get('/api/v1/properties');
  assertProblem(meanwhile, 503, 'unavailable');
  assert.ok(Number(meanwhile.headers.get('retry-after')) >= 1);
  assertProblem(await manager.post('/api/v1/session', world.who('haigang')), 503, 'unavailable');
  await world.stack.startPostgres();
  await waitFor(async () => (await manager.get('/api/v1/properties')).status === 200, { what: 'the api to recover', within_ms: 15_000 });
  const answers = await Promise.all(Array.from({ length: 16 }, () => manager.get('/api/v1/session')));
  assert.deepEqual(answers.map((each) => each.status), Array(16).fill(200), 'each worker finds its way back at its first request');
  const stream = manager.listen();
  await stream.until((event) => event.event === 'reset');
  stream.stop();
});
