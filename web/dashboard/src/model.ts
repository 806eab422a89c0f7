// SPDX-License-Identifier: GPL-2.0-or-later
// What the page knows: program -> registrable domain -> host, summed up from flows and
// queries. Pure: no clock, no page. Bounded: the flows and hosts longest untouched leave
// first; a flow that left stays in the sums, a host that left takes its own with it.
import type { Flow, Query, Verdict } from './types';
import { safe, unicode } from './text';

export const FLOWS_MAX = 20000, QUERIES_MAX = 5000, HOSTS_MAX = 20000;
export type Kind = 'app' | 'domain' | 'host';
export type Sort = 'name' | 'verdict' | 'down' | 'up' | 'rate' | 'last';

export class Node {
	children = new Map<string, Node>();
	rx = 0; tx = 0; flows = 0; live = 0; denied = 0; allowed = 0; open = 0;
	last = 0; rate = 0; before = 0;
	countries = new Map<string, number>();
	ports = new Set<number>();
	record: Flow | Query | null = null; // the newest: why it went as it did
	constructor(readonly key: string, readonly kind: Kind, readonly label: string,
		readonly parent: Node | null, readonly words: string) {}

	get level(): number { return this.kind === 'app' ? 1 : this.kind === 'domain' ? 2 : 3; }
	get verdict(): Verdict | 'mixed' {
		return this.allowed && this.denied ? 'mixed' : this.denied ? 'deny'
			: this.allowed ? 'allow' : 'undecided';
	}
	get country(): string {
		let best = '', most = -1;
		for (const [c, n] of this.countries)
			if (n > most) {
				best = c;
				most = n;
			}
		return best;
	}
}

interface Held { flow: Flow; host: Node; start: number; end: number }
interface Asked { query: Query; host: Node; at: number }
export interface Filter { search: string; country: string; verdict: string }
export interface Row { node: Node; open: boolean; place: number; of: number }

const VERDICTS: Record<string, number> = { deny: 0, mixed: 1, allow: 2, undecided: 3 };

// without the public suffix list of the daemon: the last two labels
export function domainOf(r: { name: string | null; domain?: string | null }): string | null {
	return !r.name ? null : r.domain ?? r.name.split('.').slice(-2).join('.');
}

export function programOf(path: string | null): string {
	return path ? safe(path.slice(path.lastIndexOf('/') + 1) || path) : 'unknown program';
}

export class Model {
	apps = new Map<string, Node>();
	flows = new Map<number, Held>();
	queries = new Map<number, Asked>();
	hosts = new Map<string, Node>();
	shape = 0; // grows when a node comes or goes

	clear() {
		this.apps.clear();
		this.flows.clear();
		this.queries.clear();
		this.hosts.clear();
		this.shape++;
	}

	private below(of: Node, key: string, kind: Kind, label: string): Node {
		let n = of.children.get(key);
		if (!n) {
			const full = of.key + '\n' + key;
			n = new Node(full, kind, label, of, `${label} ${unicode(label)}`.toLowerCase());
			of.children.set(key, n);
			this.shape++;
			if (kind === 'host')
				this.hosts.set(full, n);
		}
		return n;
	}

	private host(r: Flow | Query, address: string | null): Node {
		const key = `${r.actor.path ?? '?'}\n${r.actor.uid}`;
		let app = this.apps.get(key);
		if (!app) {
			app = new Node(key, 'app', programOf(r.actor.path), null,
				safe(r.actor.path ?? 'unknown').toLowerCase());
			this.apps.set(key, app);
			this.shape++;
		}
		const domain = domainOf(r);
		const middle = domain === null ? this.below(app, '-', 'domain', 'addresses without a name')
			: this.below(app, domain, 'domain', safe(domain));
		const label = r.name ?? address ?? 'no address';
		return this.below(middle, label, 'host', safe(label));
	}

