// SPDX-License-Identifier: GPL-2.0-or-later
// A stand-in for the daemon: the same paths, objects, headers and checks, with traffic
// made up from a fixed seed, so that the page is tested without root and network.
import { createServer } from 'node:http';
import { readFileSync, readdirSync, existsSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
export const DIST = process.env.DASHBOARD_OUT || join(here, '../dist');
export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; " +
	"img-src 'self' data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types scupper";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css' };
const HEADERS = { 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer',
	'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Resource-Policy': 'same-origin' };

const PROGRAMS = [['/usr/lib/firefox-esr/firefox-esr', 1000], ['/usr/bin/curl', 1000],
	['/usr/lib/apt/methods/http', 100], ['/opt/My App/app', 1000], ['/usr/bin/git', 1000]];
const HOSTS = [ // name, domain, address, country, as
	['www.example.org', 'example.org', '192.0.2.10', 'US', [64500, 'Example Hosting']],
	['cdn.example.org', 'example.org', '192.0.2.11', 'NL', [64501, 'Example CDN']],
	['a.cdn.example.org', 'example.org', '192.0.2.12', 'NL', [64501, 'Example CDN']],
	['deb.debian.example', 'debian.example', '198.51.100.4', 'DE', [64502, 'Mirrors']],
	['xn--bcher-kva.example', 'xn--bcher-kva.example', '198.51.100.9', 'CH', null],
	['telemetry.tracker.example', 'tracker.example', '203.0.113.7', 'SG', null],
	['shop.co.uk.example', 'shop.co.uk.example', '203.0.113.9', 'GB', [64503, 'Shop']],
	['evil\u202egro.elpmaxe', 'evil\u202egro.elpmaxe', '203.0.113.66', 'BR', null],
];
const FIRST = [ // program, host
	[0, 0], [0, 1], [0, 2], [0, 4], [0, 5], [1, 0], [1, 7], [2, 3], [3, 6], [3, 5], [4, 1]];

function random(seed) {
	return () => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

const iso = ms => new Date(ms).toISOString();
const actor = (program, i) => ({ id: i + 1, path: program[0], pid: 4000 + i, uid: program[1],
	how: 'kernel', believed: true, process: `${program[0].split('/').pop()} --example` });

export class Fake {
	constructor({ many = 0, rate = 2, seed = 7 } = {}) {
		this.random = random(seed);
		this.boot = 1;
		this.flows = [];
		this.queries = [];
		this.rules = [{ text: 'allow /usr/lib/apt/methods/http .debian.example', source: 'file',
			file: '/etc/scupper/rules.d/base.rules', line: 3 },
		{ text: 'deny any .tracker.example', source: 'own' },
		{ text: 'allow any localhost', source: 'factory' }].map((r, i) => this.rule(r, i + 1));
		this.nextRule = 10;
		this.nextId = 1;
		this.streams = new Set();
		this.tokens = new Set(['first']);
		this.cookies = new Set();
		this.requests = [];
		this.perTick = many ? rate : 0;
		this.programs = [...PROGRAMS];
		this.began = Date.now();
		for (let i = 0; i < (many || 0); i++)
			this.flow(['/opt/many/program-' + String(i % 40), 1000], [`host-${i}.domain-${i % 500}.example`,
				`domain-${i % 500}.example`, `198.18.${(i >> 8) & 255}.${i & 255}`, 'DE', null], false);
		if (!many)
			for (const [p, h] of FIRST)
				this.flow(PROGRAMS[p], HOSTS[h], false);
		this.points = Array.from({ length: 600 }, (_, i) => this.point(this.began - (600 - i) * 1000));
		this.past = many ? [] : this.lastMonth();
	}

	// the history: three programs, once an hour for thirty days
	lastMonth() {
		const all = [];
		for (let i = 0; i < 720; i++) {
			const host = HOSTS[[0, 3, 6][i % 3]], at = this.began - (720 - i) * 3600000;
			const program = PROGRAMS[[0, 2, 3][i % 3]];
			all.push({ id: i + 1, kind: 'flow', start: iso(at), end: iso(at + 60000), state: 'done',
				actor: { ...actor(program, 0), id: null, user: 'alice' }, name: host[0], domain: host[1],
				address: host[2], port: 443, proto: 'tcp', direction: 'out', verdict: 'allow', rule: null,
				reason: 'default', country: host[3], as: null, rx: 4e6, tx: 2e5, type: null, city: null });
			if (i % 5 === 0)
				all.push({ ...all[all.length - 1], id: 1000 + i, kind: 'query', type: 'A', verdict: 'deny',
					name: HOSTS[5][0], domain: HOSTS[5][1], address: null, port: null, rx: null, tx: null,
					state: 'refused', reason: 'rule', rule: { id: 2, text: 'deny any .tracker.example' },
					country: null });
		}
		return all;
	}

	between(url) {
		if (!this.past)
			return [];
		const p = url.searchParams, time = n => p.has(n) ? Date.parse(p.get(n)) : n === 'to' ? Infinity : 0;
		return this.past.filter(r => Date.parse(r.start) < time('to') && Date.parse(r.end) >= time('from') &&
			(!p.has('program') || r.actor.path === p.get('program') ||
				r.actor.path.endsWith('/' + p.get('program'))) &&
			(!p.has('country') || r.country === p.get('country')) &&
			(!p.has('verdict') || r.verdict === p.get('verdict')) &&
			(!p.has('name') || ('.' + r.name).endsWith(p.get('name').replace(/^\*?\.?/, '.'))));
	}

	grouped(url, key, first) {
		const all = new Map();
		for (const r of this.between(url)) {
			const k = key(r), s = all.get(k) ?? { ...first(r), rx: 0, tx: 0, flows: 0, denied: 0, last: r.start };
			s.rx += r.rx;
			s.tx += r.tx;
			s[r.verdict === 'deny' ? 'denied' : 'flows']++;
			all.set(k, s);
		}
		return { items: [...all.values()].sort((a, b) => b.rx - a.rx), next: null };
	}

	sums(url) {
		return this.grouped(url, r => r.actor.path, r => ({ id: null, path: r.actor.path, uid: r.actor.uid,
			name: r.actor.path.split('/').pop(), user: 'alice', parents: [] }));
	}

	countries(url) {
		return this.grouped(url, r => r.country, r => ({ country: r.country }));
	}

	// what moved in each step; the ten minutes by the second, else the history
	stats(url) {
		const p = url.searchParams, step = Number(p.get('step') ?? 1), steps = new Map();
		const add = (t, down, up, flows, denied) => {
			const at = Math.floor(t / 1000 / step) * step, s = steps.get(at) ?? { time: iso(at * 1000),
				down: 0, up: 0, flows: 0, denied: 0 };
			s.down += down;
			s.up += up;
			s.flows += flows;
			s.denied += denied;
			steps.set(at, s);
		};
		if (step >= 60)
			for (const r of this.between(url))
				add(Date.parse(r.start), r.rx, r.tx, 1, r.verdict === 'deny' ? 1 : 0);
		for (const x of this.points)
			if (Date.parse(x.time) >= Date.parse(p.get('from')))
				add(Date.parse(x.time), x.down, x.up, x.flows, x.denied);
		return { items: [...steps.values()], next: null, step };
	}

	rule(r, id) {
		return { id, text: r.text, action: r.text.split(' ')[0], enabled: true, source: 'own', file: null,
			line: null, created: iso(Date.now()), changed: iso(Date.now()), last_used: null,
			hits: id * 3, expires: null, ...r };
	}

	denies(program, host) {
		return this.rules.find(r => {
			const [action, who, what] = r.text.replace(/"([^"]*)"/g, m => m.replaceAll(' ', '\0')
				.replaceAll('"', '')).split(' ').map(s => s.replaceAll('\0', ' '));
			return r.enabled && action === 'deny' && (who === 'any' || who.split('+')[0] === program[0]) &&
				(what === 'any' || what === host[0] || what === host[2] || (what[0] === '.' &&
					('.' + host[0]).endsWith(what)));
		});
	}

	flow(program, host, tell = true) {
		const rule = this.denies(program, host), id = this.nextId++, now = Date.now();
		const f = { id, start: iso(now), end: rule ? iso(now) : null, state: rule ? 'refused' : 'live',
			actor: actor(program, this.programs.indexOf(program)), name: host[0], domain: host[1],
			address: host[2], port: 443, proto: 'tcp', direction: 'out', verdict: rule ? 'deny' : 'allow',
			rule: rule ? { id: rule.id, text: rule.text } : null, reason: rule ? 'rule' : 'default',
			country: host[3], as: host[4] && { number: host[4][0], name: host[4][1] }, rx: rule ? 0 : Math.floor(this.random() * 3e6),
			tx: rule ? 0 : Math.floor(this.random() * 2e5) };
		const q = { id: this.nextId++, time: iso(now), actor: f.actor, name: host[0], domain: host[1],
			type: 'A', verdict: f.verdict, rule: f.rule, reason: f.reason, cname: null,
			rcode: rule ? 'NXDOMAIN' : 'NOERROR', answers: rule ? [] : [host[2]], ms: 1.2, cached: false };
		this.flows.push(f);
		if (this.flows.length < 5000)
			this.queries.push(q);
		if (tell) {
			this.tell('query', q);
			this.tell('flow', f);
		}
		return f;
	}

	point(ms) {
		const wave = 1 + Math.sin(ms / 40000);
		return { time: iso(ms), down: Math.round(9e5 * wave * (0.7 + 0.6 * this.random())),
			up: Math.round(9e4 * wave * (0.7 + 0.6 * this.random())), flows: 11,
			denied: this.random() < 0.05 ? 1 : 0 };
	}

	tell(type, data) {
		const text = `event: ${type}\nid: ${this.boot}-${this.nextId}\ndata: ${JSON.stringify(data)}\n\n`;
		for (const s of this.streams)
			s.write(text);
	}

	// four times a second, the rows that changed; once a second the sums
	beat() {
		this.beats = (this.beats ?? 0) + 1;
		const items = [], n = this.perTick ? Math.round(this.perTick / 4) : 4;
		for (let i = 0; i < n; i++) {
			const f = this.flows[Math.floor(this.random() * this.flows.length)];
			if (f.state !== 'live')
				continue;
			f.rx += Math.floor(this.random() * 2e5);
			f.tx += Math.floor(this.random() * 2e4);
			items.push({ id: f.id, rx: f.rx, tx: f.tx });
		}
		this.tell('flows', { items });
		if (this.beats % 4 === 0) {
			const p = this.point(Date.now());
			this.points.push(p);
			this.tell('stats', p);
		}
	}

	restart() {
		this.boot++;
		for (const s of this.streams)
			s.end();
		this.streams.clear();
	}

	apps() {
		const seen = new Map();
		for (const f of this.flows)
			seen.set(f.actor.path, f.actor);
		return [...seen.values()].map(a => ({ id: a.id, path: a.path, script: null, app: null,
			name: a.path.split('/').pop(), uid: a.uid, user: a.uid === 1000 ? 'alice' : '_apt',
			parents: ['/usr/bin/bash'], unit: 'session-2.scope', package: 'example', sha256: null,
			rx: 0, tx: 0, denied: 0, last: iso(Date.now()), believed: true }));
	}

	status() {
		return { version: '0.1.0', core: 'running', boot: String(this.boot), instance: 'main', mode: 'enforce',
			default: 'allow', default_in: 'allow', scope: '/', when_down: 'closed',
			uptime_s: Math.round((Date.now() - this.began) / 1000),
			identity: { mode: 'bpf', why: null, not_attributed: null },
			upstreams: [{ name: '192.0.2.53:53', sent: 120, failed: 1, last_ok: iso(Date.now()) }],
			sets: { table: true, persist: true, grants: 41, actors: 7, refusals: 2 },
			counters: { queries: 1200, denied: 12, cached: 400, kernel_failed: 0, events_lost: 0,
				core_restarts: 0, rss_kb: 21000 }, geo: { country: 'dbip-country.mmdb, 2026-06-01', city: null,
				asn: null }, rule_errors: null, link_errors: 0 };
	}
}

