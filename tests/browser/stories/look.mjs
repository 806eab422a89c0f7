// SPDX-License-Identifier: GPL-2.0-or-later
// Every page in light and dark, wide and narrow: no violation of accessibility, nothing that
// scrolls sideways. With SCREENSHOTS=folder pictures of Now, Rules and the map are kept there.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { axe, choose, nav, row, unfold, until } from '../page.mjs';

const docs = process.env.SCREENSHOTS;

async function keep(page, name) {
	if (docs)
		await page.screenshot({ path: join(docs, `${name}.png`) });
}

async function well(page, what) {
	assert.deepEqual(await axe(page), [], what);
	assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
		`${what} scrolls sideways`);
}

async function pages(page, look) {
	await unfold(page, 'curl', 'shop.test');
	await until('bytes', async () => /\d kB/.test(await row(page, 'curl').innerText()));
	await well(page, `Now, ${look}`);
	await keep(page, `now-${look}`);
	await choose(page, 'shop.test');
	await page.focus('.tree .scroll');
	await page.keyboard.press('Enter');
	const details = page.getByRole('complementary', { name: 'Details' });
	await details.getByRole('button', { name: 'Deny…' }).click();
	await page.getByRole('dialog').waitFor();
	await well(page, `the dialog, ${look}`);
	await page.keyboard.press('Escape');
	await page.getByRole('button', { name: 'Close details' }).click();
	await choose(page, 'curl'); // the map is of the row that is chosen
	await page.locator('.map > summary').click();
	await until('dots', async () => JSON.parse(
		await page.locator('.canvases').getAttribute('data-dots') ?? '[]').length > 1);
	await well(page, `Map, ${look}`);
	await page.locator('.map').scrollIntoViewIfNeeded();
	if (docs) { // without where the lab's data lay
		await page.locator('.credit').evaluate(e => { e.hidden = true; });
		await page.locator('.map').screenshot({ path: join(docs, `map-${look}.png`) });
	}
	const names = await page.getByRole('navigation').getByRole('button').allInnerTexts();
	assert.ok(names.includes('Rules') && names.includes('Health'), names.join());
	for (const name of names.filter(n => n !== 'Now')) {
		await nav(page, name);
		await page.getByRole('heading', { name, level: 1 }).waitFor();
		await well(page, `${name}, ${look}`);
		if (name === 'Rules')
			await keep(page, `rules-${look}`);
	}
}

export async function all({ visit, run, lab }) {
	if (docs)
		mkdirSync(docs, { recursive: true });
	for (let n = 1; n <= 9; n++)
		await run('curl', '-4sS', `http://n0000${n}.shop.test/`);
	await run('curl', '-4sS', 'http://www.shop.test/');
	await run('curl', '-4sS', '-m3', '-o/dev/null', 'http://slow.shop.test/slow');
	await run('wget', '-4', '-qO-', '-T3', '-t1', 'http://www.other.example/');
	await run('wget', '-4', '-qO-', '-T3', '-t1', 'http://x.ads.example/');
	await run('/usr/bin/python3', '-c',
		'import urllib.request as u; u.urlopen("http://www.other.example/").read()');
	await run('kdig', '@127.0.0.53', 'www.shop.test');
	for (const colorScheme of ['light', 'dark'])
		for (const width of [1280, 400]) {
			const { page, context } = await visit(await lab('link'),
				{ colorScheme, viewport: { width, height: 800 } });
			await pages(page, `${width}-${colorScheme}`);
			await context.close();
		}
}
