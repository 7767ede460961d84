// Which ends this device has seen: what finished stays under "Done, unseen" until somebody looked at it here.

import { SvelteMap } from 'svelte/reactivity';
import { endMark } from './agents.ts';
import type { Agent } from './types.ts';

const KEY = 'regatta.seen';
const KEEP = 2000; // ends remembered; the oldest are forgotten first

class Seen {
  #marks = new SvelteMap<string, string>();

  constructor() {
    try {
      for (const [uid, mark] of JSON.parse(localStorage.getItem(KEY) ?? '[]') as [string, string][]) this.#marks.set(uid, mark);
    } catch {
      // Unreadable storage: everything counts as unseen, which hides nothing.
    }
  }

  has(agent: Agent): boolean {
    const mark = endMark(agent);
    return mark === undefined || this.#marks.get(agent.metadata.uid ?? '') === mark;
  }

  add(agent: Agent): void {
    const mark = endMark(agent);
    const uid = agent.metadata.uid;
    if (mark === undefined || uid === undefined || this.#marks.get(uid) === mark) return;
    this.#marks.set(uid, mark);
    try {
      localStorage.setItem(KEY, JSON.stringify([...this.#marks].slice(-KEEP)));
    } catch {
      // Full or forbidden storage: seen as long as the page lives.
    }
  }
}

export const seen = new Seen();
