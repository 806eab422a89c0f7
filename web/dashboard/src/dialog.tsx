// SPDX-License-Identifier: GPL-2.0-or-later
// Allow or deny from a row: how wide, for how long. The rule is shown before it is made.
import { useEffect, useRef, useState } from 'preact/hooks';
import { addRule } from './change';
import { keys } from './keep';
import { asking, helping } from './store';
import { domainOf } from './model';
import type { Node } from './node';
import { parent, ruleText, type Target, what, type Width } from './rule';
import { safe } from './text';

function targetOf(n: Node): Target {
	const r = n.record, a = r?.actor;
	const path = a?.path && a.how !== 'unknown' && a.believed !== false ? a.path : null;
	const t: Target = { path, uid: a?.uid ?? null, name: null, address: null, domain: null };
	if (!r || n.kind === 'app')
		return t;
	const domain = domainOf(r);
	if (n.kind === 'domain')
		return { ...t, name: domain, domain };
	if ('direction' in r && r.direction === 'in') // judged by its address alone
		return { ...t, address: r.address, inbound: true };
	return { ...t, name: r.name, domain, address: 'address' in r ? r.address : null };
}

const WIDTHS: [Width, (t: Target) => string][] = [
	['host', t => `only ${t.name ?? t.address}`],
	['domain', t => `${parent(t.name!, t.domain)} and all below it`],
	['registrable', t => `${t.domain} and all below it`],
	['any', () => 'anything'],
];
const LIVES: [string, string][] = [['forever', 'always'], ['10m', '10 minutes'], ['1h', '1 hour'],
	['8h', '8 hours'], ['7d', '7 days']];

function Choices<T extends string>({ name, legend, all, value, set }: { name: string; legend: string;
	all: [T, string][]; value: T; set(v: T): void }) {
	return <fieldset><legend>{legend}</legend>{all.map(([v, text]) => <label key={v}>
		<input type="radio" name={name} value={v} checked={v === value} onChange={() => set(v)} />
		{' '}{text}</label>)}</fieldset>;
}

// a modal of the browser's own: focus stays inside, Escape closes
export function Modal({ title, close, children }: { title: string; close(): void;
	children: preact.ComponentChildren }) {
	const box = useRef<HTMLDialogElement>(null);
	useEffect(() => {
		const back = document.activeElement as HTMLElement | null;
		box.current!.showModal();
		return () => back?.focus();
	}, []);
	return <dialog ref={box} aria-label={title} onClose={close}><h2>{title}</h2>{children}</dialog>;
}

function Form({ node, first }: { node: Node; first: 'allow' | 'deny' }) {
	const t = targetOf(node);
	const widths = WIDTHS.filter(([w]) => what(t, w) !== null && !(w === 'host' && node.kind === 'domain'));
	const [action, setAction] = useState<'allow' | 'deny'>(first);
	const [width, setWidth] = useState<Width>(widths[0]![0]);
	const [life, setLife] = useState('forever');
	const [who, setWho] = useState<'user' | 'everyone'>('everyone');
	const [sure, setSure] = useState(false);
	const text = ruleText(t, { action, width, life, who });
	const wide = width === 'any' && life === 'forever';
	const close = () => { asking.value = null; };
	const submit = async (e: Event) => {
		e.preventDefault();
		if (wide && !sure)
			return setSure(true);
		if (await addRule(text))
			close();
	};
	return <form onSubmit={submit}>
		<Choices<'allow' | 'deny'> name="action" legend="Verdict" value={action} set={setAction}
			all={[['allow', '✓ allow'], ['deny', '✕ deny']]} />
		<Choices name="width" legend="What" value={width}
			set={w => { setWidth(w); setSure(false); }}
			all={widths.map(([w, f]) => [w, safe(f(t))])} />
		{t.path !== null && t.uid !== null && <Choices<'user' | 'everyone'> name="who" legend="Who" value={who} set={setWho}
			all={[['everyone', `${safe(t.path)}, whoever runs it`], ['user', `only as user ${t.uid}`]]} />}
		<Choices name="life" legend="For" value={life} set={setLife} all={LIVES} />
		<p class="preview"><span class="also">The rule: </span><code>{safe(text)}</code></p>
		{t.path === null && <p class="also">The program was not recognised: the rule is for all such.</p>}
		<div class="acts"><button type="button" onClick={close}>Cancel</button>
			<button type="submit" class={action}>{wide && sure ? `Really ${action} anything, always`
				: action === 'allow' ? 'Allow' : 'Deny'}</button></div>
	</form>;
}

export function Asking() {
	const a = asking.value;
	if (!a)
		return null;
	return <Modal title={`${a.action === 'allow' ? 'Allow' : 'Deny'} ${a.node.label}`}
		close={() => { asking.value = null; }}><Form node={a.node} first={a.action} /></Modal>;
}

const KEYS: [string, string][] = [['/', 'search'], ['↑ ↓ or j k', 'move'], ['← →', 'close, open'],
	['Enter', 'details'], ['a  d', 'allow, deny the row'], ['Space', 'pause what is drawn'],
	['g n, g r, g l, g h', 'Now, Rules, History, Health'], ['?', 'this help']];

export function Help() {
	if (!helping.value)
		return null;
	const close = () => { helping.value = false; };
	return <Modal title="Keys" close={close}><dl class="keys">{KEYS.map(([k, t]) =>
		<div class="fact" key={k}><dt><kbd>{k}</kbd></dt><dd>{t}</dd></div>)}</dl>
	<p><label><input type="checkbox" checked={keys.value === 'on'}
		onChange={e => { keys.value = e.currentTarget.checked ? 'on' : 'off'; }} /> Shortcuts of a single key
		</label></p>
	<p class="also">Country data: <a href="https://db-ip.com" rel="noreferrer">IP Geolocation by DB-IP</a>.
		A country is a hint. Map: Natural Earth.</p>
	<div class="acts"><button onClick={close}>Close</button></div></Modal>;
}
