// SPDX-License-Identifier: GPL-2.0-or-later
// The API's objects, as far as this page reads them (web/openapi.json has all).
export type Verdict = 'none' | 'allow' | 'deny' | 'ask' | 'undecided';
export interface Actor {
	id: number; path: string | null; pid: number | null; uid: number; how: string;
	believed?: boolean; process?: string | null;
}
export interface Applied { id: number; text: string }
interface Decided {
	id: number; actor: Actor; name: string | null; domain?: string | null;
	verdict: Verdict; rule: Applied | null; reason: string; watched?: boolean;
	first?: boolean;
}
export interface Flow extends Decided {
	start: string; end: string | null; state: string; address: string | null;
	port: number | null; proto: string; direction: string; country: string | null;
	as: { number: number; name: string | null } | null;
	rx: number | null; tx: number | null;
}
export interface Query extends Decided {
	time: string; type: string; rcode: string | null; answers: string[]; ms: number | null;
	cached: boolean; cname?: string | null;
}
export interface App {
	id: number; path: string | null; name: string | null; uid: number;
	user: string | null; parents: string[]; unit: string | null; package: string | null;
	sha256: string | null; denied: number; last: string | null;
}
export interface Rule {
	id: number; text: string; action: Verdict; enabled: boolean; source: string;
	file: string | null; line: number | null; created: string | null;
	changed: string | null; last_used: string | null; hits: number;
	expires: string | null;
}
export interface Status {
	version: string; core: string; instance: string | null; mode: string | null;
	default: string | null; scope: string | null; when_down: string | null;
	uptime_s: number | null;
	identity: { mode: string; limits?: string | null; why: string | null; not_attributed?: string | null } | null;
	upstreams: { name: string; sent: number; failed: number; last_ok: string | null; dead?: boolean; fallback?: boolean; why?: string | null }[];
	sets: Record<string, number | boolean> | null;
	counters: Record<string, number> | null; rule_errors: string | null;
	filter?: { mode?: string; enabled?: boolean; until?: string | null } | string | null;
	accounting?: boolean | null; geo?: { country: string | null } | null;
	history?: { error: string | null; unread: string | null; lost: number } | null;
	link_errors: number;
}
export interface Me { uid: number; user?: string | null; role?: 'admin' | 'reader'; version?: string; boot?: string }
export interface Page<T> { items: T[]; next: string | null }
export interface Point { t: number; down: number; up: number; flows: number; denied: number }
// sums over a span of time
export interface Sum { path: string | null; uid: number; rx: number; tx: number; flows: number;
	denied: number; last: string | null }
export interface Country { country: string | null; rx: number; tx: number; flows: number;
	denied: number }
// what the stream brings, as the worker hands it on
export interface Told { type: string; data: string }
