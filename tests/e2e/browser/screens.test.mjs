// What a running system is not made to do on demand: an operator without rights, a property that is empty, forbidden or failing, a request
// for a reading that succeeds or does not, somebody else's change first, a stream that breaks. Against the stand-in alone.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { chromium } from 'playwright-core';

import { startStandIn } from '../../../web/dev/server.mjs';

describe('screens in unusual states', { timeout: 120_000 }, () => {
  let standIn;
  let browser;

  before(async () => {
    assert.ok(existsSync(new URL('../../../web/dist/index.html', import.meta.url)), 'web/dist is not built: npm --prefix web run build');
    standIn = await startStandIn({ port: 0, tickMs: 0 });
    browser = await chromium.launch({ executablePath: process.env.PENSTOCK_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  });

  after(async () => {
    await browser?.close();
    await standIn?.close();
  });

  async function pageOf(login, path) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' });
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    await context.request.post(`${standIn.url}/api/v1/session`, { data: { company: 'harbour', login, password: 'penstock' } });
    await page.goto(standIn.url + path);
    return page;
  }

  /** The id of the first room that satisfies the test. */
  function roomWhere(isWanted) {
    for (const [id, { room }] of standIn.state.world.rooms) if (isWanted(room)) return id;
    throw new Error('the world has no such room');
  }

  const openRoom = () => roomWhere((room) => room.kind === 'open' && !room.hasWater && room.balance > 100_000_000n);

  it('an empty property, a forbidden one and a failing one each say what they are', async () => {
    const page = await pageOf('anna', '/properties/empty');
    await page.getByText('No rooms yet').waitFor();
    await page.goto(`${standIn.url}/properties/forbidden`);
    await page.getByText('You may not see this').waitFor();
    await page.goto(`${standIn.url}/properties/broken`);
    await page.getByText('Something went wrong on the server').waitFor();
    await page.getByRole('button', { name: 'Try again' }).waitFor();
    await page.getByText(/^Request [0-9a-f]+/).waitFor();
    await page.context().close();
  });

  it('a screen nobody made, and a room without an account', async () => {
    const page = await pageOf('anna', '/nowhere/at/all');
    await page.getByText('Nothing here').waitFor();
    await page.goto(`${standIn.url}/rooms/${roomWhere((room) => room.kind === 'not_opened')}`);
    await page.getByText('No account is open').waitFor();
    await page.getByText('No charges yet').waitFor();
    await page.getByText('No reading charged today yet').waitFor();
    await page.context().close();
  });

  it('who may only look is offered nothing else', async () => {
    const page = await pageOf('bob', `/rooms/${openRoom()}`);
    await page.locator('.purse').first().waitFor();
    assert.equal(await page.locator('[data-testid=read-now]').count(), 0);
    assert.equal(await page.locator('[data-testid=edit-thresholds]').count(), 0);
    await page.context().close();
  });

  it('reading now tells its progress and its answer', async () => {
    const page = await pageOf('anna', `/rooms/${openRoom()}`);
    await page.locator('[data-testid=read-now]').click();
    await page.getByText('Waiting for the bus…').waitFor();
    await page.getByText('Asking the meter…').waitFor();
    await page.locator('.read-progress', { hasText: /Read: [\d,.]+ kWh/ }).waitFor();
    await page.context().close();
  });

  it('reading now tells why it failed', async () => {
    const page = await pageOf('anna', `/rooms/${roomWhere((room) => room.kind === 'lost_contact')}`);
    await page.locator('[data-testid=read-now]').click();
    await page.getByText('The meter did not answer').waitFor();
    await page.context().close();
  });

  it('a gateway without a way down is refused with that reason', async () => {
    const room = roomWhere((r) => r.kind === 'open' && r.hasWater);
    const page = await pageOf('anna', `/rooms/${room}?point=${room}-w`);
    await page.locator('[data-testid=read-now]').click();
    await page.getByText('This gateway only sends; it cannot be asked').waitFor();
    await page.context().close();
  });

  it('thresholds: checked, saved, and shown on the board at once by the stream', async () => {
    const room = openRoom();
    const page = await pageOf('anna', `/rooms/${room}`);
    await page.locator('[data-testid=edit-thresholds]').click();
    const [first, second] = [page.getByLabel('Alarm 1'), page.getByLabel('Alarm 2')];
    await first.fill('abc');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Not an amount').waitFor();
    await first.fill('20');
    await second.fill('30');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('May not be above alarm level 1').waitFor();
    await first.fill('90,000.00');
    await second.fill('');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.locator('.purse', { hasText: '≤ ¥90,000.00' }).waitFor();
    await page.locator('h1 .mark', { hasText: 'Alarm 1' }).waitFor();
    await page.context().close();
  });

  it('thresholds: somebody else was first', async () => {
    const room = openRoom();
    const page = await pageOf('anna', `/rooms/${room}`);
    await page.locator('[data-testid=edit-thresholds]').click();
    await page.getByLabel('Alarm 1').fill('77');
    standIn.state.world.rooms.get(room).room.version += 1;
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Somebody else changed it; it was read again').waitFor();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.context().close();
  });

  it('a stream that breaks is opened again and what was missed is caught up', async () => {
    const page = await pageOf('anna', '/properties/dorm');
    await page.locator('.live-live').waitFor();
    const room = [...standIn.state.world.rooms.values()].find(({ room: r, property }) => property.id === 'dorm' && r.kind === 'open').room;
    for (const stream of standIn.state.streams) stream.destroy();
    await page.locator('.live-waiting').waitFor();
    room.balance = 4_242_420_000n;
    standIn.state.feed.length = 0;
    standIn.state.seq += 5;
    await page.locator('.live-live').waitFor();
    await page.locator(`.room[data-room="${room.id}"]`, { hasText: '¥4,242.42' }).waitFor();
    await page.context().close();
  });

  it('a session that ends leads to the log-in and back to the same screen', async () => {
    const page = await pageOf('anna', '/properties/dorm?state=normal');
    await page.locator('.room').first().waitFor();
    standIn.state.sessions.clear();
    await page.reload();
    await page.fill('#company', 'harbour');
    await page.fill('#login', 'anna');
    await page.fill('#password', 'penstock');
    await page.click('button[type=submit]');
    await page.locator('.room').first().waitFor();
    assert.equal(new URL(page.url()).search, '?state=normal');
    await page.context().close();
  });
});
