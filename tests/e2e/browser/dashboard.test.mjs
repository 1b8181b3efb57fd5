// The dashboard in a real browser, as an operator uses it. Against a running system where PENSTOCK_URL names one (with PENSTOCK_COMPANY,
// PENSTOCK_LOGIN, PENSTOCK_PASSWORD, and PENSTOCK_PROPERTY, the name of a property whose meters move), else against the stand-in of web/dev
// and the built web/dist. Accessibility (WCAG 2 A and AA) is a failing gate on every screen, and so is anything the browser complains about.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import axe from 'axe-core';
import { chromium } from 'playwright-core';

const WAIT_MS = Number(process.env.PENSTOCK_WAIT_MS ?? 15_000);
const LIVE_WAIT_MS = Number(process.env.PENSTOCK_LIVE_WAIT_MS ?? 120_000);
const CHROMIUM = process.env.PENSTOCK_CHROMIUM ?? '/usr/bin/chromium';
const DESK = { width: 1440, height: 900 };
const PHONE = { width: 360, height: 740 };

const who = {
  company: process.env.PENSTOCK_COMPANY ?? 'harbour',
  login: process.env.PENSTOCK_LOGIN ?? 'anna',
  password: process.env.PENSTOCK_PASSWORD ?? 'penstock',
};

/** The running system named by the environment, or a stand-in of our own. */
async function systemUnderTest() {
  if (process.env.PENSTOCK_URL) return { url: process.env.PENSTOCK_URL.replace(/\/$/, ''), isStandIn: false, close: async () => {} };
  assert.ok(existsSync(new URL('../../../web/dist/index.html', import.meta.url)), 'web/dist is not built: npm --prefix web run build');
  const { startStandIn } = await import('../../../web/dev/server.mjs');
  const standIn = await startStandIn({ port: 0, tickMs: 500 });
  return { url: standIn.url, isStandIn: true, close: standIn.close };
}

/** Complaints of the page that are not expected: errors of scripts, refused styles, failed requests. 401 is how a log-in screen begins. */
function listenForComplaints(page) {
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(`script: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of (401|403|404)/.test(message.text())) complaints.push(message.text());
  });
  return complaints;
}

async function logIn(page, url, credentials = who) {
  await page.goto(`${url}/`);
  await page.locator('#company').waitFor();
  await page.fill('#company', credentials.company);
  await page.fill('#login', credentials.login);
  await page.fill('#password', credentials.password);
  await page.click('button[type=submit]');
}

async function openBoard(page) {
  const card = page.locator('.property-card');
  await page.locator('.property-card, .room').first().waitFor();
  if ((await card.count()) > 0) {
    const wanted = process.env.PENSTOCK_PROPERTY;
    await (wanted ? card.filter({ hasText: wanted }) : card).first().click();
  }
  await page.locator('.room').first().waitFor();
}

/** Colours are measured when nothing fades any more. An animation outside the window never ends, hence the bound. */
function settled() {
  const finite = document.getAnimations().filter((animation) => animation.effect?.getTiming().iterations !== Infinity);
  const bound = new Promise((resolve) => setTimeout(resolve, 2_500));
  return Promise.race([bound, Promise.allSettled(finite.map((animation) => animation.finished)).then(() => undefined)]);
}

async function assertAccessible(page, screen) {
  await page.evaluate(settled);
  await page.evaluate(axe.source);
  const result = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], resultTypes: ['violations'] }));
  const found = result.violations.map((v) => `${v.id} (${v.impact}): ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} – ${n.failureSummary?.split('\n')[1]?.trim()}`).join(' | ')}`);
  assert.deepEqual(found, [], `${screen}: ${found.length} kinds of accessibility violations`);
}

/** Nothing makes the page scroll sideways, once the layout has settled. */
async function assertFitsWidth(page, screen) {
  const fits = () => document.documentElement.scrollWidth <= document.documentElement.clientWidth;
  await page.waitForFunction(fits, undefined, { timeout: 3_000 }).catch(() => undefined);
  const wide = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const causes = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > clientWidth + 1).slice(0, 5);
    return scrollWidth <= clientWidth ? null : `${scrollWidth} px in ${clientWidth} px: ${causes.map((e) => `${e.tagName}.${e.getAttribute('class')}`).join(', ')}`;
  });
  assert.equal(wide, null, screen);
}

/** Balances of the board by room. */
function balancesOf(page) {
  return page.$$eval('.room', (rooms) => Object.fromEntries(rooms.map((room) => [room.dataset.room, room.querySelector('[data-testid=balance]')?.textContent ?? ''])));
}

