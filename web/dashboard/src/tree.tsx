// SPDX-License-Identifier: GPL-2.0-or-later
// Program -> registrable domain -> host. Only the rows in sight are in the page.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { asking, chosen, details, falling, list, opened, order, paused, search, sort, version,
	watching } from './store';
import type { Node, Row, Sort } from './model';
import { ago, bytes, country, flag, rate, unicode } from './text';

const ROW = 32, SPARE = 6;

export function VerdictMark({ v }: { v: string }) {
	const would = watching.value && v === 'deny' ? 'would deny' : v;
	const sign = v === 'allow' ? '✓' : v === 'deny' ? '✕' : v === 'mixed' ? '◐' : '·';
	return <span class={`verdict ${v}`}><span aria-hidden="true">{sign}</span> {
		v === 'undecided' || v === 'none' ? 'open' : would}</span>;
}

function toggle(key: string, to?: boolean) {
	const s = new Set(opened.value);
	if (to ?? !s.has(key))
		s.add(key);
	else
		s.delete(key);
	opened.value = s;
}

function Name({ node }: { node: Node }) {
	const other = node.kind === 'app' ? '' : unicode(node.label);
	const n = node.children.size;
	const path = node.kind === 'app' ? node.record?.actor.path : null;
	return <>
		<span class="label" title={path ?? node.label}>{node.label}</span>
		{other && <span class="also" dir="auto"> {other}</span>}
		{n > 0 && <span class="also"> {n} {node.kind === 'app'
			? n === 1 ? 'domain' : 'domains' : n === 1 ? 'host' : 'hosts'}</span>}
	</>;
}

function Line({ row, index, now, active }: { row: Row; index: number; now: number; active: boolean }) {
	const n = row.node, c = n.country;
	const mark = () => { chosen.value = n.key; };
	return <div role="row" id={`row-${index}`} class={`row ${n.kind}${active ? ' active' : ''}`}
		aria-rowindex={index + 2} aria-level={n.level} aria-posinset={row.place}
		aria-setsize={row.of} aria-selected={active}
		{...(n.children.size ? { 'aria-expanded': row.open } : {})}
		style={{ transform: `translateY(${index * ROW}px)` }}
		onClick={mark} onDblClick={() => { details.value = true; }}>
		<span role="gridcell" class={`c-name l${n.level}`}>
			{n.children.size > 0 ? <span class="twist" aria-hidden="true"
				onClick={() => toggle(n.key, !row.open)}>{row.open ? '▾' : '▸'}</span>
				: <span class="twist" aria-hidden="true"></span>}
			<Name node={n} />
		</span>
		<span role="gridcell" class="c-verdict"><VerdictMark v={n.verdict} /></span>
		<span role="gridcell" class="c-down">{n.rx ? bytes(n.rx) : '–'}</span>
		<span role="gridcell" class="c-up">{n.tx ? bytes(n.tx) : '–'}</span>
		<span role="gridcell" class="c-rate">{rate(n.rate)}</span>
		<span role="gridcell" class="c-where" title={c ? `likely in ${country(c)}` : ''}>
			{c && <span aria-hidden="true">{flag(c)}</span>} {c}</span>
		<span role="gridcell" class="c-last">{ago(n.last, now)}</span>
	</div>;
}

const HEADS: [Sort | null, string, string][] = [['name', 'c-name', 'Program / domain / host'],
	['verdict', 'c-verdict', 'Verdict'], ['down', 'c-down', 'Down'], ['up', 'c-up', 'Up'],
	['rate', 'c-rate', 'Rate'], [null, 'c-where', 'Where'], ['last', 'c-last', 'Last']];

function Head() {
	const by = (s: Sort) => {
		falling.value = sort.value === s ? !falling.value : s !== 'name' && s !== 'verdict';
		sort.value = s;
	};
	return <div role="row" class="row head" aria-rowindex={1}>{HEADS.map(([s, cls, text]) =>
		<span role="columnheader" class={cls} key={cls} aria-sort={s && sort.value === s
			? falling.value ? 'descending' : 'ascending' : 'none'}>
			{s ? <button tabIndex={-1} onClick={() => by(s)}>{text}<span aria-hidden="true">{
				sort.value === s ? falling.value ? ' ▾' : ' ▴' : ''}</span></button> : text}
		</span>)}</div>;
}