	private add(host: Node, f: (n: Node) => void) {
		for (let n: Node | null = host; n; n = n.parent)
			f(n);
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
			for (const by of ['rx', 'tx', 'flows', 'live', 'denied', 'allowed', 'open', 'before'] as const)
				n[by] -= host[by];
		});
		host.parent!.children.delete(host.key.slice(host.parent!.key.length + 1));
		for (let n = host.parent; n && !n.children.size; n = n.parent) {
			if (n.parent)
				n.parent.children.delete(n.key.slice(n.parent.key.length + 1));
			else
				this.apps.delete(n.key);
		}
		this.shape++;
	}

	put(flow: Flow) {
		const old = this.flows.get(flow.id);
		const start = Date.parse(flow.start), end = flow.end ? Date.parse(flow.end) : 0;
		// numbers begin anew with each start of the daemon
		if (old && old.start === start) {
			this.count(old, flow.rx ?? old.flow.rx, flow.tx ?? old.flow.tx, end || start);
			this.ended(old, flow, end);
			old.host.record = old.flow = { ...flow, rx: old.flow.rx, tx: old.flow.tx };
			return;
		}
		const host = this.host(flow, flow.address);
		const held = { flow: { ...flow, rx: 0, tx: 0 }, host, start, end };
		const alive = flow.state === 'new' || flow.state === 'live';
		this.flows.set(flow.id, held);
		this.judged(host, flow, Math.max(start, end));
		this.add(host, n => {
			n.flows++;
			n.live += alive ? 1 : 0;
			if (flow.country)
				n.countries.set(flow.country, n.countries.get(flow.country) ?? 0);
		});
		if (flow.port)
			host.ports.add(flow.port);
		this.count(held, flow.rx, flow.tx, Math.max(start, end));
		this.touched(host);
		if (this.flows.size > FLOWS_MAX)
			this.flows.delete(this.flows.keys().next().value!);
	}

	private ended(h: Held, now: Flow, end: number) {
		const was = h.flow.state === 'new' || h.flow.state === 'live';
		const is = now.state === 'new' || now.state === 'live';
		if (was !== is)
			this.add(h.host, n => { n.live += is ? 1 : -1; });
		h.end = end;
	}

	// counters only grow; what an older page of the list says changes nothing
	private count(h: Held, rx: number | null, tx: number | null, at: number) {
		const down = Math.max(0, (rx ?? 0) - (h.flow.rx ?? 0));
		const up = Math.max(0, (tx ?? 0) - (h.flow.tx ?? 0));
		if (!down && !up)
			return;
		h.flow.rx = (h.flow.rx ?? 0) + down;
		h.flow.tx = (h.flow.tx ?? 0) + up;
		const c = h.flow.country;
		this.add(h.host, n => {
			n.rx += down;
			n.tx += up;
			n.last = Math.max(n.last, at);
			if (c)
				n.countries.set(c, (n.countries.get(c) ?? 0) + down + up);
		});
	}

	bytes(id: number, rx: number, tx: number, at: number) {
		const h = this.flows.get(id);
		if (h)
			this.count(h, rx, tx, at);
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

	// once a second: bytes a second, smoothed over about three
	tick(seconds: number) {
		const one = (n: Node) => {
			const now = n.rx + n.tx;
			n.rate = n.rate * 0.6 + 0.4 * Math.max(0, now - n.before) / seconds;
			if (n.rate < 1)
				n.rate = 0;
			n.before = now;
			n.children.forEach(one);
		};
		this.apps.forEach(one); // three levels, no more
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

export function compare(sort: Sort, down: boolean): (a: Node, b: Node) => number {
	const by: Record<Sort, (a: Node, b: Node) => number> = {
		name: (a, b) => a.label < b.label ? -1 : a.label > b.label ? 1 : 0,
		verdict: (a, b) => VERDICTS[a.verdict]! - VERDICTS[b.verdict]!,
		down: (a, b) => a.rx - b.rx,
		up: (a, b) => a.tx - b.tx,
		rate: (a, b) => a.rate - b.rate || a.rx + a.tx - b.rx - b.tx,
		last: (a, b) => a.last - b.last,
	};
	const sign = down ? -1 : 1;
	return (a, b) => sign * by[sort](a, b) || (a.key < b.key ? -1 : 1);
}

function fits(n: Node, f: Filter): boolean {
	return (!f.country || n.countries.has(f.country)) &&
		(!f.verdict || (f.verdict === 'deny' ? n.denied > 0 : n.allowed > 0));
}

function found(n: Node, words: string): boolean {
	return n.words.includes(words) || (n.kind === 'host' &&
		([...n.ports].some(p => String(p) === words) ||
			[...n.countries.keys()].some(c => c.toLowerCase() === words)));
}

// The rows in order. What is searched for opens on its own; a match shows all below it.
export function rows(m: Model, open: ReadonlySet<string>, filter: Filter,
	order: (a: Node, b: Node) => number): Row[] {
	const out: Row[] = [];
	const words = filter.search.trim().toLowerCase();
	const some = (n: Node, above: boolean): boolean => fits(n, filter) &&
		(above || !words || found(n, words) ||
			[...n.children.values()].some(c => some(c, false)));
	const list = (nodes: Iterable<Node>, above: boolean) => {
		const shown = [...nodes].filter(n => some(n, above)).sort(order);
		shown.forEach((node, i) => {
			const hit = above || !words || found(node, words);
			const is = node.children.size > 0 && (open.has(node.key) || (!!words && !hit));
			out.push({ node, open: is, place: i + 1, of: shown.length });
			if (is)
				list(node.children.values(), hit);
		});
	};
	list(m.apps.values(), false);
	return out;
}