function page(all, url) {
	const limit = Number(url.searchParams.get('limit') ?? 100);
	const from = Number(url.searchParams.get('cursor') ?? 0), rows = [...all].reverse();
	return { items: rows.slice(from, from + limit), next: from + limit < rows.length ? String(from + limit) : null };
}

function body(req) {
	return new Promise(resolve => {
		let s = '';
		req.on('data', d => { s += d; });
		req.on('end', () => {
			try {
				resolve(JSON.parse(s || '{}'));
			} catch {
				resolve({});
			}
		});
	});
}

const json = (res, code, o) => {
	res.writeHead(code, { ...HEADERS, 'Content-Type': code >= 400 ? 'application/problem+json' : 'application/json',
		'Cache-Control': 'no-store' });
	res.end(o === undefined ? '' : JSON.stringify(o));
};
const problem = (res, status, detail) => json(res, status, { status, title: 'refused', detail });

function stat(res, path) {
	const name = path === '/' ? '/index.html' : path;
	const known = ['/index.html', ...readdirSync(join(DIST, 'assets')).map(f => '/assets/' + f)];
	if (!known.includes(name) || !existsSync(join(DIST, name)))
		return problem(res, 404, 'there is nothing at this path');
	res.writeHead(200, { ...HEADERS, 'Content-Security-Policy': CSP, 'Content-Type': TYPES[extname(name)],
		'Content-Encoding': 'gzip', 'Cache-Control': name === '/index.html' ? 'no-store'
			: 'public, max-age=31536000, immutable' });
	res.end(readFileSync(join(DIST, name + '.gz')));
}

