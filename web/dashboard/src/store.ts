// SPDX-License-Identifier: GPL-2.0-or-later
// What the pages show, and how it is kept up to date.
import { computed, signal } from '@preact/signals';
import { get, post, Refused, remove } from './api';
import { compare, Model, type Node, rows, type Sort } from './model';
import { listen } from './stream';
import type { App, Flow, Me, Page, Point, Query, Rule, Status, Told } from './types';
import { safe } from './text';

export type Where = 'now' | 'rules' | 'health';
export const page = signal<Where>('now');
export const me = signal<Me | null>(null);
export const signedOut = signal<string | null>(null); // why, when it is so
export const status = signal<Status | null>(null);
export const link = signal<'connecting' | 'live' | 'offline'>('connecting');
export const heard = signal(0); // when the stream last said something
export const rulesList = signal<Rule[]>([]);
export const apps = signal<Map<string, App>>(new Map());
export const points = signal<Point[]>([]);
export const span = signal(600);
export const paused = signal(false);
export const brush = signal<[number, number] | null>(null);
export const search = signal('');
export const countryOnly = signal('');
export const verdictOnly = signal('');
export const sort = signal<Sort>('rate');
export const falling = signal(true);
export const opened = signal<ReadonlySet<string>>(new Set());
export const chosen = signal<string | null>(null); // the selected row's key
export const details = signal(false);
export const version = signal(0);  // grows when numbers changed
export const order = signal(0);    // grows when rows are to be put in order again
export const notice = signal('');  // what the live region says
export interface Toast { text: string; undo: (() => Promise<void>) | null; bad: boolean; at: number }
export const toast = signal<Toast | null>(null);
export const asking = signal<{ node: Node; action: 'allow' | 'deny' } | null>(null);
export const helping = signal(false);

export const live = new Model();
let past: Model | null = null;
export const model = computed(() => {
	order.value;
	return brush.value && past ? past : live;
});
export const list = computed(() => {
	order.value;
	const began = performance.now();
	const r = rows(model.value, opened.value, { search: search.value,
		country: countryOnly.value, verdict: verdictOnly.value },
	compare(sort.value, falling.value));
	performance.measure('sort', { start: began });
	return r;
});
export const watching = computed(() => status.value?.mode === 'watch');

const POINTS_MAX = 3600;
let dirty = false, told = 0, loading: Promise<void> | null = null;

export function fail(e: unknown) {
	if (e instanceof Refused && e.status === 401)
		signedOut.value = 'The session is over.';
	else
		say(e instanceof Refused ? e.message : 'The daemon cannot be reached.', null, true);
}

export function say(text: string, undo: Toast['undo'] = null, bad = false) {
	const t = { text, undo, bad, at: Date.now() };
	toast.value = t;
	setTimeout(() => {
		if (toast.value === t)
			toast.value = null;
	}, 10000);
}

// the window of the daemon, page by page, at most as much as is kept here
async function all<T>(what: string, max: number): Promise<T[]> {
	const out: T[] = [];
	let next: string | null = '';
	while (next !== null && out.length < max) {
		const p: Page<T> = await get(`${what}?limit=1000${next ? `&cursor=${next}` : ''}`);
		out.push(...p.items);
		next = p.items.length ? p.next : null;
	}
	return out.reverse();
}

async function reload() {
	const [flows, queries, programs] = await Promise.all([all<Flow>('flows', 20000),
		all<Query>('queries', 5000), all<App>('apps', 5000)]);
	live.clear();
	flows.forEach(f => live.put(f));
	queries.forEach(q => live.ask(q));
	live.tick(Infinity); // what was before is no rate
	apps.value = new Map(programs.map(a => [`${a.path ?? '?'}\n${a.uid}`, a]));
	dirty = true;
	order.value++;
}

export function load(): Promise<void> {
	loading ??= Promise.all([reload(), loadRules(), loadStatus(), loadPoints()])
		.then(() => {}).catch(fail).finally(() => { loading = null; });
	return loading;
}

export async function loadRules() {
	rulesList.value = (await get<Page<Rule>>('rules')).items;
}

export async function loadStatus() {
	status.value = await get<Status>('status');
}

function point(p: Record<string, unknown>): Point {
	const n = (...names: string[]) => Number(names.map(k => p[k]).find(v => v != null) ?? 0);
	const time = p['time'] ?? p['t'];
	return { t: typeof time === 'string' ? Date.parse(time) / 1000 : Number(time),
		down: n('down', 'rx'), up: n('up', 'tx'), flows: n('flows'), denied: n('denied') };
}

export async function loadPoints() {
	const to = Date.now(), from = to - span.value * 1000;
	const step = Math.max(1, Math.round(span.value / 600));
	try {
		const p = await get<Page<Record<string, unknown>> & { points?: Record<string, unknown>[] }>(
			`stats?from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}&step=${step}`);
		points.value = (p.items ?? p.points ?? []).map(point).sort((a, b) => a.t - b.t);
	} catch (e) {
		if (!(e instanceof Refused) || e.status === 401)
			throw e;
		points.value = []; // none are kept: the chart begins with what comes
	}
}

function onStats(p: Point) {
	told = Date.now();
	const old = points.value;
	const step = Math.max(1, Math.round(span.value / 600));
	if (old.length && p.t - old[old.length - 1]!.t < step * 0.9)
		return;
	const from = Date.now() / 1000 - span.value;
	points.value = [...old.filter(o => o.t >= from), p].slice(-POINTS_MAX);
}

