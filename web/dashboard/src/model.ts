// SPDX-License-Identifier: GPL-2.0-or-later
// What the page knows: program -> registrable domain -> host, summed up from flows and
// queries. Pure: no clock, no page. Bounded: the flows and hosts longest untouched leave
// first; a flow that left stays in the sums, a host that left takes its own with it.
import { Node, type Kind } from './node';
import { safe, unicode } from './text';
import type { Flow, Query } from './types';

export const FLOWS_MAX = 20000, QUERIES_MAX = 5000, HOSTS_MAX = 20000;

interface Held { flow: Flow; host: Node; start: number; end: number }
interface Asked { query: Query; host: Node; at: number }
export interface Total { rx: number; tx: number; connections: number; denied: number; last: number }

const SUMS = ['rx', 'tx', 'flows', 'live', 'denied', 'allowed', 'open', 'counted', 'before'] as const;
const alive = (f: Flow) => f.state === 'new' || f.state === 'live';

// without the public suffix list of the daemon: the last two labels
export function domainOf(r: { name: string | null; domain?: string | null }): string | null {
	return !r.name ? null : r.domain ?? r.name.split('.').slice(-2).join('.');
}

export function programOf(path: string | null): string {
	return path ? safe(path.slice(path.lastIndexOf('/') + 1) || path) : 'unknown program';
}

export const appKey = (path: string | null, uid: number) => `${path ?? '?'}\n${uid}`;

export class Model {
	apps = new Map<string, Node>();
	flows = new Map<number, Held>();
	queries = new Map<number, Asked>();
	hosts = new Map<string, Node>();
	changes = 0; // grows with each; a node's stamp is the last of its own
	private nodes = 0;
	private ticked = 0;

	clear() {
		for (const a of this.apps.values())
			a.gone = true;
		for (const of of [this.apps, this.flows, this.queries, this.hosts])
			of.clear();
		this.changes++;
	}

	private node(key: string, kind: Kind, label: string, parent: Node | null, words: string) {
		return new Node(key, kind, label, parent, words.toLowerCase(), ++this.nodes);
	}

	private below(of: Node, key: string, kind: Kind, label: string): Node {
		let n = of.children.get(key);
		if (!n) {
			const full = of.key + '\n' + key;
			n = this.node(full, kind, label, of, `${label} ${unicode(label)}`);
			of.children.set(key, n);
			if (kind === 'host')
				this.hosts.set(full, n);
		}
		return n;
	}

	private app(path: string | null, uid: number): Node {
		const key = appKey(path, uid);
		let app = this.apps.get(key);
		if (!app) {
			app = this.node(key, 'app', programOf(path), null, safe(path ?? 'unknown'));
			this.apps.set(key, app);
		}
		return app;
	}

	private host(r: Flow | Query, address: string | null): Node {
		const app = this.app(r.actor.path, r.actor.uid), domain = domainOf(r);
		const middle = domain === null ? this.below(app, '-', 'domain', 'addresses without a name')
			: this.below(app, domain, 'domain', safe(domain));
		const label = r.name ?? address ?? 'no address';
		return this.below(middle, label, 'host', safe(label));
	}

	// numbers: what it is found by stays as it is
	private add(host: Node, f: (n: Node) => void, numbers = false) {
		this.changes++;
		for (let n: Node | null = host; n; n = n.parent) {
			f(n);
			n.stamp = this.changes;
			if (!numbers)
				n.seen = this.changes;
		}
	}

	private judged(host: Node, r: Flow | Query, at: number) {
		const by = r.verdict === 'deny' ? 'denied' : r.verdict === 'allow' ? 'allowed' : 'open';
		this.add(host, n => {
			n[by]++;
			if (at >= n.last) {
				n.last = at;
				n.record = r;
			}
		});
	}

	private touched(host: Node) {
		this.hosts.delete(host.key);
		this.hosts.set(host.key, host);
		if (this.hosts.size > HOSTS_MAX)
			this.forget(this.hosts.values().next().value!);
	}

	private forget(host: Node) {
		this.hosts.delete(host.key);
		this.add(host, n => {
			if (n === host)
				return;
			for (const by of SUMS)
				n[by] -= host[by];
		});
		for (let n: Node | null = host; n && !n.children.size; n = n.parent) {
			n.gone = true;
			if (n.parent)
				n.parent.children.delete(n.key.slice(n.parent.key.length + 1));
			else
				this.apps.delete(n.key);
		}
	}

