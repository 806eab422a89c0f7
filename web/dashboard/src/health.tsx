// SPDX-License-Identifier: GPL-2.0-or-later
import { put } from './api';
import { loadStatus } from './feed';
import { admin, fail, link, say, status } from './store';
import type { Status } from './types';
import { bytes, lasting, safe, when } from './text';

export interface Finding { bad: boolean; text: string }

export function findings(s: Status | null): Finding[] {
	if (!s)
		return [{ bad: true, text: 'The daemon has not said how it is yet.' }];
	const c = s.counters ?? {}, all: Finding[] = [];
	const add = (when_: unknown, bad: boolean, text: string) => { if (when_) all.push({ bad, text }); };
	add(s.core !== 'running', true, 'The part that decides is starting again; the kernel keeps the rules meanwhile.');
	add(s.identity?.mode === 'basic', true, `Basic mode (${safe(s.identity?.why)}): ${safe(s.identity?.limits)}`);
	add(s.identity?.mode === 'resolver', true, `Resolver only (${safe(s.identity?.why)}): ${safe(s.identity?.limits)}`);
	add(s.identity?.not_attributed, true, `Not attributed: ${safe(s.identity?.not_attributed)}`);
	add(s.sets && s.sets['table'] === false, true, 'The kernel table is not there: nothing is gated.');
	add(s.rule_errors, true, `Rules with errors: ${safe(s.rule_errors)}`);
	add(c['kernel_failed'], true, `${c['kernel_failed']} times the kernel refused an element.`);
	add(c['events_lost'], true, `${c['events_lost']} events were lost.`);
	add(c['core_restarts'], true, `It restarted ${c['core_restarts']} times.`);
	add(s.accounting === false, true, 'The kernel does not count bytes.');
	add(s.history?.error, true, `The history is not written: ${safe(s.history?.error)}`);
	add(!s.history?.error && s.history?.unread, true, `The history cannot be read: ${safe(s.history?.unread)}`);
	add(s.history?.lost, true, `${s.history?.lost} records were lost before they came into the history.`);
	for (const u of s.upstreams) {
		add(u.why && u.dead, true, `Upstream ${safe(u.name)} cannot be asked: ${safe(u.why)}`);
		add(u.failed > u.sent / 2 && u.sent > 4, true, `Upstream ${safe(u.name)} fails often.`);
	}
	add(c['unknown'], false, `${c['unknown']} questions came from programs that could not be recognised.`);
	add(s.mode === 'watch', false, 'Watch mode: nothing is refused; verdicts are what they would have been.');
	return all;
}

export const filterMode = (s: Status | null) => typeof s?.filter === 'string' ? s.filter
	: s?.filter?.mode ?? (s?.filter?.enabled === false ? 'paused' : 'on');

export function Filtering() {
	const mode = filterMode(status.value);
	const set = (body: unknown, text: string) => put('filter', body).then(() => {
		say(text);
		return loadStatus();
	}).catch(fail);
	return <div class="acts">
		<span>Filtering is {safe(mode)}.</span>
		{admin.value && <><button onClick={() => void set({ enabled: false, until: new Date(Date.now() + 600000).toISOString() },
			'Paused for 10 minutes.')}>Pause 10 min</button>
		<button onClick={() => void set({ enabled: true }, 'Filtering is on.')}>Resume</button></>}
	</div>;
}

function Rows({ of }: { of: Record<string, unknown> }) {
	return <dl>{Object.entries(of).filter(([, v]) => v !== null && v !== undefined && typeof v !== 'object')
		.map(([k, v]) => <div class="fact" key={k}><dt>{safe(k.replaceAll('_', ' '))}</dt>
			<dd>{k === 'rss_kb' ? bytes(Number(v) * 1024) : k === 'uptime_s' ? lasting(Number(v)) : safe(String(v))}</dd></div>)}</dl>;
}

export function Health() {
	const s = status.value, all = findings(s);
	return <main class="page" id="main"><h1>Health</h1>
		<section class="card"><ul class="findings">
			{all.map(f => <li key={f.text} class={f.bad ? 'bad' : ''}><span aria-hidden="true">{f.bad ? '!' : 'i'}</span> {f.text}</li>)}
			{!all.some(f => f.bad) && <li class="good"><span aria-hidden="true">✓</span> All is well.</li>}
			{link.value === 'offline' && <li class="bad"><span aria-hidden="true">!</span> No live stream from the daemon.</li>}
		</ul><Filtering /></section>
		{s && <div class="cards">
			<section class="card"><h2>Daemon</h2><Rows of={{ ...s, rule_errors: null }} /></section>
			{s.identity && <section class="card"><h2>Who asks</h2><Rows of={{ ...s.identity }} /></section>}
			<section class="card"><h2>Upstreams</h2><dl>{s.upstreams.map(u => <div class="fact" key={u.name}>
				<dt>{safe(u.name)}{u.fallback ? ' (fallback)' : ''}</dt><dd>{u.sent} asked, {u.failed} failed, last answer {when(u.last_ok)}</dd></div>)}</dl></section>
			{s.sets && <section class="card"><h2>Kernel sets</h2><Rows of={s.sets} /></section>}
			{s.counters && <section class="card"><h2>Counters</h2><Rows of={s.counters} /></section>}
			{(['geo', 'history', 'accounting'] as const).map(k => {
				const v = (s as unknown as Record<string, unknown>)[k];
				return v && typeof v === 'object' ? <section class="card" key={k}><h2>{k}</h2>
					<Rows of={v as Record<string, unknown>} /></section> : null;
			})}
		</div>}</main>;
}
