// SPDX-License-Identifier: GPL-2.0-or-later
// The text of a rule made by click (scupper-rules(5)).
export type Width = 'host' | 'domain' | 'registrable' | 'any';
export interface Target { path: string | null; uid: number | null; name: string | null;
	address: string | null; domain: string | null; inbound?: boolean }
export interface Choice { action: 'allow' | 'deny'; width: Width; life: string; who: 'user' | 'everyone' }

export function quoted(s: string): string {
	return /^[^\s"#\\]+$/.test(s) ? s : '"' + s.replace(/[\\"]/g, '\\$&') + '"';
}

// the parent that stands between the host and its registrable domain, or null
export function parent(name: string, domain: string | null): string | null {
	const up = name.slice(name.indexOf('.') + 1);
	return domain && name !== domain && up !== domain && up.endsWith('.' + domain)
		? up : null;
}

export function what(t: Target, width: Width): string | null {
	switch (width) {
	case 'host': return t.name ?? t.address;
	case 'domain': {
		const up = t.name ? parent(t.name, t.domain) : null;
		return up ? '.' + up : null;
	}
	case 'registrable': return t.domain && t.name ? '.' + t.domain : null;
	case 'any': return 'any';
	}
}

export function ruleText(t: Target, c: Choice): string {
	const who = t.path === null ? 'unknown'
		: quoted(t.path) + (c.who === 'user' && t.uid !== null ? `+uid:${t.uid}` : '');
	const life = c.life === 'forever' ? '' : ` for ${c.life}`;
	return `${c.action} ${who} ${what(t, c.width) ?? 'any'}${t.inbound ? ' in' : ''}${life}`;
}
