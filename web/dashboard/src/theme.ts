// SPDX-License-Identifier: GPL-2.0-or-later
import { effect, signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';
const kept = () => {
	try {
		return localStorage.getItem('theme') as Theme | null;
	} catch {
		return null; // storage switched off: for this visit only
	}
};
export const theme = signal<Theme>(kept() ?? 'system');
effect(() => {
	document.documentElement.dataset['theme'] = theme.value;
	try {
		localStorage.setItem('theme', theme.value);
	} catch { /* as above */ }
});

// A colour of the style sheet as the canvas needs it: light-dark() and the like resolved.
export function color(name: string): string {
	const probe = document.documentElement.appendChild(document.createElement('i'));
	probe.style.color = `var(${name})`;
	const c = getComputedStyle(probe).color;
	probe.remove();
	return c;
}
