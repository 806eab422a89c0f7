// SPDX-License-Identifier: GPL-2.0-or-later
// The page served by the daemon itself: signs in with the link given, sees a program,
// denies it, takes that back. Started by tests/lab/test_dashboard.py, inside the scope.
import assert from 'node:assert/strict';
import { axe, launch, open, ready, row } from './page.mjs';

const browser = await launch();
const { page, bad } = await open(browser, process.argv[2]);
await ready(page);
await row(page, 'kdig').waitFor();
await row(page, 'kdig').click();
await page.focus('.tree .scroll');
await page.keyboard.press('d');
await page.check('dialog input[value="10m"]');
await page.locator('dialog button[type=submit]').click();
await page.locator('.toast button', { hasText: 'Undo' }).click();
await page.waitForSelector('text=Taken back.');
assert.deepEqual(await axe(page), []);
assert.deepEqual(bad, []);
await browser.close();
