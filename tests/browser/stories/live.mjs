// SPDX-License-Identifier: GPL-2.0-or-later
// Daemons that die, other users, many tabs.
import assert from 'node:assert/strict';
import { ready, row, rows, unfold, until } from '../page.mjs';

const labels = async page => (await rows(page).locator('.label').allInnerTexts()).sort();
const shop = (run, n) => run('curl', '-4sSm5', `http://n0000${n}.shop.test/`);

// how often the row's host was contacted, as its details say
async function contacts(page, name) {
	await row(page, name).click();
	await page.focus('.tree .scroll');
	await page.keyboard.press('Enter');
	const fact = page.locator('.details .fact', { hasText: 'Connections' }).locator('dd');
	const text = await fact.innerText();
	await page.locator('.details').press('Escape');
	return Number(text.split(',')[0]);
}

// what was there stays, what comes is added, nothing is counted twice
async function rightAfter(page, run, before, n) {
	assert.ok((await shop(run, n)).ok);
	await row(page, `n0000${n}.shop.test`).waitFor();
	const want = [...before, `n0000${n}.shop.test`].sort();
	await until('the rows after a death', async () => (await labels(page)).join() === want.join());
	for (let i = 1; i <= n; i++)
		assert.equal(await contacts(page, `n0000${i}.shop.test`), 1, `contacts of n0000${i}`);
}

// the next core is there within milliseconds: the page goes on as if nothing had been
export async function coreDies({ visit, run, lab }) {
	const { page } = await visit();
	assert.ok((await shop(run, 1)).ok);
	await page.fill('.search', 'curl');
	await unfold(page, 'curl', 'shop.test');
	await row(page, 'n00001.shop.test').waitFor();
	const before = await labels(page);
	await lab('kill', 'core');
	await page.getByText('It restarted 1 times').or(page.locator('header .health', { hasText: '1 to look at' }))
		.first().waitFor();
	await rightAfter(page, run, before, 2);
}

export async function webDies({ visit, run, lab }) {
	const { page } = await visit();
	assert.ok((await shop(run, 1)).ok);
	await page.fill('.search', 'curl');
	await unfold(page, 'curl', 'shop.test');
	await row(page, 'n00001.shop.test').waitFor();
	const before = await labels(page);
	await lab('kill', 'web');
	await page.locator('.banner').waitFor();
	assert.deepEqual(await labels(page), before, 'the last rows stay while it is away');
	await page.locator('.banner').waitFor({ state: 'detached' });
	await ready(page);
	await rightAfter(page, run, before, 2);
}
