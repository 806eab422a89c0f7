// SPDX-License-Identifier: GPL-2.0-or-later
// Where the traffic goes, as far as addresses tell. The land is drawn once; the dots are
// a second canvas. A chunk of its own, loaded when the map is opened.
import { useEffect, useRef, useState } from 'preact/hooks';
import { geoNaturalEarth1, geoPath } from 'd3-geo';
import { feature } from 'topojson-client';
import type { Topology, GeometryCollection } from 'topojson-specification';
import world_ from 'virtual:world';
import places_ from 'virtual:places';
import { chosen, countryOnly, model, nodeOf, order, version } from './store';
import { bytes, country, flag } from './text';
import { color, theme } from './theme';

const world = world_ as unknown as Topology;
const places = places_ as Record<string, [number, number]>;
const lands = feature(world, world.objects['countries'] as GeometryCollection);

function sized(c: HTMLCanvasElement, w: number, h: number): CanvasRenderingContext2D {
	const dpr = devicePixelRatio || 1;
	c.width = w * dpr;
	c.height = h * dpr;
	const g = c.getContext('2d')!;
	g.scale(dpr, dpr);
	return g;
}

const projection = (w: number, h: number) => geoNaturalEarth1().fitExtent([[4, 4], [w - 4, h - 4]],
	{ type: 'Sphere' });

export interface Dot { code: string; bytes: number; x: number; y: number; r: number }

export function dots(list: [string, number][], w: number, h: number): Dot[] {
	const p = projection(w, h), most = Math.max(1, ...list.map(([, n]) => n));
	return list.flatMap(([code, n]) => {
		const at = places[code] && p(places[code]!);
		return at ? [{ code, bytes: n, x: at[0], y: at[1], r: 3 + 11 * Math.sqrt(n / most) }] : [];
	});
}

function drawDots(g: CanvasRenderingContext2D, all: Dot[], only: string) {
	const fill = color('--down'), edge = color('--text');
	for (const d of all) {
		g.beginPath();
		g.arc(d.x, d.y, d.r, 0, 2 * Math.PI);
		g.globalAlpha = only && only !== d.code ? 0.25 : 0.65;
		g.fillStyle = fill;
		g.fill();
		g.globalAlpha = 1;
		g.lineWidth = only === d.code ? 3 : 1;
		g.strokeStyle = edge;
		g.stroke();
	}
}

function Table({ list }: { list: [string, number][] }) {
	return <details class="as-table"><summary>Show as table</summary>
		<div class="scrolls" tabIndex={0} role="region" aria-label="Countries as table"><table>
			<thead><tr><th scope="col">Country</th><th scope="col">Bytes</th></tr></thead>
			<tbody>{list.map(([c, n]) => <tr key={c}><td><button class="link" aria-pressed={countryOnly.value === c}
				onClick={() => { countryOnly.value = countryOnly.value === c ? '' : c; }}>
				<span aria-hidden="true">{flag(c)}</span> {c} {country(c)}</button></td><td>{bytes(n)}</td></tr>)}
			</tbody></table></div></details>;
}

export function WorldMap() {
	const land = useRef<HTMLCanvasElement>(null), over = useRef<HTMLCanvasElement>(null);
	const [width, setWidth] = useState(0);
	const height = Math.round(width * 0.5), look = theme.value;
	version.value;
	order.value;
	const node = nodeOf(chosen.value);
	const list = model.value.places(node), all = width ? dots(list, width, height) : [];
	useEffect(() => {
		const box = land.current!.parentElement!;
		const o = new ResizeObserver(() => setWidth(Math.min(box.clientWidth, 800)));
		o.observe(box);
		return () => o.disconnect();
	}, []);
	useEffect(() => {
		if (!width)
			return;
		const draw = () => {
			const g = sized(land.current!, width, height), path = geoPath(projection(width, height), g);
			g.beginPath();
			path(lands);
			g.fillStyle = color('--land');
			g.fill();
			g.strokeStyle = color('--card');
			g.lineWidth = 0.5;
			g.stroke();
		};
		draw();
		const dark = matchMedia('(prefers-color-scheme: dark)');
		dark.addEventListener('change', draw);
		return () => dark.removeEventListener('change', draw);
	}, [width, look]);
	useEffect(() => {
		if (width)
			drawDots(sized(over.current!, width, height), all, countryOnly.value);
	});
	const click = (e: MouseEvent) => {
		let best: Dot | null = null, near = 20;
		for (const d of all) {
			const away = Math.hypot(d.x - e.offsetX, d.y - e.offsetY) - d.r;
			if (away < near) {
				near = away;
				best = d;
			}
		}
		countryOnly.value = best && best.code !== countryOnly.value ? best.code : '';
	};
	return <div class="world">
		<p class="also">{node ? `Only ${node.label}` : 'All programs'}: {list.length} {
			list.length === 1 ? 'country' : 'countries'}, likely. Click a dot to filter.</p>
		<div class="canvases" style={{ height: `${height}px` }} data-dots={JSON.stringify(all.map(d =>
			[d.code, Math.round(d.x), Math.round(d.y)]))}>
			<canvas ref={land} aria-hidden="true" style={{ width: `${width}px`, height: `${height}px` }} />
			<canvas ref={over} role="img" onClick={click} style={{ width: `${width}px`, height: `${height}px` }}
				aria-label={`Traffic by country; shown as table below. ${list.slice(0, 5).map(([c, n]) =>
					`${country(c)} ${bytes(n)}`).join(', ')}`} /></div>
		<Table list={list} />
	</div>;
}
