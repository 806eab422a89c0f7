// SPDX-License-Identifier: GPL-2.0-or-later
// Rules, and whether they hold: what the programs get, and what the far side sees of them.
import assert from 'node:assert/strict';
import { choose, nav, ready, row, rows, unfold, until } from '../page.mjs';

const SHOP = 'http://www.shop.test/';
const curl = (run, url = SHOP) => run('curl', '-4sSm30', url);
const wget = (run, url = SHOP) => run('wget', '-4', '-T5', '-t1', '-qO-', url);

// refused, and nothing of it was seen at the far side
async function refused(lab, what) {
	const before = await lab('seen');
	assert.ok(!(await what()).ok, 'it was not refused');
	assert.equal(await lab('seen'), before, 'it left the machine');
}

async function passes(lab, what) {
	const before = await lab('seen'), done = await what();
	assert.ok(done.ok, `it did not pass: ${done.err}`);
	assert.ok(await lab('seen') > before, 'not seen at the far side');
}

async function ask(page, action, { width, life, who }) {
	await page.getByRole('complementary', { name: 'Details' })
		.getByRole('button', { name: `${action}…` }).click();
	const dialog = page.getByRole('dialog');
	await dialog.locator(`input[name=width][value=${width}]`).check();
	await dialog.locator(`input[name=life][value="${life}"]`).check();
	await dialog.locator(`input[name=who][value=${who}]`).check();
	const text = await dialog.locator('.preview code').textContent();
	await dialog.getByRole('button', { name: action, exact: true }).click();
	await page.getByRole('button', { name: 'Undo' }).waitFor();
	return text;
}

async function details(page, ...path) {
	await unfold(page, ...path.slice(0, -1));
	await choose(page, path.at(-1));
	await page.focus('.tree .scroll');
	await page.keyboard.press('Enter');
}

const left = rule => (Date.parse(rule.expires) - Date.now()) / 60000;

export async function denied({ visit, run, lab }) {
	const { page } = await visit();
	await passes(lab, () => curl(run));
	await passes(lab, () => wget(run));
	await details(page, 'curl', 'shop.test', 'www.shop.test');
	const text = await ask(page, 'Deny', { width: 'registrable', life: '10m', who: 'everyone' });
	assert.equal(text, 'deny /usr/bin/curl .shop.test for 10m');
	await refused(lab, () => curl(run));
	await passes(lab, () => wget(run));
	assert.ok((await curl(run, 'http://www.other.example/')).ok, 'another domain');
	await until('the row to say deny', async () =>
		/deny|mixed/.test(await row(page, 'www.shop.test').locator('.verdict').innerText()));
	const [rule] = await lab('rules');
	assert.equal(rule.text, text);
	assert.ok(left(rule) > 8 && left(rule) <= 10, rule.expires);
	await page.getByRole('button', { name: 'Undo' }).click();
	await page.getByText('Taken back.').waitFor();
	assert.deepEqual(await lab('rules'), []);
	await passes(lab, () => curl(run));
}

export async function allowed({ visit, run, lab }) {
	const { page } = await visit();
	await refused(lab, () => curl(run));
	await refused(lab, () => wget(run));
	await details(page, 'curl', 'shop.test', 'www.shop.test');
	const text = await ask(page, 'Allow', { width: 'host', life: '1h', who: 'user' });
	assert.equal(text, 'allow /usr/bin/curl+uid:0 www.shop.test for 1h');
	await passes(lab, () => curl(run));
	await refused(lab, () => curl(run, 'http://n00001.shop.test/'));
	await refused(lab, () => wget(run));
	const [rule] = await lab('rules');
	assert.ok(rule.text === text && left(rule) > 58 && left(rule) <= 60, JSON.stringify(rule));
	await page.getByRole('button', { name: 'Undo' }).click();
	await page.getByText('Taken back.').waitFor();
	await refused(lab, () => curl(run));
}

export async function everything({ visit, run, lab }) {
	const { page } = await visit();
	await passes(lab, () => curl(run));
	await choose(page, 'curl');
	await page.focus('.tree .scroll');
	await page.keyboard.press('d');
	const dialog = page.getByRole('dialog');
	await dialog.locator('button[type=submit]').click();
	await dialog.getByRole('button', { name: 'Really deny anything, always' }).click();
	await page.getByRole('button', { name: 'Undo' }).waitFor();
	await refused(lab, () => curl(run));
	await passes(lab, () => wget(run));
}

const focused = page => page.evaluate(() => document.activeElement.innerText ||
	document.activeElement.getAttribute('aria-label') || document.activeElement.value || '');

async function tabTo(page, text) {
	for (let i = 0; i < 40; i++) {
		if ((await focused(page)).trim() === text)
			return;
		await page.keyboard.press('Tab');
	}
	assert.fail(`the Tab key does not lead to ${text}`);
}

