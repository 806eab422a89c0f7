// SPDX-License-Identifier: GPL-2.0-or-later
// One row of the tree. Drawn again only when something that it shows has changed.
import { Component } from 'preact';
import { opened, watching, chosen, details } from './store';
import { sparkPath, type Node } from './node';
import { bytes, country, flag, rate, unicode } from './text';

export function VerdictMark({ v }: { v: string }) {
	const would = watching.value && v === 'deny' ? 'would deny' : v;
	const sign = v === 'allow' ? '✓' : v === 'deny' ? '✕' : v === 'mixed' ? '◐' : '·';
	return <span class={`verdict ${v}`}><span aria-hidden="true">{sign}</span> {
		v === 'undecided' || v === 'none' ? 'open' : would}</span>;
}

export function toggle(key: string, to?: boolean) {
	const s = new Set(opened.value);
	if (to ?? !s.has(key))
		s.add(key);
	else
		s.delete(key);
	opened.value = s;
}

// what is known of the bytes: nothing where no connection is counted by the kernel
export const moved = (n: Node, b: number) => n.counted || b ? bytes(b) : '–';

export function Spark({ node, at }: { node: Node; at: number }) {
	const d = sparkPath(node.spark(at));
	return <svg class="spark" viewBox="0 0 60 16" preserveAspectRatio="none" aria-hidden="true">
		{d && <path d={d} />}</svg>;
}

function Name({ node }: { node: Node }) {
	const other = node.kind === 'app' ? '' : unicode(node.label);
	const n = node.children.size;
	const path = node.kind === 'app' ? node.record?.actor.path : null;
	return <span class="name" title={path ?? node.label}>
		<span class="label">{node.label}</span>
		{other && <span class="also" dir="auto"> {other}</span>}
		{n > 0 && <span class="also"> {n} {node.kind === 'app'
			? n === 1 ? 'domain' : 'domains' : n === 1 ? 'host' : 'hosts'}</span>}
	</span>;
}

export interface Shown {
	node: Node; stamp: number; open: boolean; place: number; of: number; index: number;
	high: number; ago: string; at: number; active: boolean; watching: boolean;
}

export class Line extends Component<Shown> {
	shouldComponentUpdate(next: Shown) {
		const now = this.props;
		for (const k in next)
			if (now[k as keyof Shown] !== next[k as keyof Shown])
				return true;
		return false;
	}

	render() {
		const { node: n, index, high, open } = this.props, c = n.country, many = n.children.size > 0;
		return <div role="row" id={`row-${index}`} class={`row ${n.kind}${this.props.active ? ' active' : ''}`}
			aria-rowindex={index + 2} aria-level={n.level} aria-posinset={this.props.place}
			aria-setsize={this.props.of} aria-selected={this.props.active}
			{...(many ? { 'aria-expanded': open } : {})}
			style={{ transform: `translateY(${index * high}px)` }}
			onClick={() => { chosen.value = n.key; }} onDblClick={() => { details.value = true; }}>
			<span role="gridcell" class={`c-name l${n.level}`}>
				<span class="twist" aria-hidden="true" onClick={many ? () => toggle(n.key, !open) : undefined}>{
					many ? open ? '▾' : '▸' : ''}</span>
				<Name node={n} />
			</span>
			<span role="gridcell" class="c-verdict"><VerdictMark v={n.verdict} /></span>
			<span role="gridcell" class="c-down">{moved(n, n.rx)}</span>
			<span role="gridcell" class="c-up">{moved(n, n.tx)}</span>
			<span role="gridcell" class="c-rate"><Spark node={n} at={this.props.at} /><span>{rate(n.rate)}</span></span>
			<span role="gridcell" class="c-where" title={c ? `likely in ${country(c)}` : ''}>
				{c && <span aria-hidden="true">{flag(c)}</span>} {c}</span>
			<span role="gridcell" class="c-last">{this.props.ago}</span>
		</div>;
	}
}
