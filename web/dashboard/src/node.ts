// SPDX-License-Identifier: GPL-2.0-or-later
// One row of the tree: a program, a registrable domain of it, or a host of that. Pure.
import type { Flow, Query, Verdict } from './types';

export type Kind = 'app' | 'domain' | 'host';
export const SPARK = 60, SPARK_MS = 10000; // ten minutes in steps of ten seconds

export class Node {
	children = new Map<string, Node>();
	rx = 0; tx = 0; flows = 0; live = 0; denied = 0; allowed = 0; open = 0;
	counted = 0;           // of the flows, those that the kernel counts
	last = 0; rate = 0; before = 0;
	countries = new Map<string, number>();
	ports = new Set<number>();
	record: Flow | Query | null = null; // the newest: why it went as it did
	stamp = 0;             // grows with each change of it or of what is below
	seen = 0;              // the same, without those of mere numbers
	gone = false;
	// what a view found out, until a stamp passes it (view.ts)
	row: { node: Node; open: boolean; place: number; of: number } | null = null;
	fit = 0; fitAt = -1; fitFor = 0;
	kept: Node[] | null = null; keptAt = -1; keptFor = 0; mark = 0;
	private spent: Float64Array | null = null;
	private step = 0;      // the newest of spent, in steps since 1970

	constructor(readonly key: string, readonly kind: Kind, readonly label: string,
		readonly parent: Node | null, readonly words: string, readonly place: number) {}

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

	private upTo(step: number) {
		this.spent ??= new Float64Array(SPARK);
		for (let s = Math.max(this.step + 1, step - SPARK + 1); s <= step; s++)
			this.spent[s % SPARK] = 0;
		this.step = Math.max(this.step, step);
	}

	// bytes that went between two times, evenly
	spend(bytes: number, from: number, to: number) {
		const last = Math.floor(to / SPARK_MS), first = Math.floor(Math.min(from, to) / SPARK_MS);
		this.upTo(last);
		const each = bytes / (last - first + 1);
		for (let s = Math.max(first, this.step - SPARK + 1); s <= last; s++)
			if (s > this.step - SPARK)
				this.spent![s % SPARK]! += each;
	}

	// the ten minutes before now, oldest first; null: nothing went
	spark(now: number): number[] | null {
		const end = Math.floor(now / SPARK_MS);
		if (!this.spent || end - this.step >= SPARK)
			return null;
		return Array.from({ length: SPARK }, (_, i) => {
			const s = end - SPARK + 1 + i;
			return s > this.step || s <= this.step - SPARK ? 0 : this.spent![s % SPARK]!;
		});
	}
}

// ten minutes, 60 wide and 16 high; a thin line at the foot is no traffic
export function sparkPath(s: number[] | null): string {
	if (!s)
		return '';
	const most = Math.max(...s);
	let d = 'M0 16', from = 16;
	s.forEach((v, i) => {
		const y = v ? Math.round(15 - 14 * v / most) : 16;
		if (y !== from)
			d += `V${y}`;
		from = y;
		d += `H${i + 1}`;
	});
	return d + 'V16Z';
}
