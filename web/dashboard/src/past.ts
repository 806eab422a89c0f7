// SPDX-License-Identifier: GPL-2.0-or-later
// The chart's points, and the span of time that its brush picks: from the window here, and
// from the daemon's history, which has more.
import { signal } from '@preact/signals';
import { get, Refused } from './api';
import { Model } from './model';
import { brush, live, points, say, show, span } from './store';
import type { Country, Flow, Page, Point, Query, Sum } from './types';

export const SPANS: [number, string, number][] = [ // seconds, its name, a step of it
	[60, '1m', 1], [600, '10m', 1], [3600, '1h', 60], [21600, '6h', 60], [86400, '1d', 300],
	[2592000, '30d', 3600]];
export const stepOf = (s: number) => SPANS.find(([n]) => n === s)?.[2] ?? 1;
const POINTS_MAX = 1200, PAGES_MAX = 5, SUMS_MS = 300000;
const iso = (ms: number) => new Date(ms).toISOString();

// what the brush shows beside the tree: null where there is none, or it is not known
export const places = signal<[string, number][] | null>(null);
export const pastNote = signal('');

interface Raw { time: string; down: number; up: number; flows: number; denied: number }

// what moved in a step, as bytes a second
export const point = (p: Raw, step = 1): Point => ({ t: Date.parse(p.time) / 1000,
	down: p.down / step, up: p.up / step, flows: p.flows, denied: p.denied });

export async function loadPoints() {
	const to = Date.now(), wanted = span.value;
	try {
		const p = await get<Page<Raw> & { step?: number }>(`stats?from=${iso(to - wanted * 1000)}&to=${iso(to)}` +
			`&step=${stepOf(wanted)}`);
		if (span.value === wanted)
			points.value = p.items.map(x => point(x, p.step ?? stepOf(wanted)))
				.sort((a, b) => a.t - b.t);
	} catch (e) {
		if (!(e instanceof Refused) || e.status === 401)
			throw e;
		if (span.value === wanted)
			points.value = []; // none are kept: the chart begins with what comes
	}
}

let seconds = 0; // of the newest step, those told

// one more second: a point of its own, or a part of the step under way
export function onStats(p: Point) {
	const step = stepOf(span.value), old = points.value, last = old[old.length - 1];
	const from = Date.now() / 1000 - span.value;
	if (step === 1) {
		if (!last || p.t > last.t)
			points.value = [...old.filter(o => o.t >= from), p].slice(-POINTS_MAX);
		return;
	}
	const t = Math.floor(p.t / step) * step;
	if (!last || last.t < t) {
		seconds = 1;
		points.value = [...old.filter(o => o.t >= from), { ...p, t }].slice(-POINTS_MAX);
		return;
	}
	seconds = Math.max(seconds + 1, Math.min(step, p.t - t));
	const mean = (a: number, b: number) => a + (b - a) / seconds;
	points.value = [...old.slice(0, -1), { t: last.t, down: mean(last.down, p.down),
		up: mean(last.up, p.up), flows: last.flows + p.flows, denied: last.denied + p.denied }];
}

export type Kept = Flow & { kind: 'flow' | 'query'; type: string | null; city?: string | null };

const asked = (k: Kept): Query => ({ ...k, time: k.start, type: k.type ?? '', rcode: null, answers: [],
	ms: null, cached: false });
const same = (f: Flow) => `${f.actor.path} ${f.actor.uid} ${f.name} ${f.start} ${f.address} ${f.port}`;
const sameQuery = (q: Query) => `${q.actor.path} ${q.actor.uid} ${q.name} ${q.time} ${q.type}`;

// rows of the history beside those of the window, none twice; numbers of their own
function merge(m: Model, rows: Kept[]) {
	const flows = new Set([...m.flows.values()].map(h => same(h.flow)));
	const queries = new Set([...m.queries.values()].map(h => sameQuery(h.query)));
	for (const r of rows)
		if (r.kind === 'query') {
			const q = asked({ ...r, id: -r.id });
			if (!queries.has(sameQuery(q)))
				m.ask(q);
		} else if (!flows.has(same(r)))
			m.put({ ...r, id: -r.id });
}

async function rowsOf(query: string): Promise<{ rows: Kept[]; more: boolean }> {
	const rows: Kept[] = [];
	let next: string | null = '';
	for (let i = 0; i < PAGES_MAX && next !== null; i++) {
		const p: Page<Kept> = await get(`history?${query}&limit=1000${next ? `&cursor=${next}` : ''}`);
		rows.push(...p.items);
		next = p.next;
	}
	return { rows, more: next !== null };
}

const moved = (all: Country[]) => all.filter(c => c.country)
	.map((c): [string, number] => [c.country!, c.rx + c.tx]);
const asQuery = (b: [number, number]) => `from=${iso(b[0])}&to=${iso(b[1])}`;

// Sums are kept by the minute: of less than some of these, the connections tell more.
async function whole(b: [number, number]) {
	const q = asQuery(b), long = b[1] - b[0] >= SUMS_MS;
	const [h, sums, countries] = await Promise.all([rowsOf(q),
		long ? get<Page<Sum>>(`apps?${q}&limit=1000`) : null,
		long ? get<Page<Country>>(`countries?${q}`) : null]);
	if (brush.value !== b)
		return;
	const m = live.between(b[0], b[1]);
	merge(m, h.rows);
	for (const s of sums?.items ?? [])
		m.total(s.path, s.uid, { rx: s.rx, tx: s.tx, connections: s.flows, denied: s.denied,
			last: s.last ? Date.parse(s.last) : 0 });
	places.value = countries && moved(countries.items);
	pastNote.value = h.more ? `Programs are whole; hosts are those of the newest ${
		h.rows.length} records.` : '';
	show(m);
}

// of one program
export async function placesOf(path: string, b: [number, number]): Promise<[string, number][] | null> {
	if (b[1] - b[0] < SUMS_MS)
		return null;
	const q = `${asQuery(b)}&program=${encodeURIComponent(path)}`;
	return moved((await get<Page<Country>>(`countries?${q}`)).items);
}

export async function setBrush(b: [number, number] | null) {
	brush.value = b;
	places.value = null;
	pastNote.value = '';
	show(b ? live.between(b[0], b[1]) : null);
	if (!b)
		return;
	try {
		await whole(b);
	} catch (e) {
		if (brush.value !== b)
			return;
		pastNote.value = `Only what this page has seen: ${e instanceof Refused ? e.message
			: 'the daemon cannot be reached'}.`;
		if (e instanceof Refused && e.status === 401)
			say(e.message, null, true);
	}
}
