// SPDX-License-Identifier: GPL-2.0-or-later
// What the pages show. Kept up to date by feed.ts and past.ts; this is what they share.
import { computed, effect, signal, untracked } from '@preact/signals';
import { Refused } from './api';
import { Model } from './model';
import type { Node } from './node';
import type { App, Me, Point, Rule, Status } from './types';
import { type Filter, type Row, type Sort, View } from './view';

export type Where = 'now' | 'rules' | 'history' | 'health';
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
export const notice = signal('');  // what the live region says
export interface Toast { text: string; undo: (() => Promise<void>) | null; bad: boolean; at: number }
export const toast = signal<Toast | null>(null);
export const asking = signal<{ node: Node; action: 'allow' | 'deny' } | null>(null);
export const helping = signal(false);
export const admin = computed(() => me.value?.role !== 'reader'); // others may look at their own
export const watching = computed(() => status.value?.mode === 'watch');

export const live = new Model();
const liveView = new View(live);
export const view = signal<View>(liveView);
export const model = computed(() => view.value.model);
export const list = signal<Row[]>([]);

// What is drawn from, put in order here and not while drawing: once a second, and at once
// when something was clicked.
export function arrange() {
	const began = performance.now();
	list.value = untracked(() => view.value).rows(untracked(() => opened.value));
	performance.measure('sort', { start: began });
}

export function show(past: Model | null) {
	const v = past ? new View(past) : liveView;
	v.settings(wanted.value, sort.value, falling.value);
	view.value = v;
	arrange();
}

const wanted = computed<Filter>(() => ({ search: search.value, country: countryOnly.value,
	verdict: verdictOnly.value }));
effect(() => {
	untracked(() => view.value).settings(wanted.value, sort.value, falling.value);
	opened.value;
	arrange();
});

// where the selected row stands, -1: nowhere
export const chosenAt = computed(() => {
	const key = chosen.value;
	return key === null ? -1 : list.value.findIndex(r => r.node.key === key);
});

export function say(text: string, undo: Toast['undo'] = null, bad = false) {
	const t = { text, undo, bad, at: Date.now() };
	toast.value = t;
	setTimeout(() => {
		if (toast.value === t)
			toast.value = null;
	}, 10000);
}

export function fail(e: unknown) {
	if (e instanceof Refused && e.status === 401)
		signedOut.value = 'The session is over.';
	else
		say(e instanceof Refused ? e.message : 'The daemon cannot be reached.', null, true);
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
