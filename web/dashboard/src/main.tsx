// SPDX-License-Identifier: GPL-2.0-or-later
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { get, post, Refused } from './api';
import { Asking, Help } from './dialog';
import { filterMode, findings, Health } from './health';
import { History } from './history';
import { Now } from './now';
import { Rules } from './rules';
import { begin } from './feed';
import { keys } from './keep';
import { fail, heard, helping, link, me, notice, page, paused, say, search, signedOut, status, toast,
	version, watching, type Where } from './store';
import { ago, safe } from './text';
import { theme, type Theme } from './theme';

const PAGES: [Where, string][] = [['now', 'Now'], ['rules', 'Rules'], ['history', 'History'],
	['health', 'Health']];

function Top() {
	const s = status.value, bad = findings(s).filter(f => f.bad).length;
	const filter = filterMode(s), whole = link.value === 'live' && !bad && filter === 'on';
	return <header class="top">
		<a class="skip" href="#main" onClick={e => {
			e.preventDefault();
			(document.querySelector('.tree .scroll') as HTMLElement | null
				?? document.querySelector<HTMLElement>('#main'))?.focus();
		}}>Skip to content</a>
		<span class="brand">scupper</span>
		<nav aria-label="Pages">{PAGES.map(([w, t]) => <button key={w}
			aria-current={page.value === w ? 'page' : undefined}
			onClick={() => { page.value = w; }}>{t}</button>)}</nav>
		<input type="search" class="search" aria-label="Search program, host, country, port"
			placeholder="search program, host, country, port" value={search.value}
			onInput={e => {
				search.value = e.currentTarget.value;
				page.value = 'now';
			}} />
		<button class={`health ${whole ? 'good' : 'bad'}`} onClick={() => { page.value = 'health'; }}>
			<span aria-hidden="true">{whole ? '✓' : '!'}</span> {link.value === 'offline' ? 'Offline'
				: link.value === 'connecting' ? 'Connecting' : filter === 'paused' ? 'Paused'
					: filter === 'blocked' ? 'Everything blocked' : watching.value ? 'Watching'
					: bad ? `${bad} to look at` : 'Filtering'}</button>
		<select aria-label="Theme" value={theme.value}
			onChange={e => { theme.value = e.currentTarget.value as Theme; }}>
			<option value="system">auto</option><option value="light">light</option>
			<option value="dark">dark</option></select>
		<button aria-label="Keys and help" onClick={() => { helping.value = true; }}>?</button>
		<span class="user">{safe(me.value?.user) || (me.value ? `uid ${me.value.uid}` : '')}</span>
	</header>;
}

function Banner() {
	version.value;
	const id = status.value?.identity;
	if (link.value !== 'offline' && id?.mode === 'resolver')
		return <p class="banner" role="status">{safe(id.limits)} ({safe(id.why)})</p>;
	if (link.value !== 'offline')
		return null;
	return <p class="banner" role="status">The daemon is not answering. What you see is as of {
		ago(heard.value, Date.now())}; it goes on by itself when the daemon is back.</p>;
}

function Toast() {
	const t = toast.value;
	const undo = () => {
		toast.value = null;
		t!.undo!().catch(fail);
	};
	return <div class="toasts" role="status" aria-live="polite">{t && <div class={`toast${t.bad ? ' bad' : ''}`}>
		<span>{t.text}</span>{t.undo && <button onClick={undo}>Undo</button>}
		<button aria-label="Dismiss" onClick={() => { toast.value = null; }}>✕</button></div>}</div>;
}

let went = 0;

function typing(e: KeyboardEvent): boolean {
	const t = e.target as HTMLElement;
	return e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName) ||
		!!document.querySelector('dialog[open]');
}

function onKey(e: KeyboardEvent) {
	if (e.key === 'Escape' && (e.target as HTMLElement).classList.contains('search'))
		document.querySelector<HTMLElement>('.tree .scroll')?.focus();
	if (typing(e) || keys.value === 'off')
		return;
	const go = Date.now() - went < 1000 && ({ n: 'now', r: 'rules', l: 'history', h: 'health' } as Record<string, Where>)[e.key];
	went = 0;
	if (go)
		page.value = go;
	else if (e.key === 'g')
		went = Date.now();
	else if (e.key === '/')
		document.querySelector<HTMLElement>('.search')?.focus();
	else if (e.key === '?')
		helping.value = true;
	else if (e.key === ' ' && !/^(BUTTON|SUMMARY|A)$/.test((e.target as HTMLElement).tagName))
		paused.value = !paused.value;
	else
		return;
	e.preventDefault();
}

function Pages() {
	useEffect(() => {
		document.addEventListener('keydown', onKey);
		return () => document.removeEventListener('keydown', onKey);
	}, []);
	return <div class={link.value === 'offline' ? 'stale' : ''} data-link={link.value}>
		<Top /><Banner />
		{page.value === 'now' ? <Now /> : page.value === 'rules' ? <Rules />
			: page.value === 'history' ? <History /> : <Health />}
		<Asking /><Help /><Toast />
		<div class="hidden" role="status" aria-live="polite">{notice.value}</div>
	</div>;
}

function SignedOut() {
	return <main class="gate" id="main"><h1>scupper</h1><p>{signedOut.value}</p>
		<p>For a fresh link run</p><pre>scupper open</pre>
		<p class="also">A link works once, for a minute, and only for the user it was made for.</p></main>;
}

function App() {
	return signedOut.value !== null ? <SignedOut /> : me.value ? <Pages />
		: <main class="gate" id="main"><h1>scupper</h1><p role="status">Signing in…</p></main>;
}

async function signIn() {
	const token = /^#t=(.+)$/.exec(location.hash)?.[1];
	if (token) {
		history.replaceState(null, '', location.pathname); // out of sight, and of the history
		await post('login', { token: decodeURIComponent(token) });
	}
	me.value = await get('me');
	await begin();
}

function start() {
	signIn().catch(e => {
		if (e instanceof Refused && (e.status === 401 || e.status === 403))
			signedOut.value = e.message;
		else {
			link.value = 'offline';
			say('The daemon cannot be reached; trying again.', null, true);
			setTimeout(start, 2000);
		}
	});
}

// a fresh link opened in a tab that is here already
addEventListener('hashchange', () => {
	if (location.hash.startsWith('#t=')) {
		signedOut.value = null;
		start();
	}
});
render(<App />, document.getElementById('app')!);
start();
