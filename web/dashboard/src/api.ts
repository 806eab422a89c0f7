// SPDX-License-Identifier: GPL-2.0-or-later
// Requests to the daemon. Every failure is an Error whose message can be shown.
export class Refused extends Error {
	constructor(readonly status: number, message: string) { super(message); }
}

async function said(r: Response): Promise<string> {
	try {
		const p = await r.json();
		return String(p.detail ?? p.title ?? r.status);
	} catch {
		return `the daemon answered ${r.status}`;
	}
}

async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
	const r = await fetch('/api/v1/' + path, {
		method, credentials: 'same-origin', cache: 'no-store',
		// a header that no foreign page can send unasked
		headers: method === 'GET' ? {} : { 'Content-Type': 'application/json', 'X-Scupper': '1' },
		body: body === undefined ? null : JSON.stringify(body),
	});
	if (!r.ok)
		throw new Refused(r.status, await said(r));
	return (r.status === 204 ? undefined : await r.json()) as T;
}

export const get = <T>(path: string) => send<T>('GET', path);
export const post = <T>(path: string, body: unknown) => send<T>('POST', path, body);
export const patch = <T>(path: string, body: unknown) => send<T>('PATCH', path, body);
export const put = <T>(path: string, body: unknown) => send<T>('PUT', path, body);
export const remove = (path: string) => send<void>('DELETE', path);
