// SPDX-License-Identifier: GPL-2.0-or-later
// Every rule in the order that decides; own ones can be changed. A box asks the daemon
// what it would do.
import { useState } from 'preact/hooks';
import { get, patch } from './api';
import { addRule, loadRules, removeRule } from './change';
import { VerdictMark } from './row';
import { admin, fail, rulesList, say } from './store';
import type { Rule } from './types';
import { safe, when } from './text';

async function enable(r: Rule, enabled: boolean) {
	try {
		await patch(`rules/${r.id}`, { enabled });
		await loadRules();
		say(`${enabled ? 'On' : 'Off'}: ${safe(r.text)}`, async () => {
			await patch(`rules/${r.id}`, { enabled: !enabled });
			await loadRules();
		});
	} catch (e) {
		fail(e);
		await loadRules().catch(fail);
	}
}

function Line({ r }: { r: Rule }) {
	const own = r.source === 'own';
	return <tr class={r.enabled ? '' : 'off'}>
		<td><input type="checkbox" checked={r.enabled} disabled={!own || !admin.value}
			aria-label={`Enabled: ${safe(r.text)}`}
			onChange={e => void enable(r, e.currentTarget.checked)} /></td>
		<td><VerdictMark v={r.action} /></td>
		<td class="text"><code>{safe(r.text)}</code></td>
		<td>{r.file ? <span title={safe(r.file)}>{safe(r.file.split('/').pop()!)}:{r.line}</span> : r.source}</td>
		<td class="num">{r.hits}</td>
		<td>{when(r.last_used)}</td>
		<td>{r.expires ? when(r.expires) : 'never'}</td>
		<td>{own && admin.value && <button onClick={() => void removeRule(r)}
			aria-label={`Remove: ${safe(r.text)}`}>Remove</button>}</td>
	</tr>;
}

function Add() {
	const [text, setText] = useState('');
	const submit = async (e: Event) => {
		e.preventDefault();
		if (text.trim() && await addRule(text.trim()))
			setText('');
	};
	return <form class="line" onSubmit={submit}>
		<label for="new-rule">New rule</label>
		<input id="new-rule" spellcheck={false} autocomplete="off" value={text}
			placeholder="deny /usr/bin/curl .example.org:443/tcp for 2h"
			onInput={e => setText(e.currentTarget.value)} />
		<button type="submit">Add</button></form>;
}

function Test() {
	const [who, setWho] = useState(''), [what, setWhat] = useState(''), [answer, setAnswer] = useState('');
	const submit = (e: Event) => {
		e.preventDefault();
		const q = new URLSearchParams({ who: who.trim(), what: what.trim() });
		get<{ text: string }>(`explain?${q}`).then(a => setAnswer(a.text),
			x => setAnswer(x instanceof Error ? x.message : String(x)));
	};
	return <section class="card"><h2>What would happen?</h2>
		<form class="line" onSubmit={submit}>
			<label for="test-who">Program</label>
			<input id="test-who" value={who} placeholder="/usr/bin/curl" spellcheck={false} required
				onInput={e => setWho(e.currentTarget.value)} />
			<label for="test-what">Target</label>
			<input id="test-what" value={what} placeholder="example.org:443/tcp" spellcheck={false} required
				onInput={e => setWhat(e.currentTarget.value)} />
			<button type="submit">Explain</button></form>
		<pre aria-live="polite" class="answer" tabIndex={answer ? 0 : -1}>{
			answer.split('\n').map(safe).join('\n')}</pre></section>;
}

export function Rules() {
	const [words, setWords] = useState('');
	const shown = rulesList.value.filter(r => r.text.toLowerCase().includes(words.toLowerCase()));
	return <main class="page" id="main"><h1>Rules</h1>
		{admin.value && <section class="card"><Add /></section>}
		<Test />
		<section class="card"><div class="line"><label for="find-rule">Filter</label>
			<input id="find-rule" type="search" value={words} onInput={e => setWords(e.currentTarget.value)} />
			<span class="also">{shown.length} of {rulesList.value.length}; the first that fits decides</span></div>
			<div class="scrolls" tabIndex={0} role="region" aria-label="Rules">
				<table><thead><tr>{['On', 'Verdict', 'Rule', 'From', 'Hits', 'Last used', 'Until', 'Remove']
					.map(h => <th scope="col" class={h === 'Hits' ? 'num' : ''} key={h}>{h}</th>)}</tr></thead>
				<tbody>{shown.map(r => <Line key={r.id} r={r} />)}</tbody></table></div>
			{rulesList.value.length === 0 && <p class="empty">No rule yet. On the Now page choose a row
				and press <kbd>a</kbd> or <kbd>d</kbd>, or write one above.</p>}
		</section></main>;
}
