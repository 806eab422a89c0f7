// SPDX-License-Identifier: GPL-2.0-or-later
// Builds dist/: hashed names, a .gz beside each file, index.html. Needs no network.
import * as esbuild from 'esbuild';
import { geoArea, geoCentroid } from 'd3-geo';
import { feature } from 'topojson-client';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync,
	writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, gzipSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const place = process.env.DASHBOARD_OUT || join(here, 'dist');
// built beside, so that a build that fails or is under way takes no dashboard away
const out = place + '.new';
const shapes = n => JSON.parse(readFileSync(join(here,
	`node_modules/world-atlas/countries-${n}.json`), 'utf8'));

// A dot for each country, those included that are too small for the drawn shapes: the
// middle of its largest part (so that France is not in the Atlantic). A code may have more
// than one shape (islands of Australia's).
function places() {
	const world = shapes('50m');
	const codes = JSON.parse(readFileSync(join(here, 'src/iso.json'), 'utf8'));
	const own = { GI: [-5.35, 36.14], TK: [-171.8, -9.2], TV: [179.2, -8.5],
		BQ: [-68.27, 12.18], GF: [-53, 4], GP: [-61.5, 16.2], MQ: [-61, 14.6],
		RE: [55.5, -21.1], YT: [45.2, -12.8], XK: [20.9, 42.6], SJ: [16, 78.5],
		CX: [105.7, -10.5], CC: [96.9, -12.2], UM: [166.6, 19.3], BV: [3.4, -54.4] };
	const dots = {}, largest = {};
	for (const f of feature(world, world.objects.countries).features) {
		const code = codes[f.id];
		if (!code)
			continue;
		const parts = f.geometry.type === 'Polygon' ? [f.geometry.coordinates]
			: f.geometry.coordinates;
		for (const coordinates of parts) {
			const part = { type: 'Polygon', coordinates }, area = geoArea(part);
			if (area > (largest[code] ?? -1)) {
				largest[code] = area;
				dots[code] = geoCentroid(part).map(x => Math.round(x * 10) / 10);
			}
		}
	}
	return { ...dots, ...own };
}

const plugin = {
	name: 'places',
	setup(build) {
		build.onResolve({ filter: /^virtual:/ },
			a => ({ path: a.path, namespace: 'virtual' }));
		build.onLoad({ filter: /places/, namespace: 'virtual' },
			() => ({ contents: JSON.stringify(places()), loader: 'json' }));
		// the outline of all land together is in the file, too: not drawn
		build.onLoad({ filter: /world/, namespace: 'virtual' }, () => {
			const world = shapes('110m');
			delete world.objects.land;
			return { contents: JSON.stringify(world), loader: 'json' };
		});
	},
};

const common = {
	absWorkingDir: here, bundle: true, minify: true, format: 'esm', target: 'es2022',
	outdir: join(out, 'assets'), entryNames: '[name]-[hash]', chunkNames: '[name]-[hash]',
	metafile: true, legalComments: 'none', plugins: [plugin], jsx: 'automatic',
	jsxImportSource: 'preact', logLevel: 'warning', charset: 'utf8',
};
const made = (r, entry, ext) => basename(Object.entries(r.metafile.outputs)
	.find(([file, o]) => o.entryPoint === entry && file.endsWith(ext))[0]);

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'assets'), { recursive: true });
const worker = await esbuild.build({ ...common, entryPoints: ['src/worker.ts'] });
const main = await esbuild.build({
	...common, entryPoints: ['src/main.tsx'], splitting: true,
	define: { WORKER_URL: JSON.stringify('/assets/' + made(worker, 'src/worker.ts', '.js')) },
});
const style = await esbuild.build({ ...common, entryPoints: ['src/style.css'] });
writeFileSync(join(out, 'index.html'), readFileSync(join(here, 'index.html'), 'utf8')
	.replace('@MAIN@', '/assets/' + made(main, 'src/main.tsx', '.js'))
	.replace('@STYLE@', '/assets/' + made(style, 'src/style.css', '.css')));

for (const file of [join(out, 'index.html'),
	...readdirSync(join(out, 'assets')).map(f => join(out, 'assets', f))]) {
	const bytes = readFileSync(file);
	const packed = gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION });
	writeFileSync(file + '.gz', packed);
	console.log(`${basename(file)}: ${bytes.length} bytes, ${packed.length} compressed`);
}
rmSync(place, { recursive: true, force: true });
renameSync(out, place);
