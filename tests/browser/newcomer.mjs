// SPDX-License-Identifier: GPL-2.0-or-later
// The first ten minutes with the page, real traffic in it: what this machine's package
// registries are asked for. Started by tests/lab/test_newcomer.py, inside the scope, in a
// directory of its own:  newcomer.mjs LINK APT-HOST NPM-HOST
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { axe, launch, open, ready, row, rows, until } from './page.mjs';

const [link, aptHost, npmHost] = process.argv.slice(2);
const began = Date.now();
const say = what => console.log(`# ${((Date.now() - began) / 1000).toFixed(1)} s: ${what}`);

// as the user's own commands, but for where they keep what they fetch
mkdirSync('lists/partial', { recursive: true });
mkdirSync('archives/partial', { recursive: true });
const run = (command, ...args) => {
	const r = spawnSync(command, args, { encoding: 'utf8', timeout: 60000 });
	return { ok: r.status === 0, text: r.stdout + r.stderr };
};
const apt = command => run('apt-get', '-q', '-o', 'Dir::State::Lists=' + process.cwd() + '/lists',
	'-o', 'Dir::Cache=' + process.cwd(), '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=0',
	...command);
let caches = 0; // npm shows what it has when it gets nothing new: nothing must be there
const npm = (...words) => run('npm', '--cache', `${process.cwd()}/npm${++caches}`,
	'--fetch-retries=0', ...words);
const works = r => assert.ok(r.ok, r.text);

const browser = await launch();
const { page, bad } = await open(browser, link);
await ready(page);
say('the page is there');

works(apt(['update']));
works(apt(['download', 'hello']));
works(npm('view', 'left-pad', 'version'));
works(npm('pack', 'left-pad@1.3.0'));
say('apt-get update, apt-get download, npm view, npm pack: done');
const find = async text => {
	await page.fill('.search', text);
	await page.press('.search', 'Escape');
	return rows(page).filter({ hasText: text });
};
for (const [host, program] of [[aptHost, 'http'], [npmHost, 'node']]) {
	await (await find(host)).first().waitFor();
	await row(page, program).waitFor();
	await until(`bytes of ${program}`, async () =>
		/\d/.test(await row(page, program).locator('.c-down').textContent()), 20000);
	say(`${program}, ${host}: ${(await row(page, program).locator('span[role=gridcell]')
		.allTextContents()).map(t => t.trim()).join(' | ')}`);
}

const host = (await find(npmHost)).last();
await until('the details', async () => {
	await host.dblclick();
	return page.locator('.details').count();
});
await page.locator('.details button.deny').click();
await page.check('dialog input[value=host]');
const text = await page.locator('dialog .preview code').textContent();
await page.locator('dialog button[type=submit]').click();
await page.locator('.toast button', { hasText: 'Undo' }).waitFor();
const denied = npm('view', 'left-pad', 'version');
assert.ok(!denied.ok, `went through beside "${text}": ${denied.text}`);
say(`made by click, holds at once: ${text}`);
await until('the refusal in the page', async () =>
	/mixed|deny/.test(await (await find(npmHost)).last().locator('.c-verdict').textContent()));

// it is offered for ten seconds; on a slow machine it is taken away by hand
const undo = page.locator('.toast button', { hasText: 'Undo' });
await undo.click({ timeout: 1000 }).catch(async () => {
	await page.locator('nav button', { hasText: 'Rules' }).click();
	await page.locator('tbody tr', { hasText: npmHost }).locator('button').click();
	await page.locator('tbody tr', { hasText: npmHost }).waitFor({ state: 'detached' });
});
works(npm('view', 'left-pad', 'version'));
works(apt(['update']));
say('undone, and npm works again');
assert.deepEqual(await axe(page), []);
assert.deepEqual(bad, []);
if (process.env.SCREENSHOTS)
	await page.screenshot({ path: `${process.env.SCREENSHOTS}/newcomer.png` });
await browser.close();
