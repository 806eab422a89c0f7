// SPDX-License-Identifier: GPL-2.0-or-later
import { effect, type Signal } from '@preact/signals';
import { kept } from './keep';

export type Theme = 'system' | 'light' | 'dark';
export const theme = kept('theme', 'system') as Signal<Theme>;
effect(() => {
	document.documentElement.dataset['theme'] = theme.value;
});

// A colour of the style sheet as the canvas needs it: light-dark() and the like resolved.
export function color(name: string): string {
	const probe = document.documentElement.appendChild(document.createElement('i'));
	probe.style.color = `var(${name})`;
	const c = getComputedStyle(probe).color;
	probe.remove();
	return c;
}
