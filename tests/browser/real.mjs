// SPDX-License-Identifier: GPL-2.0-or-later
// A story of the page as the daemon itself serves it: real.mjs FILE STORY LINK. Started by
// tests/lab/test_dashboard.py inside the scope, so that the programs it runs are guarded. What
// only the lab can do or see (kill the core, look at the far side) is asked for on stdout,
// one JSON line, and answered on stdin.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createInterface } from 'node:readline';
import { launch, open, ready, watch } from './page.mjs';

const [file, name, link] = process.argv.slice(2);
const story = (await import(`./stories/${file}.mjs`))[name];
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const bad = [];

export async function lab(ask, ...args) {
	process.stdout.write(JSON.stringify({ ask, args }) + '\n');
	return JSON.parse((await lines.next()).value);
}

// a program of this machine: {ok, out, err}
export const run = (program, ...args) => new Promise(done =>
	execFile(program, args, { timeout: 60000 }, (e, out, err) => done({ ok: !e, out, err })));

const browser = await launch();
const contexts = [];

// a browser profile of its own, at the link or another address; signed in unless told
async function visit(url = link, { signed = true, ...options } = {}) {
	const o = await open(browser, null, options);
	o.context.setDefaultTimeout(90000);
	contexts.push(o.context);
	watch(o.page, bad);
	await o.page.goto(url);
	if (signed)
		await ready(o.page);
	return o;
}

// another tab of the same profile
async function tab(context, url) {
	const page = await context.newPage();
	watch(page, bad);
	await page.goto(url);
	return page;
}

try {
	await story({ browser, visit, tab, lab, run, link, url: link.split('#')[0], bad });
	assert.deepEqual(bad, [], 'errors in the console');
} catch (e) {
	for (const page of contexts.flatMap(c => c.pages()))
		console.error(`--- ${page.url()}\n${await page.locator('body').innerText().catch(String)}`);
	throw e;
} finally {
	await browser.close();
}
process.exit(0);
