// SPDX-License-Identifier: GPL-2.0-or-later
// Rules made, removed, and taken back.
import { get, post, remove } from './api';
import { fail, rulesList, say } from './store';
import { safe } from './text';
import type { Page, Rule } from './types';

export async function loadRules() {
	rulesList.value = (await get<Page<Rule>>('rules')).items;
}

export async function addRule(text: string): Promise<boolean> {
	try {
		const r = await post<Rule>('rules', { text });
		await loadRules();
		say(`Rule made: ${safe(r.text)}`, async () => {
			await remove(`rules/${r.id}`);
			await loadRules();
			say('Taken back.');
		});
		return true;
	} catch (e) {
		fail(e);
		return false;
	}
}

export async function removeRule(r: Rule) {
	try {
		await remove(`rules/${r.id}`);
		await loadRules();
		say(`Removed: ${safe(r.text)}`, async () => {
			await post('rules', { text: r.text });
			await loadRules();
			say('It stands again.');
		});
	} catch (e) {
		fail(e);
	}
}
