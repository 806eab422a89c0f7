// SPDX-License-Identifier: GPL-2.0-or-later
// The first page: headline, chart, tree, details, map.
import { useState } from 'preact/hooks';
import type { ComponentType } from 'preact';
import { Chart, Spans } from './chart';
import { Details } from './details';
import { pastNote, setBrush } from './past';
import { brush, countryOnly, fail, live, points, verdictOnly, version, watching } from './store';
import { country, moment, rate } from './text';
import { Tree } from './tree';

function Headline() {
	version.value;
	const s = live.sums(), p = points.value[points.value.length - 1];
	const deny = verdictOnly.value === 'deny';
	return <div class="headline">
		<span class="figure"><b>{rate(p?.down ?? 0)}</b> down</span>
		<span class="figure"><b>{rate(p?.up ?? 0)}</b> up</span>
		<span class="figure"><b>{s.live}</b> open</span>
		<span class="figure"><b>{s.apps}</b> {s.apps === 1 ? 'program' : 'programs'}</span>
		<button class="figure" aria-pressed={deny}
			onClick={() => { verdictOnly.value = deny ? '' : 'deny'; }}>
			<b>{s.denied}</b> {watching.value ? 'would be denied' : 'denied'}</button>
		<Spans />
	</div>;
}

function Chip({ text, off }: { text: string; off(): void }) {
	return <span class="chip">{text} <button aria-label={`Remove filter: ${text}`} onClick={off}>✕</button></span>;
}

function Filters() {
	const b = brush.value;
	if (!b && !countryOnly.value && !verdictOnly.value)
		return null;
	return <div class="chips" role="group" aria-label="Filters">
		{b && <Chip text={`${moment(b[0], b[1] - b[0])} to ${moment(b[1], b[1] - b[0])}`}
			off={() => void setBrush(null)} />}
		{b && pastNote.value && <span class="also" role="status">{pastNote.value}</span>}
		{countryOnly.value && <Chip text={`likely in ${country(countryOnly.value)}`}
			off={() => { countryOnly.value = ''; }} />}
		{verdictOnly.value && <Chip text={`only ${verdictOnly.value}`}
			off={() => { verdictOnly.value = ''; }} />}
	</div>;
}

function MapBox() {
	const [Loaded, setLoaded] = useState<{ view: ComponentType } | null>(null);
	return <details class="card map" onToggle={e => {
		if (e.currentTarget.open && !Loaded)
			import('./map').then(m => setLoaded({ view: m.WorldMap }), fail);
	}}><summary>Map</summary>{Loaded ? <Loaded.view /> : <p class="also">Loading…</p>}</details>;
}

export function Now() {
	return <main class="now" id="main"><h1 class="hidden">Now</h1>
		<Headline /><Chart /><Filters />
		<div class="split"><Tree /><Details /></div>
		<MapBox /></main>;
}