function stream(fake, req, res) {
	res.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
	res.write(`event: hello\ndata: {"boot":"${fake.boot}","core":"running"}\n\n`);
	fake.streams.add(res);
	fake.opened = (fake.opened ?? 0) + 1;
	req.on('close', () => fake.streams.delete(res));
}

async function change(fake, req, res, url) {
	const id = Number(url.pathname.split('/').pop()), b = await body(req);
	const at = fake.rules.findIndex(r => r.id === id && r.source === 'own');
	if (!/^application\/json/.test(req.headers['content-type'] ?? '') || !req.headers['x-scupper'] ||
		(req.headers.origin ?? '') !== `http://${req.headers.host}`)
		return problem(res, 403, 'not from this page');
	if (url.pathname === '/api/v1/filter')
		return json(res, 200, {});
	if (req.method === 'POST' && url.pathname === '/api/v1/rules') {
		if (!/^(allow|deny) ("[^"]+"|\S+) \S+/.test(b.text ?? ''))
			return problem(res, 422, 'column 1: "allow" or "deny" begins a rule');
		const r = fake.rule({ text: b.text }, fake.nextRule++);
		fake.rules.unshift(r);
		fake.tell('rules', {});
		return json(res, 201, r);
	}
	if (at < 0)
		return problem(res, 404, 'there is no own rule of that number');
	if (req.method === 'DELETE')
		fake.rules.splice(at, 1);
	else
		fake.rules[at].enabled = b.enabled;
	fake.tell('rules', {});
	return req.method === 'DELETE' ? json(res, 204) : json(res, 200, fake.rules[at]);
}

function signed(fake, req) {
	const c = /(?:^|; )scupper=([^;]+)/.exec(req.headers.cookie ?? '');
	return c && fake.cookies.has(c[1]);
}

async function login(fake, req, res) {
	const { token } = await body(req);
	if (!fake.tokens.delete(token))
		return problem(res, 401, 'this link was used, or is too old');
	const c = String(Math.random()).slice(2);
	fake.cookies.add(c);
	res.writeHead(204, { ...HEADERS, 'Set-Cookie': `scupper=${c}; HttpOnly; SameSite=Strict; Path=/` });
	res.end();
}

async function answer(fake, req, res) {
	const url = new URL(req.url, 'http://x'), path = url.pathname;
	fake.requests.push(`${req.method} ${path}`);
	if (fake.down)
		return req.socket.destroy();
	if (!path.startsWith('/api/'))
		return stat(res, path);
	if (path === '/api/v1/login')
		return login(fake, req, res);
	if (!signed(fake, req))
		return problem(res, 401, 'sign in with a fresh link: scupper open');
	if (req.method !== 'GET')
		return change(fake, req, res, url);
	if (!fake.past && /history|countries/.test(path))
		return problem(res, 503, 'the history cannot be read now');
	switch (path) {
	case '/api/v1/me': return json(res, 200, { uid: 1000, user: 'alice', role: fake.role ?? 'admin', boot: String(fake.boot) });
	case '/api/v1/status': return json(res, 200, fake.status());
	case '/api/v1/flows': return json(res, 200, page(fake.flows, url));
	case '/api/v1/queries': return json(res, 200, page(fake.queries, url));
	case '/api/v1/apps': return json(res, 200, url.searchParams.has('from') ? fake.sums(url)
		: page(fake.apps(), url));
	case '/api/v1/history': return json(res, 200, page(fake.between(url), url));
	case '/api/v1/countries': return json(res, 200, fake.countries(url));
	case '/api/v1/rules': return json(res, 200, { items: fake.rules, next: null });
	case '/api/v1/stats': return json(res, 200, fake.stats(url));
	case '/api/v1/explain': return json(res, 200, { who: url.searchParams.get('who'),
		what: url.searchParams.get('what'), text: 'allow: the default (no rule fits)\n' });
	case '/api/v1/events': return stream(fake, req, res);
	}
	problem(res, 404, 'there is nothing at this path');
}

export async function serve(options = {}) {
	const fake = new Fake(options);
	const server = createServer((req, res) => void answer(fake, req, res));
	await new Promise(r => server.listen(options.port ?? 0, '127.0.0.1', r));
	const timer = setInterval(() => fake.beat(), 250);
	return { fake, url: `http://127.0.0.1:${server.address().port}/`, close() {
		clearInterval(timer);
		server.closeAllConnections();
		server.close();
	} };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const s = await serve({ port: Number(process.env.PORT ?? 7599), many: Number(process.env.MANY ?? 0),
		rate: 500 });
	console.log(`${s.url}#t=first`);
}
