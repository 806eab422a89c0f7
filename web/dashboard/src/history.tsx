// SPDX-License-Identifier: GPL-2.0-or-later
// What happened, from the daemon's file: by program, name, address, country, verdict, time.
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { get } from './api';
import type { Node } from './node';
import type { Kept } from './past';
import { VerdictMark } from './row';
import { details, page } from './store';
import { bytes, country, flag, safe, unicode, when, why } from './text';
import type { Page } from './types';

const FIELDS = ['program', 'name', 'address', 'country', 'verdict'] as const;
type Wanted = Partial<Record<typeof FIELDS[number] | 'from' | 'to', string>>;
export const wanted = signal<Wanted>({});
const ROWS_MAX = 5000, EMPTY_MAX = 20;

// the list behind a number: what a row of the tree stands for
export function behind(n: Node, verdict = '') {
	const of = n.record, name = n.kind === 'app' || !of?.name ? undefined
		: n.kind === 'domain' ? '.' + n.label : of.name;
	const address = n.kind === 'host' && of && !of.name && 'address' in of ? of.address : null;
	wanted.value = { program: of?.actor.path ?? undefined, name, address: address ?? undefined,
		verdict: verdict || undefined };
	details.value = false;
	page.value = 'history';
}

function query(w: Wanted): string {
	const q = new URLSearchParams({ limit: '200' });
	for (const [k, v] of Object.entries(w))
		if (v)
			q.set(k, k === 'from' || k === 'to' ? new Date(v).toISOString() : v);
	return q.toString();
}

function Form({ w }: { w: Wanted }) {
	const submit = (e: Event) => {
		e.preventDefault();
		const f = new FormData(e.currentTarget as HTMLFormElement);
		wanted.value = Object.fromEntries([...f].map(([k, v]) => [k, String(v).trim()]).filter(([, v]) => v));
	};
	const text = (name: 'program' | 'name' | 'address' | 'country', label: string, hint: string) =>
		<label>{label} <input name={name} defaultValue={w[name] ?? ''} placeholder={hint}
			spellcheck={false} autocomplete="off" {...(name === 'country' ? { maxLength: 2, size: 4 } : {})} /></label>;
	return <form class="line filters" onSubmit={submit} key={JSON.stringify(w)}>
		{text('program', 'Program', '/usr/bin/curl')}
		{text('name', 'Name', '.example.org')}
		{text('address', 'Address', '192.0.2.1')}
		{text('country', 'Country', 'NL')}
		<label>Verdict <select name="verdict">{[['', 'any'], ['allow', 'allow'], ['deny', 'deny'], ['ask', 'ask']]
			.map(([v, t]) => <option key={v} value={v} selected={v === (w.verdict ?? '')}>{t}</option>)}</select></label>
		<label>From <input type="datetime-local" name="from" defaultValue={w.from ?? ''} /></label>
		<label>To <input type="datetime-local" name="to" defaultValue={w.to ?? ''} /></label>
		<button type="submit">Show</button>
		<button type="button" onClick={() => { wanted.value = {}; }}>Everything</button></form>;
}

function Line({ r }: { r: Kept }) {
	const uni = r.name ? unicode(r.name) : '';
	const only = (w: Wanted) => { wanted.value = { ...wanted.value, ...w }; };
	return <tr>
		<td>{when(r.start)}</td>
		<td>{r.actor.path ? <button class="link" title={safe(r.actor.path)}
			onClick={() => only({ program: r.actor.path! })}>{safe(r.actor.path.split('/').pop())}</button>
			: 'unknown program'}</td>
		<td class="text">{r.name ? <button class="link" onClick={() => only({ name: r.name! })}>
			{safe(r.name)}</button> : '–'}{uni && <span class="also"> {uni}</span>}</td>
		<td>{r.kind === 'query' ? `asked ${safe(r.type)}` : <>{r.direction === 'in' && 'from '}
			<code>{safe(r.address) || '–'}{r.port ? `:${r.port}` : ''}/{safe(r.proto)}</code></>}</td>
		<td>{r.country && <span title={`likely in ${country(r.country)}`}><span aria-hidden="true">{
			flag(r.country)}</span> {safe(r.country)}</span>}</td>
		<td><VerdictMark v={r.verdict} /></td>
		<td>{r.rule ? <code>{safe(r.rule.text)}</code> : why(r.reason)}</td>
		<td class="num">{r.rx === null ? '–' : bytes(r.rx)}</td>
		<td class="num">{r.tx === null ? '–' : bytes(r.tx)}</td>
	</tr>;
}

interface Got { rows: Kept[]; next: string | null; state: 'reading' | 'read' | string }

// a page of the daemon may be empty and not the last: it gives up where it takes long
async function read(w: Wanted, cursor: string | null): Promise<{ rows: Kept[]; next: string | null }> {
	let next = cursor;
	for (let i = 0; i < EMPTY_MAX; i++) {
		const p: Page<Kept> = await get(`history?${query(w)}${next ? `&cursor=${next}` : ''}`);
		next = p.next;
		if (p.items.length || next === null)
			return { rows: p.items, next };
	}
	return { rows: [], next };
}

export function History() {
	const w = wanted.value;
	const [got, setGot] = useState<Got>({ rows: [], next: null, state: 'reading' });
	const more = (old: Kept[], cursor: string | null) => {
		setGot({ rows: old, next: null, state: 'reading' });
		read(w, cursor).then(p => {
			const rows = [...old, ...p.rows];
			if (wanted.value === w)
				setGot({ rows, next: rows.length < ROWS_MAX ? p.next : null, state: 'read' });
		}, e => setGot({ rows: old, next: null, state: e instanceof Error ? e.message : String(e) }));
	};
	useEffect(() => more([], null), [w]);
	return <main class="page wide" id="main"><h1>History</h1>
		<section class="card"><Form w={w} /></section>
		<section class="card"><p class="also count" role="status">{got.state === 'reading' ? 'Reading…'
			: got.state === 'read' ? `${got.rows.length} newest first${got.next ? ', there are more' : ''}` : got.state}</p>
			<div class="scrolls" tabIndex={0} role="region" aria-label="History">
				<table><thead><tr>{['Time', 'Program', 'Name', 'To', 'Where', 'Verdict', 'Why', 'Down', 'Up']
					.map(h => <th scope="col" class={/Down|Up/.test(h) ? 'num' : ''} key={h}>{h}</th>)}</tr></thead>
				<tbody>{got.rows.map(r => <Line key={r.id} r={r} />)}</tbody></table></div>
			{got.next && <button onClick={() => more(got.rows, got.next)}>Older ones</button>}
		</section></main>;
}
