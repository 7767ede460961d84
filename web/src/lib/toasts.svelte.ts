// Short news that belongs to no place on screen. Never the only copy of anything.

import type { State } from './agents.ts';

export interface Toast {
  id: number;
  glyph: State;
  title: string;
  text: string;
}

const STAYS = 8000; // long enough to read two lines twice

class Toasts {
  list = $state<Toast[]>([]);
  #next = 1;

  show(glyph: State, title: string, text = ''): void {
    const id = this.#next++;
    this.list = [...this.list.slice(-2), { id, glyph, title, text }];
    setTimeout(() => this.close(id), STAYS);
  }

  close(id: number): void {
    this.list = this.list.filter((t) => t.id !== id);
  }
}

export const toasts = new Toasts();