export async function keys({ visit, run, lab }) {
	await refused(lab, () => curl(run));
	const { page } = await visit();
	await row(page, 'curl').waitFor();
	const key = k => page.keyboard.press(k);
	await key('Tab');
	assert.equal(await focused(page), 'Skip to content');
	await key('/');
	await page.keyboard.type('www.shop.test');
	await row(page, 'www.shop.test').waitFor();
	await until('one path only', async () => await rows(page).count() === 3);
	await key('Escape');
	for (const k of ['Home', 'ArrowDown', 'ArrowDown', 'Enter'])
		await key(k);
	await page.getByRole('complementary', { name: 'Details' }).waitFor();
	await key('Escape');
	await key('a');
	await page.getByRole('dialog').waitFor();
	const checked = () => page.evaluate(() => document.activeElement.name);
	for (let i = 0; i < 20 && await checked() !== 'life'; i++)
		await key('Tab');
	await key('ArrowDown'); // 10 minutes
	await tabTo(page, 'Allow');
	await key('Enter');
	await until('the rule', async () =>
		(await lab('rules'))[0]?.text === 'allow /usr/bin/curl www.shop.test for 10m');
	await passes(lab, () => curl(run));
	await tabTo(page, 'Undo');
	await key('Enter');
	await until('no rule', async () => (await lab('rules')).length === 0);
	await refused(lab, () => curl(run));
}

export async function page({ visit, run, lab }) {
	const { page } = await visit();
	await nav(page, 'Rules');
	const enter = async text => {
		await page.fill('#new-rule', text);
		await page.getByRole('button', { name: 'Add' }).click();
	};
	await enter('nonsense');
	await page.locator('.toast.bad').waitFor();
	await enter('deny /usr/bin/curl .shop.test');
	const line = page.locator('tbody tr', { hasText: 'curl .shop.test' });
	await line.waitFor();
	await refused(lab, () => curl(run));
	await page.fill('#test-who', '/usr/bin/curl');
	await page.fill('#test-what', 'www.shop.test:80');
	await page.getByRole('button', { name: 'Explain' }).click();
	await page.locator('.answer', { hasText: 'deny /usr/bin/curl .shop.test' }).waitFor();
	await line.getByRole('checkbox').click();
	await until('off', async () => (await lab('rules'))[0].enabled === false);
	await passes(lab, () => curl(run));
	await line.getByRole('checkbox').click();
	await until('on', async () => (await lab('rules'))[0].enabled === true);
	await refused(lab, () => curl(run));
	await line.getByRole('button', { name: /^Remove/ }).click();
	await until('gone', async () => (await lab('rules')).length === 0);
	await passes(lab, () => curl(run));
	await page.getByRole('button', { name: 'Undo' }).click();
	await line.waitFor();
	await refused(lab, () => curl(run));
	// one made elsewhere is seen, and so is the end of it
	const id = await lab('rule_add', 'allow /usr/bin/wget .other.example');
	await page.locator('tbody tr', { hasText: 'wget .other.example' }).waitFor();
	await lab('rule_rm', id);
	await page.locator('tbody tr', { hasText: 'wget .other.example' }).waitFor({ state: 'detached' });
}

export async function paused({ visit, run, lab }) {
	const { page } = await visit();
	await refused(lab, () => curl(run));
	const line = page.locator('header .health');
	await line.filter({ hasText: 'Filtering' }).waitFor();
	await line.click();
	await page.getByRole('heading', { name: 'Health' }).waitFor();
	await page.getByRole('button', { name: 'Pause 10 min' }).click();
	await page.getByText('Filtering is paused').waitFor();
	await line.filter({ hasText: 'Paused' }).waitFor();
	await passes(lab, () => curl(run));
	await page.getByRole('button', { name: 'Resume' }).click();
	await line.filter({ hasText: 'Filtering' }).waitFor();
	await refused(lab, () => curl(run));
	await lab('cli', 'pause', '1m'); // by another hand
	await line.filter({ hasText: 'Paused' }).waitFor();
	await lab('cli', 'block');
	await line.filter({ hasText: 'Everything blocked' }).waitFor();
	await lab('cli', 'resume');
	await line.filter({ hasText: 'Filtering' }).waitFor();
}

export async function still({ visit, tab, run, url }) {
	const { page, context } = await visit();
	await page.getByRole('button', { name: 'Pause', exact: true }).click();
	await page.getByRole('button', { name: 'Paused' }).waitFor();
	await curl(run);
	const other = await tab(context, url);
	await row(other, 'curl').waitFor();
	assert.equal(await row(page, 'curl').count(), 0, 'it was drawn though paused');
	await page.bringToFront();
	await page.focus('.tree .scroll');
	await page.keyboard.press('Space');
	await row(page, 'curl').waitFor();
	await ready(page);
}
