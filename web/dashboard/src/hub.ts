// SPDX-License-Identifier: GPL-2.0-or-later
// One event stream, handed on in batches. Runs in the shared worker, or in the tab that
// leads where there is none. A stream that broke is opened anew; the browser's own retry
// gives up on an HTTP error, so both are watched here. When the browser comes back by itself
// it says what it had last, and the daemon tells what was missed since, or says resync; a
// source made anew knows nothing, and after a restart of the core all is other.
import type { Told } from './types';

const TYPES = ['hello', 'query', 'flow', 'flows', 'stats', 'rules', 'rule', 'filter', 'notice',
	'resync'];
const STREAM = '/api/v1/events';
const BATCH_MS = 100, AGAIN_MS = 2000;

export function hub(tell: (batch: Told[]) => void): () => void {
	let source: EventSource | null = null, batch: Told[] = [], timer = 0, down = false;
	let last = '';

	const flush = () => {
		timer = 0;
		const b = batch;
		batch = [];
		tell(b);
	};
	const add = (t: Told) => {
		batch.push(t);
		timer ||= setTimeout(flush, BATCH_MS) as unknown as number;
	};
	const open = () => {
		const s = new EventSource(STREAM);
		source = s;
		let blank = down, id = ''; // blank: it cannot say what came last
		for (const type of TYPES)
			s.addEventListener(type, e => {
				if (blank || (last && type === 'hello' && last !== e.data))
					add({ type: 'resync', data: '{}' });
				blank = false;
				id = e.lastEventId;
				if (type === 'hello')
					last = e.data;
				down = false;
				add({ type, data: e.data });
			});
		s.onerror = () => {
			if (!down)
				add({ type: 'offline', data: '{}' });
			down = true;
			blank ||= !id;
			if (s.readyState === EventSource.CLOSED && s === source)
				setTimeout(() => s === source && open(), AGAIN_MS);
		};
	};
	open();
	return () => {
		source?.close();
		source = null;
	};
}
