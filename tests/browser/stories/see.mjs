// SPDX-License-Identifier: GPL-2.0-or-later
// Signing in, and looking.
import assert from 'node:assert/strict';
import { cells, choose, number, ready, row, rows, unfold, until } from '../page.mjs';

export async function links({ visit, lab }) {
	const { page, context } = await visit();
	assert.equal(new URL(page.url()).hash, '', 'the token stays in the address');
	await context.close();
	const used = (await visit(undefined, { signed: false })).page;
	await used.getByText('the link is used').waitFor();
	await used.getByText('scupper open').first().waitFor();
	assert.equal(await rows(used).count(), 0);
	const fresh = await lab('link');
	await used.evaluate(hash => { location.hash = hash; }, new URL(fresh).hash);
	await ready(used);
}

export async function expired({ visit }) {
	const { page } = await visit(undefined, { signed: false });
	await page.getByText('older than a minute').waitFor();
	await page.getByText('scupper open').first().waitFor();
	await page.goto('about:blank');
}

export async function unsigned({ visit, url }) {
	const { page } = await visit(url, { signed: false });
	await page.getByText('sign in with').waitFor();
	await page.getByText('scupper open').first().waitFor();
}

export async function live({ visit, run, lab }) {
	const { page } = await visit();
	assert.equal(await row(page, 'curl').count(), 0);
	assert.ok((await run('curl', '-4sS', 'http://www.shop.test/')).ok);
	await row(page, 'curl').waitFor();
	assert.ok((await run('kdig', '@127.0.0.53', 'n00007.shop.test')).ok);
	assert.ok((await run('/usr/bin/python3', '-c',
		'import urllib.request as u; u.urlopen("http://www.other.example/").read()')).ok);
	await row(page, 'kdig').waitFor();
	await row(page, 'python3').waitFor();
	await unfold(page, 'curl', 'shop.test');
	await row(page, 'www.shop.test').waitFor();
	await page.fill('.search', 'n00007');
	await row(page, 'n00007.shop.test').waitFor();
	await until('only kdig', async () => await row(page, 'curl').count() === 0);
	await page.fill('.search', '');
	// a download counts while it runs, and in the end stands as the daemon counted it
	const loading = run('curl', '-4sS', '-m4', '-o', '/dev/null', 'http://slow.shop.test/slow');
	await until('a rate', async () => number(await row(page, 'curl').locator('.c-rate').innerText()) > 50e3);
	const early = (await cells(page, 'curl')).down;
	await until('it grows', async () => (await cells(page, 'curl')).down > early);
	await loading;
	await until('as many bytes as the daemon says', async () => {
		const there = await lab('bytes', '/usr/bin/curl'), here = await cells(page, 'curl');
		return there.rx > 500e3 && Math.abs(there.rx / here.down - 1) < 0.05 &&
			Math.abs(there.tx / here.up - 1) < 0.05;
	});
}

async function brush(page, from, to) {
	const box = await page.locator('.u-over').boundingBox();
	await page.mouse.move(box.x + box.width * from, box.y + 40);
	await page.mouse.down();
	await page.mouse.move(box.x + box.width * to, box.y + 40, { steps: 5 });
	await page.mouse.up();
}

export async function brushed({ visit, run }) {
	const { page } = await visit();
	await page.locator('.spans button', { hasText: '1m' }).click();
	await page.locator('.chart summary').click();
	await until('a few points', async () => await page.locator('.chart .as-table tbody tr').count() >= 5);
	await run('curl', '-4sS', 'http://www.shop.test/');
	await row(page, 'curl').waitFor();
	await brush(page, 0.02, 0.4); // before it
	const chip = page.locator('.chip');
	await chip.waitFor();
	await until('no curl then', async () => await row(page, 'curl').count() === 0);
	await chip.locator('button').click();
	await row(page, 'curl').waitFor();
	await until('a point after it', async () => await page.locator('.chart .as-table tbody tr').count() >= 7);
	await brush(page, 0.6, 1);
	await chip.waitFor();
	await row(page, 'curl').waitFor();
}

export async function mapped({ visit, run }) {
	const { page } = await visit();
	await run('curl', '-4sS', 'http://www.shop.test/');
	await run('/usr/bin/python3', '-c',
		'import urllib.request as u; u.urlopen("http://www.other.example/").read()');
	await row(page, 'curl').waitFor();
	await row(page, 'python3').waitFor();
	await page.locator('.map > summary').click();
	const canvas = page.locator('.canvases');
	const dots = async () => JSON.parse(await canvas.getAttribute('data-dots') ?? '[]');
	await canvas.waitFor();
	await until('two countries', async () =>
		(await dots()).map(([c]) => c).sort().join() === 'DE,NL');
	// the nearest dot to the pointer is meant; these two lie apart by less than a finger
	const [, x, y] = (await dots()).find(([c]) => c === 'NL');
	await canvas.locator('canvas').last().click({ position: { x, y } });
	await page.locator('.chip', { hasText: 'Netherlands' }).waitFor();
	await until('only curl', async () => await row(page, 'python3').count() === 0);
	await row(page, 'curl').waitFor();
	await page.locator('.world summary').click();
	await page.locator('.world tr', { hasText: 'Germany' }).locator('button').click();
	await until('only python', async () => await row(page, 'curl').count() === 0);
	await unfold(page, 'python3', 'other.example');
	await choose(page, 'www.other.example');
	await page.keyboard.press('Enter');
	const details = page.getByRole('complementary', { name: 'Details' });
	await details.getByText('AS64501').waitFor();
	await details.getByText('Germany').waitFor();
}
