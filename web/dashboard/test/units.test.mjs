// SPDX-License-Identifier: GPL-2.0-or-later
// The pure parts: text, rules, the model. Bundled first, since node 18 reads no TypeScript.
import test from 'node:test';
import assert from 'node:assert/strict';
import * as esbuild from 'esbuild';
import { fileURLToPath } from 'node:url';

const src = fileURLToPath(new URL('../src/', import.meta.url));
const made = await esbuild.build({ bundle: true, format: 'esm', write: false, stdin: {
	contents: "export * from './text'; export * from './rule'; export * from './model'; export * from './view'; export * from './node';",
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
		[rule({}, { name: null }), 'deny /usr/bin/curl 192.0.2.1'],
		[rule({ life: '1h' }, { name: null, inbound: true }),
			'deny /usr/bin/curl 192.0.2.1 in for 1h']])
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
	const view = new m.View(x);
	const list = (f, open = []) => {
		view.settings({ ...none, ...f }, 'down', true);
		return view.rows(new Set(open)).map(r => r.node.label);
	};
	assert.deepEqual(list({}), ['curl', 'git']);
	assert.deepEqual(list({ country: 'DE' }), ['git']);
	assert.deepEqual(list({ search: 'h2.ex' }), ['curl', 'example.org', 'h2.example.org']);
	assert.deepEqual(list({ verdict: 'deny' }), []);
	const keys = [...x.apps.values()][0];
	assert.deepEqual(list({}, [keys.key, keys.key + '\nexample.org']),
		['curl', 'example.org', 'h2.example.org', 'h1.example.org', 'git']);
});

function random(seed) {
	return n => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % n;
}

test('rows kept from before are those of a view made anew', () => {
	const r = random(5), both = [new m.Model(), new m.Model()], old = new m.View(both[0]);
	const open = new Set(), f = { search: '', country: '', verdict: '' };
	const told = v => v.rows(open).map(q => [q.node.key, q.open, q.place, q.of].join());
	old.settings({ ...f }, 'rate', true);
	let id = 0;
	const step = () => {
		if (r(3) && id) {
			const of = 1 + r(id), rx = r(5000), tx = r(500);
			return x => x.bytes(of, rx, tx, 0);
		}
		const one = flow(++id, { name: `h${r(9)}.d${r(4)}.example`, domain: `d${r(4)}.example`,
			actor: { path: `/p${r(5)}`, uid: 0 }, country: r(2) ? 'NL' : 'DE', rx: r(50),
			verdict: r(4) ? 'allow' : 'deny', port: 400 + r(3) });
		return x => x.put(one);
	};
	for (let round = 0; round < 300; round++) {
		for (let i = r(8); i >= 0; i--)
			both.forEach(step());
		if (r(3) === 0)
			both.forEach(x => x.tick(1));
		if (r(50) === 0) // all is loaded again
			both.forEach(x => x.clear());
		for (const h of both[0].hosts.values())
			if (r(20) === 0)
				open.add(h.parent.key).add(h.parent.parent.key);
		if (r(9) === 0) {
			Object.assign(f, { search: ['', 'h1.', '401', 'p3', 'nl'][r(5)],
				country: ['', 'NL'][r(2)], verdict: ['', 'deny'][r(2)] });
			old.settings({ ...f }, 'rate', true);
		}
		const anew = new m.View(both[1]);
		anew.settings({ ...f }, 'rate', true);
		assert.deepEqual(told(old), told(anew), `round ${round}`);
	}
});

test('no bytes and bytes that nobody counts', () => {
	const x = new m.Model();
	x.put(flow(1, { rx: null, tx: null }));
	const app = [...x.apps.values()][0];
	assert.equal(app.counted, 0);
	x.put(flow(2, { rx: 0, tx: 0, state: 'refused', verdict: 'deny' }));
	assert.equal(app.counted, 1);
	x.bytes(1, 7, 0, 0);
	assert.deepEqual([app.counted, app.rx, app.tx], [2, 7, 0]);
});

test('ten minutes of a row', () => {
	const x = new m.Model(), t = Date.parse('2026-01-01T00:00:00.000Z');
	x.put(flow(1, { rx: 0, tx: 0 }), t);
	const app = [...x.apps.values()][0];
	x.bytes(1, 100, 0, t + 1000);
	x.bytes(1, 100, 50, t + 12000);
	assert.deepEqual(app.spark(t + 19000).slice(-2), [100, 50]);
	assert.deepEqual(app.spark(t + 29000).slice(-3), [100, 50, 0]);
	assert.equal(app.spark(t + 700000), null); // all of it is too old
	x.put(flow(2, { rx: 6000, tx: 0, start: '2026-01-01T00:00:00.000Z' }), t + 3600000);
	assert.equal(Math.round(app.spark(t + 3600000)[0]), Math.round(6000 / 361)); // spread over its hour
	assert.equal(m.sparkPath(null), '');
	assert.match(m.sparkPath(app.spark(t + 3600000)), /^M0 16V1H1.*H60V16Z$/);
});

test('sums of the history stand for the program', () => {
	const x = new m.Model();
	x.put(flow(1));
	x.total('/usr/bin/curl', 1000, { rx: 900, tx: 90, connections: 12, denied: 2, last: 5 });
	x.total('/usr/bin/git', 0, { rx: 1, tx: 1, connections: 1, denied: 0, last: 5 });
	assert.deepEqual([...x.apps.values()].map(a => [a.label, a.rx, a.verdict]),
		[['curl', 900, 'mixed'], ['git', 1, 'allow']]);
});

test('a span of time alone', () => {
	const x = new m.Model(), t = Date.parse('2026-01-01T00:00:00.000Z');
	x.put(flow(1, { end: '2026-01-01T00:00:05.000Z', state: 'done' }));
	x.put(flow(2, { start: '2026-01-01T01:00:00.000Z' }));
	assert.equal(x.between(t + 1000, t + 2000).flows.size, 1);
	assert.equal(x.between(t, t + 4e6).flows.size, 2);
	assert.equal(x.between(t + 6000, t + 7000).flows.size, 0);
});