// row updates: {items:[{id,rx,tx,...}]} or [[id,rx,tx],...]
function onRows(d: { items?: { id: number; rx: number; tx: number }[]; up?: number[][] } | number[][]) {
	const now = Date.now();
	const many = Array.isArray(d) ? d : d.up ?? d.items ?? [];
	for (const u of many)
		if (Array.isArray(u))
			live.bytes(u[0]!, u[1]!, u[2]!, now);
		else
			live.bytes(u.id, u.rx, u.tx, now);
	dirty = true;
}

function onNotice(d: { path?: string | null; actor?: { path: string | null }; app?: App }) {
	const path = d.path ?? d.actor?.path ?? d.app?.path ?? null;
	notice.value = `First contact: ${safe(path ?? 'an unknown program')}`;
	get<Page<App>>('apps?limit=1000').then(p => {
		apps.value = new Map(p.items.map(a => [`${a.path ?? '?'}\n${a.uid}`, a]));
	}).catch(fail);
}

function one(t: Told) {
	switch (t.type) {
	case 'flow': live.put(JSON.parse(t.data)); dirty = true; break;
	case 'query': live.ask(JSON.parse(t.data)); dirty = true; break;
	case 'flows': onRows(JSON.parse(t.data)); break;
	case 'stats': onStats(point(JSON.parse(t.data))); break;
	case 'notice': onNotice(JSON.parse(t.data)); break;
	case 'rules': case 'rule': loadRules().catch(fail); break;
	case 'filter': loadStatus().catch(fail); break;
	case 'resync': void load(); break;
	case 'hello':
		link.value = JSON.parse(t.data).core === 'restarting' ? 'offline' : 'live';
		loadStatus().catch(fail);
		break;
	case 'offline':
		link.value = 'offline';
		get<Me>('me').catch(e => {
			if (e instanceof Refused && e.status === 401)
				fail(e);
		});
		break;
	}
}

function onBatch(batch: Told[]) {
	heard.value = Date.now();
	for (const t of batch)
		one(t);
}

// Numbers are drawn four times a second at most, the order changes once.
function beats() {
	let before = live.sums(), last = performance.now(), n = 0;
	setInterval(() => {
		if (dirty && !paused.value && !document.hidden) {
			dirty = false;
			version.value++;
		}
		if (++n % 4)
			return;
		const seconds = (performance.now() - last) / 1000, now = live.sums();
		last = performance.now();
		live.tick(seconds);
		if (Date.now() - told > 3000 && link.value === 'live')
			onLocal(before, now, seconds);
		before = now;
		if (!paused.value && !document.hidden)
			order.value++;
	}, 250);
}

// a daemon that sends no sums: ours
function onLocal(a: ReturnType<Model['sums']>, b: ReturnType<Model['sums']>, s: number) {
	const keep = told;
	onStats({ t: Date.now() / 1000, down: Math.max(0, b.rx - a.rx) / s,
		up: Math.max(0, b.tx - a.tx) / s, flows: b.live,
		denied: Math.max(0, b.denied - a.denied) });
	told = keep;
}

let tied = false;

export async function begin() {
	await load();
	if (tied)
		return;
	tied = true;
	listen(onBatch);
	beats();
	setInterval(() => {
		if (!document.hidden && me.value)
			loadStatus().catch(() => {});
	}, 10000);
}

interface Kept extends Flow { time?: string }

export async function setBrush(b: [number, number] | null) {
	past = b ? live.between(b[0], b[1]) : null;
	brush.value = b;
	order.value++;
	if (!b)
		return;
	try { // what the window has no more, the history may
		const iso = (ms: number) => new Date(ms).toISOString();
		const p = await get<Page<Kept>>(`history?from=${iso(b[0])}&to=${iso(b[1])}&limit=1000`);
		const m = live.between(b[0], b[1]);
		for (const f of p.items)
			if (f.start && !m.flows.has(f.id))
				m.put({ ...f, state: f.state ?? 'done' });
		if (brush.value === b) {
			past = m;
			order.value++;
		}
	} catch (e) {
		if (!(e instanceof Refused) || e.status === 401)
			fail(e);
	}
}

export async function addRule(text: string): Promise<boolean> {
	try {
		const r = await post<Rule>('rules', { text });
		await loadRules();
		say(`Rule made: ${safe(r.text)}`, async () => {
			await remove(`rules/${r.id}`);
			await loadRules();
			say('Taken back.');
		});
		return true;
	} catch (e) {
		fail(e);
		return false;
	}
}

export async function removeRule(r: Rule) {
	try {
		await remove(`rules/${r.id}`);
		await loadRules();
		say(`Removed: ${safe(r.text)}`, async () => {
			await post('rules', { text: r.text });
			await loadRules();
			say('It stands again.');
		});
	} catch (e) {
		fail(e);
	}
}

// the node with that key, wherever it hangs now
export function nodeOf(key: string | null): Node | null {
	if (key === null)
		return null;
	const m = model.value, parts = key.split('\n');
	const app = m.apps.get(parts.slice(0, 2).join('\n'));
	const domain = parts.length > 2 ? app?.children.get(parts[2]!) : undefined;
	return (parts.length === 2 ? app : parts.length === 3 ? domain
		: domain?.children.get(parts[3]!)) ?? null;
}
