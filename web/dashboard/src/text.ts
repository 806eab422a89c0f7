// SPDX-License-Identifier: GPL-2.0-or-later
// Words for people. Names of hosts and programs come from outside: what could hide or
// turn text around is shown as what it is.

// controls, line separators, zero-width and bidirectional marks
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

export function safe(s: string | null | undefined): string {
	return (s ?? '').replace(HIDDEN, c =>
		'\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}

function adapt(delta: number, points: number, first: boolean): number {
	let k = 0;
	delta = first ? Math.floor(delta / 700) : delta >> 1;
	delta += Math.floor(delta / points);
	for (; delta > 455; k += 36)
		delta = Math.floor(delta / 35);
	return k + Math.floor(36 * delta / (delta + 38));
}

// RFC 3492 6.2; null where it is none
export function punycode(input: string): string | null {
	const split = input.lastIndexOf('-');
	const out = split > 0 ? [...input.slice(0, split)].map(c => c.charCodeAt(0)) : [];
	let n = 128, i = 0, bias = 72;
	for (let at = split > 0 ? split + 1 : 0; at < input.length;) {
		const old = i;
		for (let w = 1, k = 36; ; k += 36) {
			const c = input.charCodeAt(at++) | 32;
			const digit = c >= 97 && c <= 122 ? c - 97 : c >= 48 && c <= 57 ? c - 22 : -1;
			if (digit < 0 || at > input.length)
				return null;
			i += digit * w;
			const t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
			if (digit < t)
				break;
			w *= 36 - t;
			if (w > 0x7fffffff)
				return null;
		}
		bias = adapt(i - old, out.length + 1, old === 0);
		n += Math.floor(i / (out.length + 1));
		i %= out.length + 1;
		if (n > 0x10ffff || (n >= 0xd800 && n < 0xe000) || out.length > 63)
			return null;
		out.splice(i++, 0, n);
	}
	return String.fromCodePoint(...out);
}

// "xn--bcher-kva.example" -> "bücher.example"; '' where nothing is to be added
export function unicode(name: string): string {
	let any = false;
	const labels = name.split('.').map(l => {
		const u = /^xn--/i.test(l) ? punycode(l.slice(4)) : null;
		any ||= u !== null;
		return u ?? l;
	});
	return any ? safe(labels.join('.')) : '';
}

export function bytes(n: number): string {
	if (n < 1000)
		return `${Math.round(n)} B`;
	const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
	let u = -1;
	do {
		n /= 1000;
		u++;
	} while (n >= 999.5 && u < units.length - 1);
	return `${n < 9.95 ? n.toFixed(1) : Math.round(n)} ${units[u]}`;
}

export const rate = (n: number) => n < 0.5 ? '–' : `${bytes(n)}/s`;

export function ago(ms: number, now: number): string {
	const s = Math.max(0, Math.round((now - ms) / 1000));
	return !ms ? '–' : s < 3 ? 'now' : s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min`
		: s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

export function lasting(s: number): string {
	return s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min`
		: s < 86400 ? `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`
			: `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

export const clock = (ms: number) => new Date(ms).toLocaleTimeString();
// a time of day, with its date where it is not today's or the span is long
export function moment(ms: number, span: number): string {
	const d = new Date(ms), far = span > 43200000 || d.toDateString() !== new Date().toDateString();
	return far ? d.toLocaleString(undefined, { month: 'short', day: 'numeric', hour: '2-digit',
		minute: '2-digit' }) : clock(ms);
}
export const when = (iso: string | null) => iso ? new Date(iso).toLocaleString() : '–';

const names = typeof Intl !== 'undefined' && 'DisplayNames' in Intl
	? new Intl.DisplayNames(['en'], { type: 'region' }) : null;

export function country(code: string): string {
	try {
		return names?.of(code) ?? code;
	} catch {
		return safe(code);
	}
}

export function flag(code: string): string {
	return /^[A-Z]{2}$/.test(code)
		? String.fromCodePoint(...[...code].map(c => 0x1f1a5 + c.charCodeAt(0))) : '';
}

const REASONS: Record<string, string> = {
	none: 'not decided', rule: 'a rule', default: 'the default',
	cname: 'the answer led to a denied name', address: 'its address is denied',
	rebinding: 'a public name led to a private address',
	outside: 'asked from outside the guarded scope', self: 'Scupper itself',
	kernel: 'the kernel could not be told', upstream: 'no upstream answered',
	local: 'answered on this machine',
	'no-answer-opened-it': 'no approved answer opened this address',
	'bad-request': 'not a well-formed request', factory: 'a factory rule',
	'rule-removed': 'the rule that allowed it was removed',
};
export const why = (reason: string) => REASONS[reason] ?? safe(reason);