	// now: when the bytes so far of an open one were told
	put(flow: Flow, now = 0) {
		const old = this.flows.get(flow.id);
		const start = Date.parse(flow.start), end = flow.end ? Date.parse(flow.end) : 0;
		const at = end || now || start;
		// numbers begin anew with each start of the daemon
		if (old && old.start === start) {
			this.count(old, flow.rx, flow.tx, at, at);
			this.ended(old, flow, end);
			old.host.record = old.flow = { ...flow, rx: old.flow.rx, tx: old.flow.tx };
			return;
		}
		const host = this.host(flow, flow.address);
		const held = { flow: { ...flow, rx: null, tx: null }, host, start, end };
		this.flows.set(flow.id, held);
		this.judged(host, flow, Math.max(start, end));
		this.add(host, n => {
			n.flows++;
			n.live += alive(flow) ? 1 : 0;
			if (flow.country)
				n.countries.set(flow.country, n.countries.get(flow.country) ?? 0);
		});
		if (flow.port)
			host.ports.add(flow.port);
		this.count(held, flow.rx, flow.tx, start, at);
		this.touched(host);
		if (this.flows.size > FLOWS_MAX)
			this.flows.delete(this.flows.keys().next().value!);
	}

	private ended(h: Held, now: Flow, end: number) {
		const was = alive(h.flow), is = alive(now);
		if (was !== is)
			this.add(h.host, n => { n.live += is ? 1 : -1; });
		h.end = end;
	}

	// Counters only grow; what an older page of the list says changes nothing. null is one
	// that the kernel does not count, 0 one that moved nothing.
	private count(h: Held, rx: number | null, tx: number | null, from: number, to: number) {
		const first = h.flow.rx === null && h.flow.tx === null && (rx !== null || tx !== null);
		const down = Math.max(0, (rx ?? 0) - (h.flow.rx ?? 0));
		const up = Math.max(0, (tx ?? 0) - (h.flow.tx ?? 0));
		if (!down && !up && !first)
			return;
		h.flow.rx = (h.flow.rx ?? 0) + down;
		h.flow.tx = (h.flow.tx ?? 0) + up;
		const c = h.flow.country;
		this.add(h.host, n => {
			n.rx += down;
			n.tx += up;
			n.counted += first ? 1 : 0;
			if (!down && !up)
				return;
			n.last = Math.max(n.last, to);
			n.spend(down + up, from, to);
			if (c)
				n.countries.set(c, (n.countries.get(c) ?? 0) + down + up);
		}, true);
	}

	bytes(id: number, rx: number, tx: number, at: number) {
		const h = this.flows.get(id);
		if (h)
			this.count(h, rx, tx, at, at);
	}

	ask(query: Query) {
		if (this.queries.has(query.id))
			return;
		const at = Date.parse(query.time);
		const host = this.host(query, null);
		this.queries.set(query.id, { query, host, at });
		this.judged(host, query, at);
		this.touched(host);
		if (this.queries.size > QUERIES_MAX)
			this.queries.delete(this.queries.keys().next().value!);
	}

	// a program's sums over the span, where the history has them: more than its flows here
	total(path: string | null, uid: number, t: Total) {
		this.add(this.app(path, uid), n => {
			n.rx = t.rx;
			n.tx = t.tx;
			n.flows = n.counted = Math.max(n.flows, t.connections);
			n.denied = Math.max(n.denied, t.denied);
			n.allowed = Math.max(n.allowed, t.connections);
			n.last = Math.max(n.last, t.last);
		});
	}

	// Once a second: bytes a second, smoothed over about three. Where a node rests, so does
	// what is below.
	tick(seconds: number) {
		const stamp = ++this.changes;
		const one = (n: Node): boolean => {
			if (n.stamp <= this.ticked && n.rate === 0)
				return false;
			const now = n.rx + n.tx, was = n.rate;
			n.rate = n.rate * 0.6 + 0.4 * Math.max(0, now - n.before) / seconds;
			if (n.rate < 1)
				n.rate = 0;
			n.before = now;
			let moved = n.rate !== was;
			for (const c of n.children.values())
				moved = one(c) || moved;
			if (moved)
				n.stamp = stamp;
			return moved;
		};
		for (const a of this.apps.values())
			one(a); // three levels, no more
		this.ticked = stamp;
	}

	sums() {
		let rx = 0, tx = 0, live = 0, denied = 0;
		for (const a of this.apps.values()) {
			rx += a.rx;
			tx += a.tx;
			live += a.live;
			denied += a.denied;
		}
		return { rx, tx, live, denied, apps: this.apps.size };
	}

	// the same picture of one span of time only
	between(from: number, to: number): Model {
		const m = new Model();
		for (const h of this.flows.values())
			if (h.start <= to && (h.end || Infinity) >= from)
				m.put(h.flow);
		for (const q of this.queries.values())
			if (q.at >= from && q.at <= to)
				m.ask(q.query);
		return m;
	}

	places(of: Node | null): [string, number][] {
		const all = new Map<string, number>();
		for (const n of of ? [of] : this.apps.values())
			for (const [c, bytes] of n.countries)
				all.set(c, (all.get(c) ?? 0) + bytes);
		return [...all].sort((a, b) => b[1] - a[1]);
	}
}
