// SPDX-License-Identifier: GPL-2.0-or-later
// What the browser remembers of this page. Storage switched off: for this visit only.
import { effect, type Signal, signal } from '@preact/signals';

export function kept(name: string, first: string): Signal<string> {
	let was: string | null = null;
	try {
		was = localStorage.getItem(name);
	} catch { /* as above */ }
	const s = signal(was ?? first);
	effect(() => {
		try {
			localStorage.setItem(name, s.value);
		} catch { /* as above */ }
	});
	return s;
}

// Shortcuts of one key can be switched off (WCAG 2.1.4): a voice or a slip types letters.
export const keys = kept('keys', 'on');
export const home = kept('home', ''); // the country that the map's arcs begin in
