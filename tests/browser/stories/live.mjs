// SPDX-License-Identifier: GPL-2.0-or-later
// Daemons that die, other users, many tabs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { choose, chromium, connect, open, ready, row, rows, unfold, until, watch } from '../page.mjs';

const labels = async page => (await rows(page).locator('.label').allInnerTexts()).sort();
const shop = (run, n) => run('curl', '-4sSm30', `http://n0000${n}.shop.test/`);

// how often the row's host was contacted, as its details say
async function contacts(page, name) {
	await choose(page, name);
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

// a page with one host in view, and the rows it then shows
async function watched(visit, run) {
	const { page } = await visit();
	assert.ok((await shop(run, 1)).ok);
	await page.fill('.search', 'curl');
	await unfold(page, 'curl', 'shop.test');
	await row(page, 'n00001.shop.test').waitFor();
	return { page, before: await labels(page) };
}

// the next core is there within milliseconds: the page goes on as if nothing had been
export async function coreDies({ visit, run, lab }) {
	const { page, before } = await watched(visit, run);
	await lab('kill', 'core');
	await page.getByText('It restarted 1 times').or(page.locator('header .health', { hasText: '1 to look at' }))
		.first().waitFor();
	await rightAfter(page, run, before, 2);
}

export async function webDies({ visit, run, lab }) {
	const { page, before } = await watched(visit, run);
	await lab('kill', 'web');
	await page.locator('.banner').waitFor();
	assert.deepEqual(await labels(page), before, 'the last rows stay while it is away');
	await page.locator('.banner').waitFor({ state: 'detached' });
	await ready(page);
	await rightAfter(page, run, before, 2);
}

// a browser of another user's
async function browserOf(uid) {
	const home = mkdtempSync(join(tmpdir(), 'scupper-browser-'));
	chownSync(home, uid, uid);
	const child = spawn('setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', chromium,
		'--headless=new', '--no-sandbox', '--no-first-run', '--disable-gpu', `--user-data-dir=${home}`,
		'--remote-debugging-port=0'],
	{ env: { PATH: process.env.PATH, HOME: home }, stdio: ['ignore', 'ignore', 'pipe'] });
	const at = await new Promise((found, fail) => {
		let text = '';
		child.stderr.on('data', d => {
			text += d;
			const ws = /DevTools listening on (ws:\S+)/.exec(text);
			if (ws)
				found(ws[1]);
		});
		child.on('exit', () => fail(new Error(`it did not start: ${text}`)));
	});
	const browser = await connect(at);
	return { browser, end: async () => {
		const gone = new Promise(done => child.exitCode === null && child.signalCode === null
			? child.on('exit', done) : done());
		const late = setTimeout(() => child.kill('SIGKILL'), 5000);
		// told to end, so that it has written its profile before that is removed
		await (await browser.newBrowserCDPSession()).send('Browser.close').catch(() => {});
		await gone;
		clearTimeout(late);
		try {
			rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
		} catch (e) {
			console.error(`left behind: ${e.message}`); // a folder of /tmp is no story
		}
	} };
}

// closed unread, at whatever point the browser notices
const REFUSED = /ERR_EMPTY_RESPONSE|ERR_CONNECTION|ERR_SOCKET_NOT_CONNECTED/;
const NOBODY = 65534;
const asNobody = (run, ...argv) => run('setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`,
	'--clear-groups', ...argv);

export async function secondUser({ visit, run, lab, url, bad }) {
	const { page, context } = await visit();
	assert.ok((await shop(run, 1)).ok);
	await row(page, 'curl').waitFor();
	const [cookie] = await context.cookies();
	const { browser, end } = await browserOf(NOBODY);
	const go = async (at, cookies = []) => {
		const o = await open(browser, null);
		o.page.setDefaultTimeout(12000);
		watch(o.page, bad);
		await o.context.addCookies(cookies);
		await o.page.goto(at);
		return o.page;
	};
	try {
		// nobody let them in: not a byte is answered
		await assert.rejects(go(await lab('link')), REFUSED);
		await assert.rejects(go(url, [cookie]), REFUSED);
		// root lets them in, by a link of their own
		const own = await lab('link_for', NOBODY);
		const theirs = await go(own);
		await ready(theirs);
		await theirs.locator('.user', { hasText: 'nobody' }).waitFor();
		const stolen = await go(url, [cookie]);
		await stolen.getByText('sign in with').waitFor();
		const other = await go(await lab('link'));
		await other.getByText("another user's").waitFor();
		// each sees their own
		assert.ok((await asNobody(run, 'wget', '-qO-', '-T5', '-t1', 'http://n00002.shop.test/')).ok);
		await row(theirs, 'wget').waitFor();
		assert.equal(await row(theirs, 'curl').count(), 0, "another user's traffic is shown");
		await row(page, 'wget').waitFor(); // root sees all
		const refused = await theirs.evaluate(async () => (await fetch('/api/v1/rules', { method: 'POST',
			headers: { 'Content-Type': 'application/json', 'X-Scupper': '1' },
			body: '{"text":"deny any any"}' })).status);
		assert.equal(refused, 403);
	} finally {
		await end();
	}
	await ready(page); // the first one's session is as it was
	await page.reload();
	await ready(page);
}

export async function tabs({ visit, tab, run, lab, url }) {
	const { page, context } = await visit();
	const all = [page];
	while (all.length < 7) {
		all.push(await tab(context, url));
		await ready(all.at(-1));
	}
	await until('one stream for seven tabs', async () => await lab('streams') === 1);
	await shop(run, 1);
	for (const p of all) {
		await p.bringToFront();
		await row(p, 'curl').waitFor();
	}
	const began = Date.now(), [eighth] = await Promise.all([context.waitForEvent('page'),
		page.evaluate(at => void window.open(at, '_blank', 'popup,width=900,height=700'), url)]);
	await ready(eighth);
	await row(eighth, 'curl').waitFor();
	console.error(`an eighth window: ${Date.now() - began} ms`);
	assert.equal(await lab('streams'), 1);
	const other = await visit(await lab('link'));
	await until('another profile has its own', async () => await lab('streams') === 2);
	await other.context.close();
	await Promise.all(all.slice(1).map(p => p.close()));
	await eighth.close();
	await until('only the first is left', async () => await lab('streams') === 1);
	await shop(run, 2);
	await page.bringToFront();
	await page.fill('.search', 'n00002');
	await row(page, 'n00002').waitFor();
}
