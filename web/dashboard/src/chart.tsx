// SPDX-License-Identifier: GPL-2.0-or-later
// Traffic over time. Dragging over it is a brush: the tree then shows that span alone.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { loadPoints, setBrush, SPANS, stepOf } from './past';
import { brush, fail, paused, points, span } from './store';
import { bytes, moment, rate } from './text';
import { color, theme } from './theme';

// the time of day, with seconds or the date where these tell more
function marks(_u: uPlot, at: number[]): string[] {
	return at.map((s, i) => {
		const d = new Date(s * 1000);
		return span.value > 86400 || (span.value > 3600 && i === 0)
			? d.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
			: d.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit',
				...(span.value <= 60 ? { second: '2-digit' } : {}) });
	});
}

function paint(width: number): uPlot.Options {
	const axis = { stroke: color('--dim'), grid: { stroke: color('--line'), width: 1 },
		ticks: { stroke: color('--line'), width: 1 }, font: '12px system-ui' };
	const area = (label: string, c: string) => ({ label, stroke: color(c), width: 1.5,
		fill: color(c + '-fill'), points: { show: false },
		value: (_: uPlot, v: number | null) => v == null ? '–' : rate(v) });
	return {
		width, height: 150, padding: [8, 8, 0, 0], legend: { live: true },
		cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
		scales: { x: { range: () => [Date.now() / 1000 - span.value, Date.now() / 1000] },
			y: { range: (_u, _a, max) => [0, Math.max(max * 1.1, 1000)] },
			n: { range: (_u, _a, max) => [0, Math.max(max * 3, 4)] } },
		axes: [{ ...axis, values: marks, space: 80, size: 32 }, { ...axis, size: 64, values: (_u, vs) => vs.map(v => v ? bytes(v) : '0') }],
		series: [{ value: (_: uPlot, v: number | null) => v == null ? '–' : moment(v * 1000, span.value * 1000) },
			area('Down', '--down'), area('Up', '--up'),
			{ label: 'Denied', scale: 'n', value: (_: uPlot, v: number | null) => v == null ? '–' : String(v), stroke: color('--deny'), fill: color('--deny'),
				paths: uPlot.paths.bars!({ size: [0.5, 6, 1] }), points: { show: false } }],
		hooks: { setSelect: [u => {
			if (u.select.width < 4)
				return;
			const at = (px: number) => u.posToVal(px, 'x') * 1000;
			void setBrush([at(u.select.left), at(u.select.left + u.select.width)]);
		}] },
	};
}

// a step that nobody counted is a gap, not a slope
function columns(): uPlot.AlignedData {
	const gap = stepOf(span.value) * 2.5, none = { down: null, up: null, denied: null };
	const p = points.value.flatMap((x, i, all) => {
		const before = all[i - 1];
		return before && x.t - before.t > gap ? [{ ...none, t: before.t + gap / 2 }, x] : [x];
	});
	return [p.map(x => x.t), p.map(x => x.down), p.map(x => x.up), p.map(x => x.denied || null)] as
		uPlot.AlignedData;
}

// the last ones, or all in at most thirty steps
function Table() {
	const p = points.value, step = Math.max(1, Math.ceil(p.length / 30));
	const lines = p.filter((_, i) => i % step === 0).map((x, i) => {
		const group = p.slice(i * step, (i + 1) * step);
		const mean = (f: (o: typeof x) => number) => group.reduce((s, o) => s + f(o), 0) / group.length;
		return { from: x.t, to: group[group.length - 1]!.t, down: mean(o => o.down),
			up: mean(o => o.up), denied: group.reduce((s, o) => s + o.denied, 0) };
	}).reverse();
	return <details class="as-table"><summary>Show as table</summary>
		<div class="scrolls" tabIndex={0} role="region" aria-label="Traffic as table"><table>
			<thead><tr><th scope="col">From</th><th scope="col">Down</th><th scope="col">Up</th>
				<th scope="col">Denied</th><th scope="col">Filter</th></tr></thead>
			<tbody>{lines.map(l => <tr key={l.from}><td>{moment(l.from * 1000, span.value * 1000)}</td>
				<td>{rate(l.down)}</td><td>{rate(l.up)}</td><td>{l.denied}</td>
				<td><button onClick={() => void setBrush([l.from * 1000,
					(l.to + stepOf(span.value)) * 1000 - 1])}>
					only this</button></td></tr>)}</tbody></table></div></details>;
}

export function Spans() {
	const set = (s: number) => {
		span.value = s;
		points.value = [];
		loadPoints().catch(fail);
	};
	return <div class="spans" role="group" aria-label="Span of the chart">{SPANS.map(([s, t]) =>
		<button key={t} aria-pressed={span.value === s} onClick={() => set(s)}>{t}</button>)}
		<button class="pause" aria-pressed={paused.value} title="Space"
			onClick={() => { paused.value = !paused.value; }}>{
				paused.value ? 'Paused' : 'Pause'}</button></div>;
}

export function Chart() {
	const box = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | null>(null);
	const drawn = useRef(0); // the span that is shown; 0: what comes is to be drawn
	const look = theme.value;
	useEffect(() => {
		const el = box.current!;
		const make = () => {
			plot.current?.destroy();
			plot.current = new uPlot(paint(el.clientWidth), columns(), el);
		};
		make();
		const sizes = new ResizeObserver(() =>
			plot.current?.setSize({ width: el.clientWidth, height: 150 }));
		sizes.observe(el);
		const dark = matchMedia('(prefers-color-scheme: dark)');
		dark.addEventListener('change', make);
		return () => {
			sizes.disconnect();
			dark.removeEventListener('change', make);
			plot.current?.destroy();
		};
	}, [look]);
	const data = points.value, still = paused.value || brush.value !== null, wide = span.value;
	useEffect(() => {
		if (!still || drawn.current !== wide)
			plot.current?.setData(columns());
		drawn.current = data.length ? wide : 0;
	}, [data, still, wide]);
	const b = brush.value;
	useEffect(() => {
		const u = plot.current;
		if (!u)
			return;
		const left = b ? u.valToPos(b[0] / 1000, 'x') : 0;
		u.setSelect({ left, top: 0, width: b ? u.valToPos(b[1] / 1000, 'x') - left : 0,
			height: b ? u.over.clientHeight : 0 }, false);
	}, [b, data, look]);
	return <section class="chart" aria-label="Traffic over time">
		<div ref={box} class="plot" role="img"
			aria-label="Bytes a second down and up, and denials; shown as table below"></div>
		<Table />
	</section>;
}
