// Pictures of every screen, for looking at: node dev/screenshots.mjs [folder]. Needs a built dist and a chromium.
import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';

import { startStandIn } from './server.mjs';

const folder = process.argv[2] ?? 'dist-screenshots';
const VIEWS = [
  { name: 'desk', viewport: { width: 1440, height: 900 } },
  { name: 'phone', viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 },
];

mkdirSync(folder, { recursive: true });
const standIn = await startStandIn({ port: 0 });
const browser = await chromium.launch({ executablePath: process.env.PENSTOCK_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
for (const { name: view, ...device } of VIEWS) {
  for (const [language, scheme] of [['zh-CN', 'light'], ['en', 'light'], ['en', 'dark']]) {
    const context = await browser.newContext({ ...device, locale: language, colorScheme: scheme });
    const page = await context.newPage();
    page.on('console', (m) => ['error', 'warning'].includes(m.type()) && !/401/.test(m.text()) && console.log(`${view} ${language}: ${m.text().slice(0, 300)}`));
    page.on('pageerror', (e) => console.log(`${view} ${language}: ${e.message}`));
    const shot = (step) => page.screenshot({ path: `${folder}/${view}-${language}-${scheme}-${step}.png` });
    await page.goto(`${standIn.url}/`);
    await page.locator('#company').waitFor();
    await shot('login');
    await page.fill('#company', 'harbour');
    await page.fill('#login', 'anna');
    await page.fill('#password', 'penstock');
    await page.click('button[type=submit]');
    await page.locator('.property-card').first().waitFor();
    await shot('properties');
    await page.locator('.property-card').first().click();
    await page.locator('.room').first().waitFor();
    await page.waitForTimeout(600);
    await shot('board');
    await page.locator('[data-state=arrears].state-filter').click();
    await page.waitForTimeout(300);
    await shot('board-filtered');
    await page.locator('.room').first().click();
    await page.locator('[data-testid=hour-chart] canvas').waitFor();
    await page.waitForTimeout(400);
    await page.screenshot({ path: `${folder}/${view}-${language}-${scheme}-room.png`, fullPage: view === 'phone' });
    await page.locator('[data-testid=explain]').first().click();
    await page.locator('[data-testid=explanation]').waitFor();
    await page.waitForTimeout(500);
    await shot('explanation');
    await page.keyboard.press('Escape');
    await page.waitForTimeout(400);
    await page.locator('[data-testid=edit-thresholds]').click();
    await page.locator('.threshold-set').first().waitFor();
    await page.waitForTimeout(400);
    await shot('thresholds');
    await page.goto(`${standIn.url}/properties/forbidden`);
    await page.waitForTimeout(400);
    await shot('forbidden');
    await context.close();
  }
}
await browser.close();
await standIn.close();
