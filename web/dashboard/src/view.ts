// SPDX-License-Identifier: GPL-2.0-or-later
// The rows of the tree in order, kept between calls: what did not change since is neither
// judged nor sorted again, and what did is sorted from where it was. Pure.
import type { Model } from './model';
import type { Node } from './node';

export type Sort = 'name' | 'verdict' | 'down' | 'up' | 'rate' | 'last';
export interface Filter { search: string; country: string; verdict: string }
export type Row = NonNullable<Node['row']>; // never changed: another takes its place

const VERDICTS: Record<string, number> = { deny: 0, mixed: 1, allow: 2, undecided: 3 };
const FITS = 1, HIT = 2, BELOW = 4;
const NONE: Node[] = [];

type Compare = (a: Node, b: Node) => number;

// equal ones stand in the order they came in
export function compare(sort: Sort, down: boolean): Compare {
	const sign = down ? -1 : 1;
	switch (sort) {
	case 'name': return (a, b) => a.label < b.label ? -sign : a.label > b.label ? sign
		: a.place - b.place;
	case 'verdict': return (a, b) => sign * (VERDICTS[a.verdict]! - VERDICTS[b.verdict]!) ||
		a.place - b.place;
	case 'down': return (a, b) => sign * (a.rx - b.rx) || a.place - b.place;
	case 'up': return (a, b) => sign * (a.tx - b.tx) || a.place - b.place;
	case 'rate': return (a, b) => sign * (a.rate - b.rate || a.rx + a.tx - b.rx - b.tx) ||
		a.place - b.place;
	case 'last': return (a, b) => sign * (a.last - b.last) || a.place - b.place;
	}
}

// Few, and nearly in order: cheaper so than by the browser's own.
function settle(all: Node[], order: Compare): Node[] {
	if (all.length > 64)
		return all.sort(order);
	for (let i = 1; i < all.length; i++) {
		const n = all[i]!;
		let at = i;
		for (; at > 0 && order(all[at - 1]!, n) > 0; at--)
			all[at] = all[at - 1]!;
		all[at] = n;
	}
	return all;
}

let settings = 0; // a number for each set of settings, of whichever view

export class View {
	private words = '';
	private filter: Filter = { search: '', country: '', verdict: '' };
	private order: Compare = compare('rate', true);
	private set = ++settings;
	private run = 0;
	private top: Node[] = NONE;

	constructor(readonly model: Model) {}

	settings(filter: Filter, sort: Sort, falling: boolean) {
		this.filter = filter;
		this.words = filter.search.trim().toLowerCase();
		this.order = compare(sort, falling);
		this.set = ++settings;
	}

	private judge(n: Node): number {
		const f = this.filter;
		if ((f.country && !n.countries.has(f.country)) ||
			(f.verdict && !(f.verdict === 'deny' ? n.denied : n.allowed)))
			return 0;
		if (!this.words || n.words.includes(this.words) || (n.kind === 'host' && this.exactly(n)))
			return FITS | HIT;
		for (const c of n.children.values())
			if (this.fit(c) & (HIT | BELOW))
				return FITS | BELOW;
		return FITS;
	}

	private exactly(n: Node): boolean {
		for (const p of n.ports)
			if (String(p) === this.words)
				return true;
		for (const c of n.countries.keys())
			if (c.toLowerCase() === this.words)
				return true;
		return false;
	}

	private fit(n: Node): number {
		if (n.fitFor !== this.set || n.fitAt < n.seen) {
			n.fit = this.judge(n);
			n.fitFor = this.set;
			n.fitAt = this.model.changes;
		}
		return n.fit;
	}

	// shown of these, from the order they had
	private sorted(old: Node[], all: Map<string, Node>, above: boolean): Node[] {
		const out: Node[] = [], run = ++this.run, want = above ? FITS : HIT | BELOW;
		for (const n of old)
			if (!n.gone && this.fit(n) & want) {
				n.mark = run;
				out.push(n);
			}
		if (out.length < all.size)
			for (const n of all.values())
				if (n.mark !== run && this.fit(n) & want)
					out.push(n);
		for (const n of out)
			n.mark = 0;
		return settle(out, this.order);
	}

	private below(n: Node, above: boolean): Node[] {
		const key = this.set * 2 + (above ? 1 : 0);
		if (n.keptFor !== key || n.keptAt < n.stamp) {
			n.kept = this.sorted(n.keptFor === key ? n.kept! : NONE, n.children, above);
			n.keptFor = key;
			n.keptAt = this.model.changes;
		}
		return n.kept!;
	}

	// What is searched for opens on its own; a match shows all below it.
	rows(open: ReadonlySet<string>): Row[] {
		const out: Row[] = [];
		const put = (shown: Node[], above: boolean) => {
			for (let i = 0; i < shown.length; i++) {
				const node = shown[i]!, hit = above || (this.fit(node) & HIT) !== 0;
				const is = node.children.size > 0 && (!hit || open.has(node.key));
				let row = node.row;
				if (!row || row.open !== is || row.place !== i + 1 || row.of !== shown.length)
					row = node.row = { node, open: is, place: i + 1, of: shown.length };
				out.push(row);
				if (is)
					put(this.below(node, hit), hit);
			}
		};
		this.top = this.sorted(this.top, this.model.apps, false);
		put(this.top, false); // three levels, no more
		return out;
	}
}