describe('the dashboard', { timeout: 300_000 }, () => {
  let system;
  let browser;
  let page;
  let complaints;

  before(async () => {
    system = await systemUnderTest();
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
    const context = await browser.newContext({ viewport: DESK, locale: 'en-GB' });
    page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    complaints = listenForComplaints(page);
  });

  after(async () => {
    await browser?.close();
    await system?.close();
  });

  it('refuses a wrong password and says so in the reader’s language', async () => {
    await logIn(page, system.url, { ...who, password: `${who.password}-not` });
    const alert = page.getByRole('alert').first();
    await alert.waitFor();
    assert.match(await alert.innerText(), /wrong|too many/i);
    assert.equal(await page.locator('.room').count(), 0);
    await assertAccessible(page, 'log-in');
  });

  it('asks for all three fields before it sends anything', async () => {
    await page.goto(`${system.url}/login`);
    await page.click('button[type=submit]');
    await page.locator('.ant-form-item-explain-error').nth(2).waitFor();
  });

  it('logs in and shows the rooms with their state in colour, shape and word', async () => {
    await logIn(page, system.url);
    await openBoard(page);
    const rooms = await page.$$eval('.room', (cards) => cards.map((card) => ({ word: card.querySelector('.mark')?.textContent ?? '', hasShape: card.querySelector('.mark svg') !== null, state: card.dataset.state })));
    assert.ok(rooms.length > 0);
    const words = { normal: 'Normal', alarm_1: 'Alarm 1', alarm_2: 'Alarm 2', arrears: 'Arrears', not_opened: 'Not opened', lost_contact: 'Lost contact' };
    for (const room of rooms) assert.deepEqual([room.word, room.hasShape], [words[room.state], true]);
    await assertAccessible(page, 'board');
    await assertFitsWidth(page, 'board');
  });

  it('its counters add up to the rooms shown', async () => {
    const counts = await page.$$eval('.state-filter', (buttons) => buttons.map((b) => Number(b.querySelector('.state-count').textContent)));
    assert.equal(counts.length, 6);
    assert.equal(counts.reduce((a, b) => a + b, 0), await page.locator('.room').count());
  });

  it('filters by state and by name in the address, and a reload keeps it', async () => {
    const first = page.locator('.room').first();
    const state = await first.getAttribute('data-state');
    const name = await first.locator('.room-name').innerText();
    await page.locator(`.state-filter[data-state=${state}]`).click();
    await page.fill('.board-search input', name);
    await page.waitForFunction((n) => [...document.querySelectorAll('.room .room-name')].every((r) => r.textContent.toLowerCase().includes(n.toLowerCase())), name);
    assert.equal(new URL(page.url()).searchParams.get('state'), state);
    await page.reload();
    await page.locator('.room').first().waitFor();
    const shown = await page.$$eval('.room', (cards) => cards.map((c) => [c.dataset.state, c.querySelector('.room-name').textContent]));
    assert.ok(shown.length >= 1);
    for (const [s, n] of shown) assert.ok(s === state && n.toLowerCase().includes(name.toLowerCase()), `${s} ${n}`);
    await page.fill('.board-search input', 'no room is called this');
    await page.getByText('No room matches').waitFor();
    await page.getByRole('button', { name: 'Show all' }).first().click();
    await page.locator('.room').nth(1).waitFor();
  });

  it('a balance moves by itself', async () => {
    await page.locator('.live-live').waitFor();
    const shown = await balancesOf(page);
    await page.waitForFunction(
      (old) => [...document.querySelectorAll('.room')].some((room) => old[room.dataset.room] !== undefined && old[room.dataset.room] !== room.querySelector('[data-testid=balance]').textContent),
      shown, { timeout: LIVE_WAIT_MS },
    );
  });

  it('opens a room: usage as chart and as table, balance, meter, charges', async () => {
    await page.locator('.room:not([data-state=not_opened]):not([data-state=lost_contact])').first().locator('a').click();
    await page.locator('.purse').first().waitFor();
    await page.locator('[data-testid=hour-chart] canvas').waitFor();
    await page.locator('.charges tbody tr').first().waitFor();
    assert.ok((await page.locator('.values > div').count()) > 0, 'last values are shown');
    await assertAccessible(page, 'room with chart');
    await page.locator('.today-panel').getByText('Table', { exact: true }).click();
    await page.locator('.today-panel tbody tr').first().waitFor();
    assert.equal(new URL(page.url()).searchParams.get('today'), 'table');
    await assertAccessible(page, 'room with table');
  });

  it('pages through charges with the address', async () => {
    const first = await page.locator('.charges tbody tr').first().getAttribute('data-charge');
    const older = page.locator('[data-testid=older]');
    if (await older.isDisabled()) return;
    await older.click();
    await page.waitForFunction((id) => document.querySelector('.charges tbody tr')?.dataset.charge !== id, first);
    await page.goBack();
    await page.waitForFunction((id) => document.querySelector(`.charges tr[data-charge="${id}"]`) !== null, first);
  });

  it('explains a charge in sentences and in arithmetic that adds up', async () => {
    await page.locator('[data-testid=explain]').first().click();
    const drawer = page.locator('[data-testid=explanation]');
    await drawer.waitFor();
    assert.ok((await drawer.locator('.sentences li').count()) >= 1);
    assert.ok((await drawer.locator('.arithmetic tbody tr').count()) >= 1);
    const sums = await drawer.locator('.sums dd').allInnerTexts();
    const cents = (text) => Math.round(Number(text.replaceAll('−', '-').replace(/[^0-9.-]/g, '')) * 10_000);
    assert.equal(sums.length, 4);
    const already = cents(sums[2].replace('−', ''));
    assert.equal(cents(sums[1]) - already, cents(sums[3]));
    await assertAccessible(page, 'explanation');
  });

  it('shows the explanation again from its address alone, and closes it by key', async () => {
    assert.ok(new URL(page.url()).searchParams.get('charge'));
    await page.reload();
    await page.locator('[data-testid=explanation]').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('[data-testid=explanation]').waitFor({ state: 'detached' });
    assert.equal(new URL(page.url()).searchParams.get('charge'), null);
  });

  it('switches to Chinese and remembers it', async () => {
    await page.locator('[data-testid=language]').click();
    await page.getByRole('heading', { name: '扣费记录' }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-CN');
    await page.reload();
    await page.getByRole('heading', { name: '扣费记录' }).waitFor();
    await page.locator('[data-testid=explain]').first().click();
    await page.locator('[data-testid=explanation] .sentences').waitFor();
    assert.match(await page.locator('[data-testid=explanation] .sentences').innerText(), /[一-鿿]/);
    await assertAccessible(page, 'explanation in Chinese');
    await page.keyboard.press('Escape');
    await page.locator('[data-testid=explanation]').waitFor({ state: 'detached' });
  });

  it('keeps its contrast in dark colours', async () => {
    await page.getByRole('button', { name: '深色' }).click();
    await page.locator('html[data-scheme=dark]').waitFor({ state: 'attached' });
    await assertAccessible(page, 'room, dark');
    await page.locator('.topbar-back').click();
    await page.locator('.room').first().waitFor();
    await assertAccessible(page, 'board, dark');
    await page.getByRole('button', { name: '浅色' }).click();
  });

  it('fits a phone', async () => {
    await page.setViewportSize(PHONE);
    await assertFitsWidth(page, 'board on a phone');
    await assertAccessible(page, 'board on a phone');
    await page.locator('.room:not([data-state=not_opened])').first().locator('a').click();
    await page.locator('.charges tbody tr').first().waitFor();
    await assertFitsWidth(page, 'room on a phone');
    await page.locator('[data-testid=explain]').first().click();
    await page.locator('[data-testid=explanation]').waitFor();
    await assertAccessible(page, 'explanation on a phone');
    await page.keyboard.press('Escape');
    await page.setViewportSize(DESK);
  });

  it('says that there is nothing where there is nothing to see', async () => {
    await page.goto(`${system.url}/rooms/00000000-0000-7000-8000-000000000000`);
    await page.getByText('不存在，或不在您的查看范围内。').waitFor();
  });

  it('logs out, and the address then leads to the log-in and back', async () => {
    await page.goto(`${system.url}/`);
    await openBoard(page);
    const board = new URL(page.url()).pathname;
    await page.locator('[data-testid=account-menu]').click();
    await page.getByText('退出登录').click();
    await page.locator('#company').waitFor();
    await page.goto(`${system.url}${board}?state=normal`);
    await page.locator('#company').waitFor();
    assert.equal(new URL(page.url()).searchParams.get('back'), `${board}?state=normal`);
  });

  it('nothing made the browser complain', () => assert.deepEqual(complaints, []));
});
