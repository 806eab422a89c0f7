// SPDX-License-Identifier: GPL-2.0-or-later
// The page in a real browser, against a stand-in for the daemon.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { axe, choose, launch, missing, open, ready, row, rows, top, until, watch } from './page.mjs';
import { DIST, serve } from '../../web/dashboard/test/fake.mjs';

const skip = missing ?? false;
const docs = process.env.SCREENSHOTS || '';
let browser;
before(async () => { browser = skip ? null : await launch(); });
after(() => browser?.close());

async function story(options, tell, context = {}) {
	const s = await serve(options);
	const o = await open(browser, s.url + '#t=first', context);
	try {
		await ready(o.page);
		await tell({ ...o, ...s });
		assert.deepEqual(o.bad, [], 'errors in the console');
	} finally {
		await o.context.close();
		s.close();
	}
}

test('sign-in: once, out of sight, and not without', { skip }, () => story({}, async ({ page, url }) => {
	assert.equal(new URL(page.url()).hash, '');
	await until('rows', async () => await rows(page).count() === 5);
	const other = await open(browser, url + '#t=first');
	await other.page.waitForSelector('text=this link was used');
	await other.context.close();
}));

test('live rows, search, and what turns text around', { skip }, () => story({}, async ({ page, fake }) => {
	fake.flow(['/usr/bin/wget', 1000], ['new.example.net', 'example.net', '192.0.2.99', 'FR', null]);
	await row(page, 'wget').waitFor();
	await page.fill('.search', 'evil');
	await row(page, 'evil\\u202egro').waitFor();
	await page.fill('.search', 'bcher');
	await until('Unicode beside', async () => (await rows(page).allTextContents()).join().includes('bücher'));
}));

test('a brush filters, and is taken away', { skip }, () => story({}, async ({ page }) => {
	const box = await page.locator('.u-over').boundingBox();
	await page.mouse.move(box.x + 40, box.y + 40);
	await page.mouse.down();
	await page.mouse.move(box.x + 200, box.y + 40, { steps: 5 });
	await page.mouse.up();
	await page.waitForSelector('.chip');
	await until('no rows then', async () => await rows(page).count() === 0);
	await page.click('.chip button');
	await until('rows again', async () => await rows(page).count() === 5);
}));

test('thirty days: the brush takes its span from the history', { skip }, () => story({}, async ({ page, fake }) => {
	await page.click('.spans button:text-is("30d")');
	await until('a month of points', () => fake.requests.filter(r => r === 'GET /api/v1/stats').length === 2);
	const box = await page.locator('.u-over').boundingBox();
	const drag = async () => {
		await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
		await page.mouse.down();
		await page.mouse.move(box.x + box.width * 0.4, box.y + 40, { steps: 5 });
		await page.mouse.up();
	};
	await drag();
	await until('the programs of then', async () => await rows(page).count() === 3);
	await until('their sums', async () => /(9[0-9]|10[0-9]) MB/.test(await row(page, 'curl').count() ? ''
		: await row(page, 'firefox').locator('.c-down').textContent()));
	await page.click('.map > summary');
	await until('the places of then', async () => ['DE', 'GB', 'US'].join() === JSON.parse(
		await page.locator('.canvases').getAttribute('data-dots')).map(d => d[0]).sort().join());
	await choose(page, 'firefox');
	await until('those of one program', async () => 'US' === JSON.parse(
		await page.locator('.canvases').getAttribute('data-dots')).map(d => d[0]).join());
	await page.click('.chip button');
	await until('now again', async () => await rows(page).count() === 5);
	fake.past = null;
	await drag();
	await page.waitForSelector('text=the history cannot be read now');
}));

