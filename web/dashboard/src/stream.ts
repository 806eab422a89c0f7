// SPDX-License-Identifier: GPL-2.0-or-later
// The tab's end of the one stream: through the shared worker, else the tab that holds a
// lock leads and the others listen to it.
import { hub } from './hub';
import type { Told } from './types';

declare const WORKER_URL: string;

function workerUrl(): string {
	const tt = (window as { trustedTypes?: {
		createPolicy(name: string, rules: { createScriptURL(u: string): string }):
			{ createScriptURL(u: string): string } } }).trustedTypes;
	if (!tt)
		return WORKER_URL;
	return tt.createPolicy('scupper', {
		createScriptURL(u) {
			if (u !== WORKER_URL)
				throw new TypeError('not a script of this page');
			return u;
		},
	}).createScriptURL(WORKER_URL);
}

function byWorker(tell: (batch: Told[]) => void) {
	const w = new SharedWorker(workerUrl(), { type: 'module', name: 'scupper' });
	const say = () => w.port.postMessage(document.hidden ? 'hidden' : 'shown');
	w.port.onmessage = e => tell(e.data);
	say();
	document.addEventListener('visibilitychange', () => {
		say();
		if (!document.hidden)
			tell([{ type: 'resync', data: '{}' }]);
	});
	setInterval(say, 20000);
	window.addEventListener('pagehide', () => w.port.postMessage('bye'));
	window.addEventListener('pageshow', e => {
		if (e.persisted) { // back from the browser's cache of pages
			say();
			tell([{ type: 'resync', data: '{}' }]);
		}
	});
}

function byLock(tell: (batch: Told[]) => void) {
	const channel = new BroadcastChannel('scupper');
	channel.onmessage = e => tell(e.data);
	const lead = () => hub(b => {
		tell(b);
		channel.postMessage(b);
	});
	if (navigator.locks)
		void navigator.locks.request('scupper-stream', () => {
			lead();
			return new Promise(() => {});
		});
	else
		lead();
}

export function listen(tell: (batch: Told[]) => void) {
	if (typeof SharedWorker === 'undefined')
		return byLock(tell);
	byWorker(tell);
}
