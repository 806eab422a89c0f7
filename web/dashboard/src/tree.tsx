// SPDX-License-Identifier: GPL-2.0-or-later
// Program -> registrable domain -> host. Only the rows in sight are in the page.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { admin, asking, chosen, chosenAt, details, falling, list, search, sort, version,
	watching } from './store';
import { keys } from './keep';
import { SPARK_MS } from './node';
import { Line, toggle } from './row';
import type { Row, Sort } from './view';
import { ago } from './text';

const HIGH = 32, HIGH_NARROW = 68, HEAD_NARROW = 60, NARROW = 640, SPARE = 4, ROWS_MAX = 50;

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
	if (key.length === 1 && keys.value === 'off')
		return false;
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
	case 'a': case 'd':
		if (admin.value)
			asking.value = { node: n, action: key === 'a' ? 'allow' : 'deny' };
		return true;
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
	const [size, setSize] = useState({ height: 600, narrow: false });
	version.value;
	const shown = list.value, at = chosenAt.value, now = Date.now();
	const high = size.narrow ? HIGH_NARROW : HIGH, head = size.narrow ? HEAD_NARROW : HIGH;
	const from = Math.max(0, Math.min(Math.floor(top / high) - SPARE, shown.length - 1));
	const to = Math.min(shown.length, Math.ceil((top + size.height) / high) + SPARE, from + ROWS_MAX);
	const go = (i: number) => {
		const el = box.current!;
		chosen.value = shown[i]?.node.key ?? null;
		if (i * high < el.scrollTop)
			el.scrollTop = i * high;
		else if ((i + 1) * high + head > el.scrollTop + el.clientHeight)
			el.scrollTop = (i + 1) * high + head - el.clientHeight;
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
		const o = new ResizeObserver(() => setSize({ height: box.current!.clientHeight,
			narrow: box.current!.clientWidth < NARROW }));
		o.observe(box.current!);
		return () => o.disconnect();
	}, []);
	return <div class={`tree${size.narrow ? ' narrow' : ''}`}>
		<div ref={box} class="scroll" role="treegrid" tabIndex={0} aria-label="Traffic by program"
			aria-rowcount={shown.length + 1} aria-readonly="true"
			{...(at >= from && at < to ? { 'aria-activedescendant': `row-${at}` } : {})}
			onKeyDown={onKey} onScroll={e => setTop(e.currentTarget.scrollTop)}>
			<div role="rowgroup" class="heads"><Head /></div>
			<div role="rowgroup" class="body" style={{ height: `${shown.length * high}px` }}>
				{/* a row's place in the page is used again: nothing is moved, only text changes */}
				{shown.slice(from, to).map((r, i) => <Line key={(from + i) % ROWS_MAX} node={r.node}
					stamp={r.node.stamp} open={r.open} place={r.place} of={r.of} index={from + i}
					high={high} ago={ago(r.node.last, now)} at={now - now % SPARK_MS}
					active={from + i === at} watching={watching.value} />)}
			</div>
			{shown.length === 0 && <div role="rowgroup"><div role="row"><div role="gridcell">
				<Nothing /></div></div></div>}
		</div>
	</div>;
}