test('history behind a row, and by its filters', { skip }, () => story({}, async ({ page }) => {
	const lines = page.locator('tbody tr');
	await choose(page, 'firefox');
	await page.focus('.tree .scroll');
	await page.keyboard.press('Enter');
	await page.locator('.details button', { hasText: 'History' }).click();
	await until('its rows', async () => await lines.count() === 200);
	await page.locator('button', { hasText: 'Older ones' }).click();
	await until('older ones', async () => await lines.count() > 200);
	await page.selectOption('select[name=verdict]', 'deny');
	await page.locator('.filters button', { hasText: 'Show' }).click();
	await until('denied ones', async () => await lines.count() === 48);
	assert.match(await lines.first().textContent(), /telemetry\.tracker\.example.*deny any \.tracker\.example/);
	assert.deepEqual(await axe(page), []);
}));

test('keys of one letter are switched off, and stay so', { skip }, () => story({}, async ({ page, url }) => {
	await page.keyboard.press('?');
	await page.locator('dialog label', { hasText: 'single key' }).locator('input').uncheck();
	await page.keyboard.press('Escape');
	await page.goto(url);
	await ready(page);
	await choose(page, 'firefox');
	await page.focus('.tree .scroll');
	for (const key of ['d', 'a', '?', 'g', 'r', ' '])
		await page.keyboard.press(key);
	await page.keyboard.press('ArrowRight'); // no letter: still a key
	await row(page, 'tracker.example').waitFor();
	assert.equal(await page.locator('dialog[open]').count(), 0);
	assert.equal(await page.locator('nav [aria-current]').textContent(), 'Now');
}));

test('a reader sees, and changes nothing', { skip }, () => story({}, async ({ page, fake, url }) => {
	fake.role = 'reader';
	await page.goto(url);
	await ready(page);
	await choose(page, 'firefox');
	await page.focus('.tree .scroll');
	for (const key of ['d', 'Enter'])
		await page.keyboard.press(key);
	await page.waitForSelector('.details');
	assert.equal(await page.locator('dialog[open], .details button.allow').count(), 0);
	await page.locator('nav button', { hasText: 'Rules' }).click();
	await page.waitForSelector('tbody tr');
	assert.equal(await page.locator('#new-rule, tbody button').count(), 0);
	assert.equal(await page.locator('tbody input:enabled').count(), 0);
}));

test('arcs from home, and the credit', { skip }, () => story({}, async ({ page, url }) => {
	await page.click('.map > summary');
	await page.locator('.world select').selectOption('AU');
	await page.waitForSelector('.credit a[href="https://db-ip.com"]');
	await page.goto(url); // it is remembered
	await page.click('.map > summary');
	assert.equal(await page.locator('.world select').inputValue(), 'AU');
	if (docs)
		await page.locator('.map').screenshot({ path: join(docs, 'map.png') });
}));

test('a long name is read whole at 400 px', { skip }, () => story({}, async ({ page, fake }) => {
	const name = 'a-rather-long-host-name.of-a-content-network.region-1.cdn.example.net';
	fake.flow(['/usr/bin/wget', 1000], [name, 'example.net', '192.0.2.99', 'FR', null]);
	await page.fill('.search', name);
	const label = page.locator('.row.host .name');
	await label.waitFor();
	assert.ok(await label.evaluate(e => e.scrollHeight <= e.clientHeight + 1 && e.scrollWidth <= e.clientWidth + 1));
}, { viewport: { width: 400, height: 800 } }));

test('a country on the map filters, and the table too', { skip }, () => story({}, async ({ page }) => {
	await page.click('.map > summary');
	await page.waitForFunction(() =>
		JSON.parse(document.querySelector('.canvases')?.dataset.dots || '[]').length > 3);
	const dots = JSON.parse(await page.locator('.canvases').getAttribute('data-dots'));
	const [, x, y] = dots.find(([c]) => c === 'BR');
	await page.locator('.canvases canvas').last().click({ position: { x, y } });
	await until('only curl', async () => await rows(page).count() === 1);
	await row(page, 'curl').waitFor();
	await page.click('.world summary');
	await page.locator('.world tr', { hasText: 'Germany' }).locator('button').click();
	await row(page, 'http').waitFor();
}));

