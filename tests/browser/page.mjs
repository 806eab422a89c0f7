// SPDX-License-Identifier: GPL-2.0-or-later
// A browser for the tests, and what every page is held to: no message of a broken
// content security policy, no uncaught error.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const top = join(dirname(fileURLToPath(import.meta.url)), '../..');
const need = createRequire(join(top, 'web/dashboard/package.json'));
export const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
export const missing = !chromium ? 'no chromium here'
	: !existsSync(join(top, 'web/dashboard/node_modules/playwright-core')) ? 'npm ci was not run' : null;

export async function launch() {
	return need('playwright-core').chromium.launch({ executablePath: chromium,
		args: ['--no-sandbox', '--enable-precise-memory-info',
		// it asks for nothing of its own, nor may a page: the daemon is at an address
		'--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost'] });
}

// one that runs already, as whoever started it
export const connect = at => need('playwright-core').chromium.connectOverCDP(at);

export const axeSource = () => need('axe-core').source;

export async function open(browser, url, options = {}) {
	const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
	const page = await context.newPage(), bad = [];
	watch(page, bad);
	if (url)
		await page.goto(url);
	return { context, page, bad };
}

export function watch(page, bad) {
	page.on('console', m => m.type() === 'error' &&
		!/Failed to load resource|ERR_|MIME type/.test(m.text()) && bad.push(m.text()));
	page.on('pageerror', e => bad.push(e.message));
}

export const ready = page => page.waitForSelector('[data-link=live]', { timeout: 90000 });
export const rows = page => page.locator('.body [role=row]');
export const row = (page, text) => rows(page).filter({ has: page.locator('.label', { hasText: text }) }).first();

export async function until(what, test, ms = 60000) {
	const end = Date.now() + ms;
	for (;;) {
		if (await test())
			return;
		if (Date.now() > end)
			assert.fail(`never: ${what}`);
		await new Promise(r => setTimeout(r, 50));
	}
}

// a violation in one line
export async function axe(page) {
	await page.evaluate(axeSource());
	const r = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
	return r.violations.map(v => `${v.id}: ${v.help}: ${v.nodes.map(n => n.target.join(' ')).slice(0, 3).join('; ')}` +
		` ${v.nodes[0].any[0]?.message ?? ''}`);
}

// opens rows of the tree, one after the other
export async function unfold(page, ...path) {
	for (const text of path) {
		await row(page, text).waitFor();
		await until(`${text} unfolded`, async () => {
			if (await row(page, text).getAttribute('aria-expanded') === 'true')
				return true;
			await row(page, text).locator('.twist').click();
		});
	}
}

// A row of the live tree: it may move away under the pointer, and another be hit.
export async function choose(page, text) {
	await row(page, text).waitFor();
	await until(`${text} chosen`, async () => {
		if (await row(page, text).getAttribute('aria-selected') === 'true')
			return true;
		await row(page, text).click();
	});
}

const UNITS = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };
export const number = text => {
	const [n, unit] = text.trim().split(' ');
	return n === '–' ? 0 : Number(n) * UNITS[unit.replace('/s', '')];
};

// a row's figures as numbers
export async function cells(page, text) {
	const get = async c => number(await row(page, text).locator(`.c-${c}`).innerText());
	return { down: await get('down'), up: await get('up') };
}

export const nav = (page, name) => page.getByRole('navigation').getByRole('button', { name }).click();
