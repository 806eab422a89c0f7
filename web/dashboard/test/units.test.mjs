// SPDX-License-Identifier: GPL-2.0-or-later
// The pure parts: text, rules, the model. Bundled first, since node 18 reads no TypeScript.
import test from 'node:test';
import assert from 'node:assert/strict';
import * as esbuild from 'esbuild';
import { fileURLToPath } from 'node:url';

const src = fileURLToPath(new URL('../src/', import.meta.url));
const made = await esbuild.build({ bundle: true, format: 'esm', write: false, stdin: {
	contents: "export * from './text'; export * from './rule'; export * from './model';",
	resolveDir: src, loader: 'ts' } });
const m = await import('data:text/javascript;base64,' +
	Buffer.from(made.outputFiles[0].text).toString('base64'));

test('text from outside hides nothing', () => {
	for (const [what, text, want] of [
		['plain', 'example.org', 'example.org'],
		['a bell', 'a\u0007b', 'a\\u0007b'],
		['turned around', 'evil\u202egro', 'evil\\u202egro'],
		['isolates', '\u2066x\u2069', '\\u2066x\\u2069'],
		['zero width', 'a\u200bb', 'a\\u200bb'],
		['nothing', null, '']])
		assert.equal(m.safe(text), want, what);
});

test('punycode beside Unicode', () => { // RFC 3492 7.1 among them
	for (const [name, want] of [['xn--bcher-kva.example', 'bücher.example'],
		['xn--ihqwcrb4cv8a8dqg056pqjye', '他们为什么不说中文'],
		['xn--4dbcagdahymbxekheh6e0a7fei0b', 'למההםפשוטלאמדבריםעברית'],
		['example.org', ''], ['xn--', ''], ['xn--99999999', ''], ['xn--\u0000', '']])
		assert.equal(m.unicode(name), want, name);
});

test('numbers for people', () => {
	assert.equal(m.bytes(0), '0 B');
	assert.equal(m.bytes(999), '999 B');
	assert.equal(m.bytes(1000), '1.0 kB');
	assert.equal(m.bytes(999600), '1.0 MB');
	assert.equal(m.ago(0, 5), '–');
	assert.equal(m.ago(1000, 62000), '1 min');
});

test('the text of a rule', () => {
	const t = { path: '/usr/bin/curl', uid: 1000, name: 'a.cdn.example.org', address: '192.0.2.1',
		domain: 'example.org' };
	const rule = (c, over = {}) => m.ruleText({ ...t, ...over }, { action: 'deny', width: 'host',
		life: 'forever', who: 'everyone', ...c });
	for (const [text, want] of [
		[rule({}), 'deny /usr/bin/curl a.cdn.example.org'],
		[rule({ width: 'domain' }), 'deny /usr/bin/curl .cdn.example.org'],
		[rule({ width: 'registrable' }), 'deny /usr/bin/curl .example.org'],
		[rule({ width: 'any', life: '1h' }), 'deny /usr/bin/curl any for 1h'],
		[rule({ who: 'user' }), 'deny /usr/bin/curl+uid:1000 a.cdn.example.org'],
		[rule({}, { path: '/opt/My "App"/a\\b' }), 'deny "/opt/My \\"App\\"/a\\\\b" a.cdn.example.org'],
		[rule({}, { path: null }), 'deny unknown a.cdn.example.org'],
		[rule({}, { name: null }), 'deny /usr/bin/curl 192.0.2.1']])
		assert.equal(text, want);
	assert.equal(m.parent('www.example.org', 'example.org'), null);
});

const flow = (id, over = {}) => ({ id, start: '2026-01-01T00:00:00.000Z', end: null, state: 'live',
	actor: { id: 1, path: '/usr/bin/curl', uid: 1000 }, name: `h${id}.example.org`, domain: 'example.org',
	address: '192.0.2.1', port: 443, verdict: 'allow', rule: null, reason: 'default', country: 'NL',
	rx: 10, tx: 1, ...over });

test('sums go up the tree, once', () => {
	const x = new m.Model();
	x.put(flow(1));
	x.put(flow(2, { verdict: 'deny', state: 'refused', rx: 0, tx: 0 }));
	x.put(flow(1, { rx: 30 }));
	x.bytes(1, 50, 5, 0);
	x.put(flow(1, { rx: 30 })); // late: counters only grow
	const app = [...x.apps.values()][0];
	assert.equal(app.rx, 50);
	assert.equal(app.tx, 5);
	assert.equal(app.verdict, 'mixed');
	assert.equal(app.live, 1);
	assert.equal(app.countries.get('NL'), 55);
	x.put(flow(1, { state: 'done', end: '2026-01-01T00:00:05.000Z' }));
	assert.equal(app.live, 0);
	assert.equal(app.flows, 2);
});

test('it is bounded, and what leaves takes its sums along', () => {
	const x = new m.Model();
	for (let i = 1; i <= m.HOSTS_MAX + 50; i++)
		x.put(flow(i));
	const app = [...x.apps.values()][0];
	assert.equal(x.hosts.size, m.HOSTS_MAX);
	assert.equal(x.flows.size, m.FLOWS_MAX);
	assert.equal(app.rx, m.HOSTS_MAX * 10);
});

test('rows: open, search, filter, order', () => {
	const x = new m.Model();
	x.put(flow(1));
	x.put(flow(2, { rx: 99 }));
	x.put(flow(3, { actor: { id: 2, path: '/usr/bin/git', uid: 0 }, country: 'DE' }));
	const none = { search: '', country: '', verdict: '' };
	const list = (f, open = []) => m.rows(x, new Set(open), { ...none, ...f }, m.compare('down', true))
		.map(r => r.node.label);
	assert.deepEqual(list({}), ['curl', 'git']);
	assert.deepEqual(list({ country: 'DE' }), ['git']);
	assert.deepEqual(list({ search: 'h2.ex' }), ['curl', 'example.org', 'h2.example.org']);
	assert.deepEqual(list({ verdict: 'deny' }), []);
	const keys = [...x.apps.values()][0];
	assert.deepEqual(list({}, [keys.key, keys.key + '\nexample.org']),
		['curl', 'example.org', 'h2.example.org', 'h1.example.org', 'git']);
});

test('a span of time alone', () => {
	const x = new m.Model(), t = Date.parse('2026-01-01T00:00:00.000Z');
	x.put(flow(1, { end: '2026-01-01T00:00:05.000Z', state: 'done' }));
	x.put(flow(2, { start: '2026-01-01T01:00:00.000Z' }));
	assert.equal(x.between(t + 1000, t + 2000).flows.size, 1);
	assert.equal(x.between(t, t + 4e6).flows.size, 2);
	assert.equal(x.between(t + 6000, t + 7000).flows.size, 0);
});