test('a rule by keys alone, it holds at once, undo', { skip }, () => story({}, async ({ page, fake }) => {
	await page.fill('.search', 'www.example.org');
	await page.press('.search', 'Escape');
	const line = rows(page).filter({ hasText: 'www.example.org' }).first();
	await line.waitFor();
	for (const key of ['Home', 'ArrowDown', 'ArrowDown', 'd'])
		await page.keyboard.press(key);
	await page.waitForSelector('dialog[open] .preview');
	await page.check('dialog input[value=registrable]');
	const text = await page.locator('dialog .preview code').textContent();
	assert.match(text, /^deny \/usr\/\S+ \.example\.org$/);
	await page.locator('dialog button[type=submit]').focus();
	await page.keyboard.press('Enter');
	await until('the rule', () => fake.rules[0].text === text);
	await page.locator('.toast button', { hasText: 'Undo' }).click();
	await until('taken back', () => fake.rules[0].text !== text);
}));

test('rules page: add, refuse, switch, remove, undo, explain', { skip }, () => story({}, async ({ page, fake }) => {
	await page.locator('nav button', { hasText: 'Rules' }).click();
	await page.fill('#new-rule', 'nonsense');
	await page.locator('button', { hasText: 'Add' }).click();
	await page.waitForSelector('.toast.bad');
	await page.fill('#new-rule', 'deny /usr/bin/git any');
	await page.locator('button', { hasText: 'Add' }).click();
	const line = page.locator('tbody tr', { hasText: 'git any' });
	await line.waitFor();
	await line.locator('input').uncheck();
	await until('off', () => fake.rules[0].enabled === false);
	await line.locator('button').click();
	await until('gone', () => !fake.rules.some(r => r.text.includes('git any')));
	await page.locator('.toast button', { hasText: 'Undo' }).click();
	await line.waitFor();
	await page.fill('#test-who', '/usr/bin/curl');
	await page.fill('#test-what', 'example.org:443');
	await page.locator('button', { hasText: 'Explain' }).click();
	await page.waitForSelector('text=the default (no rule fits)');
}));

test('seven tabs, one stream', { skip }, () => story({}, async ({ page, context, url, fake, bad }) => {
	const tabs = [page];
	for (let i = 1; i < 7; i++) {
		const p = await context.newPage();
		watch(p, bad);
		await p.goto(url);
		await ready(p);
		tabs.push(p);
	}
	assert.equal(fake.streams.size, 1);
	fake.flow(['/usr/bin/seven', 1000], ['seven.example', 'seven.example', '192.0.2.7', 'FR', null]);
	for (const p of tabs) {
		await p.bringToFront();
		await row(p, 'seven').waitFor();
	}
}));

test('the daemon restarts: said so, and it goes on', { skip }, () => story({}, async ({ page, fake }) => {
	fake.down = true;
	fake.restart();
	await page.waitForSelector('.banner');
	assert.equal(await rows(page).count(), 5); // the last data stay
	fake.down = false;
	fake.flow(['/usr/bin/after', 1000], ['after.example', 'after.example', '192.0.2.8', 'FR', null]);
	await ready(page);
	await row(page, 'after').waitFor();
}));

