// SPDX-License-Identifier: GPL-2.0-or-later
// The shared worker: one connection for all tabs (HTTP/1.1 allows six to a host, so the
// seventh tab would hang). Hidden tabs get no flows; they ask for all again when shown.
import { hub } from './hub';
import type { Told } from './types';

interface Tab { port: MessagePort; shown: boolean; seen: number }
const LOST_MS = 60000; // a tab says every 20 s that it is there
const tabs = new Set<Tab>();
let stop: (() => void) | null = null;
let hello: Told | null = null;
const QUIET = new Set(['hello', 'offline', 'resync', 'rules', 'filter']);

function tell(batch: Told[]) {
	for (const t of batch)
		hello = t.type === 'hello' ? t : t.type === 'offline' ? null : hello;
	const few = batch.filter(t => QUIET.has(t.type));
	for (const tab of tabs) {
		if (Date.now() - tab.seen > LOST_MS)
			tabs.delete(tab);
		else if (tab.shown || few.length)
			tab.port.postMessage(tab.shown ? batch : few);
	}
	rest();
}

function rest() {
	if (tabs.size === 0 && stop) {
		stop();
		stop = null;
		hello = null;
	}
}

(self as unknown as SharedWorkerGlobalScope).onconnect = e => {
	const tab: Tab = { port: e.ports[0]!, shown: true, seen: Date.now() };
	tab.port.onmessage = m => {
		tab.seen = Date.now();
		if (m.data === 'bye')
			tabs.delete(tab);
		else {
			tab.shown = m.data !== 'hidden';
			tabs.add(tab);
			stop ??= hub(tell);
		}
		rest();
	};
	tabs.add(tab);
	stop ??= hub(tell);
	if (hello)
		tab.port.postMessage([hello]);
};
