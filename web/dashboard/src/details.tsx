// SPDX-License-Identifier: GPL-2.0-or-later
// The selected row: who it is, why it went as it did, where it goes.
import { useLayoutEffect, useRef } from 'preact/hooks';
import { admin, apps, asking, chosen, countryOnly, details, list, nodeOf, say, search, version } from './store';
import type { Node } from './node';
import type { Flow, Query } from './types';
import { ago, bytes, country, flag, rate, safe, unicode, when, why } from './text';
import { behind } from './history';
import { Spark, VerdictMark } from './row';

const isFlow = (r: Flow | Query): r is Flow => 'proto' in r;

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
	return <div class="fact"><dt>{name}</dt><dd>{children}</dd></div>;
}

function Who({ node }: { node: Node }) {
	let n = node;
	while (n.parent)
		n = n.parent;
	const app = apps.value.get(n.key), actor = node.record?.actor;
	return <>
		<Fact name="Program"><code>{safe(actor?.path) || 'unknown'}</code>
			{actor?.believed === false && ' (not believed: no path rule matches)'}</Fact>
		{actor?.process && <Fact name="Process"><code>{safe(actor.process)}</code>
			{actor.pid ? ` (pid ${actor.pid})` : ''}</Fact>}
		<Fact name="User">{safe(app?.user) || '–'} ({actor?.uid})</Fact>
		{!!app?.parents.length && <Fact name="Started by"><code>{safe(app.parents.join(' < '))}</code></Fact>}
		{app?.unit && <Fact name="Unit">{safe(app.unit)}</Fact>}
		{app?.package && <Fact name="Package">{safe(app.package)}</Fact>}
		{app?.sha256 && <Fact name="SHA-256"><code>{safe(app.sha256)}</code></Fact>}
	</>;
}

function Why({ r }: { r: Flow | Query }) {
	return <Fact name="Why"><VerdictMark v={r.verdict} />{' by '}
		{r.rule ? <code>{safe(r.rule.text)}</code> : why(r.reason)}
		{r.rule && r.reason !== 'rule' && ` (${why(r.reason)})`}</Fact>;
}

function Goes({ r }: { r: Flow | Query }) {
	if (!isFlow(r))
		return <Fact name="Asked">{safe(r.type)}{r.rcode && `, ${safe(r.rcode)}`}{r.answers.length > 0 &&
			<>: <code>{r.answers.map(safe).join(', ')}</code></>}{r.ms !== null && ` in ${r.ms.toFixed(1)} ms`}
			{r.cached && ' (from the cache)'}{r.cname && <>; led to <code>{safe(r.cname)}</code></>}</Fact>;
	return <>
		<Fact name={r.direction === 'in' ? 'From' : 'To'}><code>{safe(r.address) || '–'}
			{r.port && r.direction !== 'in' ? `:${r.port}` : ''}/{safe(r.proto)}</code>
			{r.direction === 'in' && !!r.port && <>, to port <code>{r.port}</code></>}</Fact>
		{r.country && <Fact name="Likely in"><button class="link"
			onClick={() => { countryOnly.value = r.country!; }}>{flag(r.country)} {country(r.country)}
			</button></Fact>}
		{r.as && <Fact name="Network">AS{r.as.number} {safe(r.as.name)}</Fact>}
		<Fact name="State">{safe(r.state)}, since {when(r.start)}</Fact>
	</>;
}

function copy(n: Node) {
	navigator.clipboard.writeText(n.kind === 'app' ? n.record?.actor.path ?? n.label : n.label)
		.then(() => say('Copied.'), () => say('The browser refused to copy.', null, true));
}

export function Details() {
	version.value;
	list.value;
	const box = useRef<HTMLElement>(null);
	const n = nodeOf(chosen.value), open = details.value;
	useLayoutEffect(() => { // before it is seen, so that the next key is its own
		if (open)
			box.current?.focus();
	}, [open, chosen.value]);
	if (!n || !open)
		return null;
	const close = () => {
		details.value = false;
		document.querySelector<HTMLElement>('.tree .scroll')?.focus();
	};
	const uni = n.kind === 'app' ? '' : unicode(n.label);
	return <aside class="details" aria-label="Details" tabIndex={-1} ref={box}
		onKeyDown={e => e.key === 'Escape' && close()}>
		<header><h2 dir="ltr">{n.label}{uni && <span class="also"> {uni}</span>}</h2>
			<button aria-label="Close details" onClick={close}>✕</button></header>
		<div class="acts">
			{admin.value && <>
				<button class="allow" onClick={() => { asking.value = { node: n, action: 'allow' }; }}>
					<span aria-hidden="true">✓</span> Allow…</button>
				<button class="deny" onClick={() => { asking.value = { node: n, action: 'deny' }; }}>
					<span aria-hidden="true">✕</span> Deny…</button></>}
			<button onClick={() => { search.value = n.label; }}>Only this</button>
			<button onClick={() => behind(n)}>History</button>
			<button onClick={() => copy(n)}>Copy</button>
		</div>
		<dl>
			{n.record && <Why r={n.record} />}
			<Fact name="Traffic">{n.counted || n.rx || n.tx ? `${bytes(n.rx)} down, ${bytes(n.tx)} up` :
				n.flows ? 'not counted' : 'no connection seen'}{n.rate > 0 && `, ${rate(n.rate)}`}
				<Spark node={n} at={Date.now()} /></Fact>
			<Fact name="Connections"><button class="link" onClick={() => behind(n)}>{n.flows}</button>, {
				n.live} open, <button class="link" onClick={() => behind(n, 'deny')}>{n.denied} denied</button></Fact>
			<Fact name="Last">{ago(n.last, Date.now())}</Fact>
			{n.record && n.kind === 'host' && <Goes r={n.record} />}
			{n.ports.size > 0 && <Fact name="Ports">{[...n.ports].sort((a, b) => a - b).slice(0, 20).join(', ')}</Fact>}
			<Who node={n} />
		</dl>
	</aside>;
}