// what a key does in the tree; false: not ours
function press(key: string, shown: Row[], at: number, go: (i: number) => void): boolean {
	const row = shown[at], n = row?.node;
	switch (key) {
	case 'ArrowDown': case 'j': go(Math.min(at + 1, shown.length - 1)); return true;
	case 'ArrowUp': case 'k': go(Math.max(at - 1, 0)); return true;
	case 'PageDown': go(Math.min(at + 15, shown.length - 1)); return true;
	case 'PageUp': go(Math.max(at - 15, 0)); return true;
	case 'Home': go(0); return true;
	case 'End': go(shown.length - 1); return true;
	}
	if (!n)
		return false;
	switch (key) {
	case 'ArrowRight':
		if (n.children.size && !row.open)
			toggle(n.key, true);
		else if (n.children.size)
			go(at + 1);
		return true;
	case 'ArrowLeft':
		if (row.open)
			toggle(n.key, false);
		else if (n.parent)
			go(shown.findIndex(r => r.node === n.parent));
		return true;
	case 'Enter': details.value = true; return true;
	case 'a': asking.value = { node: n, action: 'allow' }; return true;
	case 'd': asking.value = { node: n, action: 'deny' }; return true;
	}
	return false;
}

function Nothing() {
	return search.value ? <p class="empty">Nothing fits “{search.value}”.</p>
		: <p class="empty">Nothing yet. Try <code>curl http://example.org</code> in a terminal,
			or open any program: what it contacts appears here.</p>;
}

export function Tree() {
	const began = performance.now();
	const box = useRef<HTMLDivElement>(null);
	const [top, setTop] = useState(0);
	const [height, setHeight] = useState(600);
	version.value;
	if (!paused.value)
		order.value;
	const shown = list.value, now = Date.now();
	const from = Math.max(0, Math.floor(top / ROW) - SPARE);
	const to = Math.min(shown.length, Math.ceil((top + height) / ROW) + SPARE);
	const at = shown.findIndex(r => r.node.key === chosen.value);
	const go = (i: number) => {
		const el = box.current!;
		chosen.value = shown[i]?.node.key ?? null;
		if (i * ROW < el.scrollTop)
			el.scrollTop = i * ROW;
		else if ((i + 2) * ROW > el.scrollTop + el.clientHeight)
			el.scrollTop = (i + 2) * ROW - el.clientHeight;
	};
	const onKey = (e: KeyboardEvent) => {
		if (e.ctrlKey || e.metaKey || e.altKey || !press(e.key, shown, at, go))
			return;
		e.preventDefault();
		e.stopPropagation();
	};
	useLayoutEffect(() => {
		performance.measure('render', { start: began });
	});
	useLayoutEffect(() => {
		const o = new ResizeObserver(() => setHeight(box.current!.clientHeight));
		o.observe(box.current!);
		return () => o.disconnect();
	}, []);
	return <div class="tree">
		<div ref={box} class="scroll" role="treegrid" tabIndex={0} aria-label="Traffic by program"
			aria-rowcount={shown.length + 1} aria-readonly="true"
			{...(at >= from && at < to ? { 'aria-activedescendant': `row-${at}` } : {})}
			onKeyDown={onKey} onScroll={e => setTop(e.currentTarget.scrollTop)}>
			<div role="rowgroup" class="heads"><Head /></div>
			<div role="rowgroup" class="body" style={{ height: `${shown.length * ROW}px` }}>
				{shown.slice(from, to).map((r, i) => <Line key={r.node.key} row={r}
					index={from + i} now={now} active={from + i === at} />)}
			</div>
			{shown.length === 0 && <div role="rowgroup"><div role="row"><div role="gridcell">
				<Nothing /></div></div></div>}
		</div>
	</div>;
}