test('10,000 rows, 500 changes a second', { skip }, () => story({ many: 10000, rate: 500 }, async ({ page }) => {
	await page.waitForFunction(() => document.querySelectorAll('.body [role=row]').length > 10);
	await page.focus('.tree .scroll');
	for (let i = 0; i < 3; i++) // a few programs wide open
		for (const key of ['Home', 'ArrowRight', 'ArrowDown', 'ArrowRight'])
			await page.keyboard.press(key);
	await page.fill('.search', 'host-');
	await page.waitForFunction(() => Number(document.querySelector('[role=treegrid]').ariaRowCount) > 10000);
	const cdp = await page.context().newCDPSession(page), heaps = [];
	const heap = async () => { // of what is in use, not of what waits to be collected
		await cdp.send('HeapProfiler.collectGarbage');
		heaps.push((await page.evaluate(() => performance.memory.usedJSHeapSize / 1e6)).toFixed(1));
	};
	await page.evaluate(() => performance.clearMeasures());
	for (let i = 0; i < 6; i++) {
		await heap();
		await new Promise(r => setTimeout(r, Number(process.env.LOAD_MS ?? 6000) / 6));
	}
	await heap();
	const p95 = await page.evaluate(() => Object.fromEntries(['render', 'sort', 'batch'].map(n => {
		const all = performance.getEntriesByName(n).map(e => e.duration).sort((a, b) => a - b);
		return [n, { n: all.length, p50: all[all.length >> 1], p95: all[Math.floor(all.length * 0.95)] }];
	})));
	console.log('10,000 rows, 500 changes a second: ' + Object.entries(p95).map(([n, x]) =>
		`${n} median ${x.p50?.toFixed(1)} p95 ${x.p95?.toFixed(1)} ms of ${x.n}`).join(', ') +
		`, heap ${heaps.join(' ')} MB`);
	assert.ok(await rows(page).count() < 60);
}));

for (const colorScheme of ['light', 'dark'])
	for (const width of [1280, 400])
		test(`no violation of accessibility: ${colorScheme}, ${width} px`, { skip }, () => story({},
			async ({ page }) => {
				await choose(page, 'firefox');
				await page.focus('.tree .scroll');
				await page.keyboard.press('ArrowRight');
				await page.waitForTimeout(1200);
				assert.deepEqual(await axe(page), []);
				if (docs) {
					mkdirSync(docs, { recursive: true });
					await page.screenshot({ path: join(docs, `now-${width}-${colorScheme}.png`) });
				}
				assert.ok(await page.evaluate(() =>
					document.documentElement.scrollWidth <= innerWidth), 'it scrolls sideways');
				await page.keyboard.press('Enter');
				await page.waitForSelector('.details');
				assert.deepEqual(await axe(page), [], 'details');
				await page.click('.map > summary');
				await page.waitForSelector('.credit');
				assert.deepEqual(await axe(page), [], 'map');
				if (docs)
					await page.screenshot({ path: join(docs, `map-${width}-${colorScheme}.png`), fullPage: true });
				/* live rows move: the key counts once the tree has the focus again */
				for (let i = 0; i < 20 && !await page.locator('dialog[open]').count(); i++) {
					await page.focus('.tree .scroll');
					await page.keyboard.press('d');
					await page.waitForTimeout(250);
				}
				await page.waitForSelector('dialog[open]');
				assert.deepEqual(await axe(page), []);
				await page.keyboard.press('Escape');
				for (const name of ['Rules', 'History', 'Health']) {
					await page.locator('nav button', { hasText: name }).click();
					await until(name, async () => await page.locator('h1').textContent() === name);
					assert.deepEqual(await axe(page), [], name);
					if (docs)
						await page.screenshot({ path: join(docs, `${name.toLowerCase()}-${width}-${colorScheme}.png`) });
					assert.ok(await page.evaluate(() =>
						document.documentElement.scrollWidth <= innerWidth), `${name} scrolls sideways`);
				}
			}, { colorScheme, viewport: { width, height: 800 } }));

test('small enough', { skip: skip || false }, () => {
	const size = Object.fromEntries(readdirSync(join(DIST, 'assets')).filter(f => f.endsWith('.gz'))
		.map(f => [f, readFileSync(join(DIST, 'assets', f)).length]));
	const sum = test => Object.entries(size).filter(([f]) => test(f)).reduce((n, [, s]) => n + s, 0);
	const first = sum(f => !f.startsWith('map-')), map = sum(f => f.startsWith('map-'));
	console.log(`first load ${first} bytes compressed, map ${map}`);
	assert.ok(first <= 70000 && map <= 70000);
	assert.ok(top);
});
