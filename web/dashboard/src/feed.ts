// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the store up to date: all at first, then what the stream tells.
import { get, Refused } from './api';
import { loadRules } from './change';
import { appKey } from './model';
import { loadPoints, onStats, point } from './past';
import { apps, arrange, fail, heard, link, live, me, notice, paused, status, version } from './store';
import { listen } from './stream';
import { safe } from './text';
import type { App, Flow, Me, Page, Query, Status, Told } from './types';

const HELD_MAX = 600; // batches, a minute of them

let dirty = false, loading: Promise<void> | null = null;
let held: Told[][] = []; // told while all is being read: it comes after that

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

const byKey = (all: App[]) => new Map(all.map(a => [appKey(a.path, a.uid), a]));

async function reload() {
	const [flows, queries, programs] = await Promise.all([all<Flow>('flows', 20000),
		all<Query>('queries', 5000), all<App>('apps', 5000)]);
	const now = Date.now();
	live.clear();
	flows.forEach(f => live.put(f, now));
	queries.forEach(q => live.ask(q));
	live.tick(Infinity); // what was before is no rate
	apps.value = byKey(programs);
	dirty = true;
	arrange();
}

export function load(): Promise<void> {
	loading ??= Promise.all([reload(), loadRules(), loadStatus(), loadPoints()])
		.then(() => {}).catch(fail).finally(() => {
			loading = null;
			const late = held;
			held = [];
			if (late.length > HELD_MAX)
				void load();
			else
				late.forEach(onBatch);
		});
	return loading;
}

export async function loadStatus() {
	status.value = await get<Status>('status');
}

// counters of open connections that moved: {items:[{id,rx,tx}]}
function onCounts(d: { items: { id: number; rx: number; tx: number }[] }) {
	const now = Date.now();
	for (const u of d.items)
		live.bytes(u.id, u.rx, u.tx, now);
	dirty = true;
}

let programsLate: ReturnType<typeof setTimeout> | undefined;

// many at once, when a machine starts: one request
function onNotice(d: { actor: { path: string | null } }) {
	notice.value = `First contact: ${safe(d.actor.path ?? 'an unknown program')}`;
	programsLate ??= setTimeout(() => {
		programsLate = undefined;
		get<Page<App>>('apps?limit=1000').then(p => { apps.value = byKey(p.items); }, fail);
	}, 1000);
}

function one(t: Told) {
	switch (t.type) {
	case 'flow': live.put(JSON.parse(t.data), Date.now()); dirty = true; break;
	case 'query': live.ask(JSON.parse(t.data)); dirty = true; break;
	case 'flows': onCounts(JSON.parse(t.data)); break;
	case 'stats': onStats(point(JSON.parse(t.data))); break;
	case 'notice': onNotice(JSON.parse(t.data)); break;
	case 'rules': loadRules().catch(fail); break;
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
	if (loading) {
		if (held.length <= HELD_MAX)
			held.push(batch);
		return;
	}
	const began = performance.now();
	heard.value = Date.now();
	for (const t of batch)
		one(t);
	performance.measure('batch', { start: began });
}

// Numbers are drawn four times a second at most, the order changes once. The two fall on
// different turns of the browser's loop, so that neither waits for the other.
function beats() {
	let last = performance.now(), n = 0;
	const second = () => {
		const now = performance.now();
		live.tick((now - last) / 1000);
		last = now;
		if (!paused.value && !document.hidden)
			arrange();
	};
	setInterval(() => {
		if (++n % 4 === 0)
			second();
		else if (dirty && !paused.value && !document.hidden) {
			dirty = false;
			version.value++;
		}
	}, 250);
}

let tied = false;

export async function begin() {
	const loaded = load();
	if (!tied) {
		tied = true;
		listen(onBatch); // before all is read, so that nothing falls between
		beats();
		clocks();
	}
	await loaded;
}

function clocks() {
	setInterval(() => {
		if (!document.hidden && me.value)
			loadStatus().catch(() => {});
	}, 10000);
}
