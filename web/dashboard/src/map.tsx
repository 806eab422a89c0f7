// SPDX-License-Identifier: GPL-2.0-or-later
// Where the traffic goes, as far as addresses tell. The land is drawn once; the dots are
// a second canvas. A chunk of its own, loaded when the map is opened.
import { useEffect, useRef, useState } from 'preact/hooks';
import { geoNaturalEarth1, geoPath } from 'd3-geo';
import { feature } from 'topojson-client';
import type { Topology, GeometryCollection } from 'topojson-specification';
import world_ from 'virtual:world';
import places_ from 'virtual:places';
import { home } from './keep';
import type { Node } from './node';
import { places as sums, placesOf } from './past';
import { brush, chosen, countryOnly, list as rows, model, nodeOf, status, version } from './store';
import { bytes, country, flag, safe } from './text';
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

// from home, the great circle to each
function drawArcs(g: CanvasRenderingContext2D, all: Dot[], home: string, only: string, w: number, h: number) {
	const from = places[home], path = geoPath(projection(w, h), g);
	if (!from)
		return;
	g.strokeStyle = color('--up');
	for (const d of all) {
		if (d.code === home || (only && only !== d.code))
			continue;
		g.beginPath();
		path({ type: 'LineString', coordinates: [from, places[d.code]!] });
		g.globalAlpha = 0.75;
		g.lineWidth = 0.5 + d.r / 5;
		g.stroke();
	}
	g.globalAlpha = 1;
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

function Home() {
	const all = Object.keys(places).map((c): [string, string] => [c, country(c)])
		.sort((a, b) => a[1].localeCompare(b[1]));
	return <label>Arcs from <select value={home.value} onChange={e => { home.value = e.currentTarget.value; }}>
		<option value="">nowhere</option>
		{all.map(([c, t]) => <option key={c} value={c}>{t}</option>)}</select></label>;
}

// who is to be thanked: DB-IP's licence wants a link where its data are shown
function Credit() {
	const file = status.value?.geo?.country ?? null;
	return <p class="also credit">{file && <>Countries: {safe(file)}. </>}
		{file && /db-?ip/i.test(file) && <><a href="https://db-ip.com" rel="noreferrer">
			IP Geolocation by DB-IP</a>. </>}
		{file && /geolite/i.test(file) && <>GeoLite2 data by <a href="https://www.maxmind.com"
			rel="noreferrer">MaxMind</a>. </>}
		A country is a hint, not a fact. Map: Natural Earth.</p>;
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

// of the brushed span the history's sums, of now what this page has counted
function useList(node: Node | null): [string, number][] {
	const b = brush.value, app = node?.kind === 'app' ? node.record?.actor.path ?? null : null;
	const [of, setOf] = useState<{ b: unknown; app: string; list: [string, number][] } | null>(null);
	useEffect(() => {
		if (b && app)
			placesOf(app, b).then(list => list && setOf({ b, app, list }), () => setOf(null));
	}, [b, app]);
	if (b && !node && sums.value)
		return sums.value;
	return b && of && of.b === b && of.app === app ? of.list : model.value.places(node);
}

export function WorldMap() {
	const land = useRef<HTMLCanvasElement>(null), over = useRef<HTMLCanvasElement>(null);
	const [width, setWidth] = useState(0);
	const height = Math.round(width * 0.5), look = theme.value;
	version.value;
	rows.value;
	const node = nodeOf(chosen.value);
	const list = useList(node), all = width ? dots(list, width, height) : [];
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
		if (!width)
			return;
		const g = sized(over.current!, width, height);
		drawArcs(g, all, home.value, countryOnly.value, width, height);
		drawDots(g, all, countryOnly.value);
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
			list.length === 1 ? 'country' : 'countries'}, likely{brush.value ? ', in the span picked' : ''
		}. Click a dot to filter. <Home /></p>
		<div class="canvases" style={{ height: `${height}px` }} data-dots={JSON.stringify(all.map(d =>
			[d.code, Math.round(d.x), Math.round(d.y)]))}>
			<canvas ref={land} aria-hidden="true" style={{ width: `${width}px`, height: `${height}px` }} />
			<canvas ref={over} role="img" onClick={click} style={{ width: `${width}px`, height: `${height}px` }}
				aria-label={`Traffic by country; shown as table below. ${list.slice(0, 5).map(([c, n]) =>
					`${country(c)} ${bytes(n)}`).join(', ')}`} /></div>
		<Table list={list} />
		<Credit />
	</div>;
}
