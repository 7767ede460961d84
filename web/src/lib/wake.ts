// The wake: sixty bars, one a minute. Height is output on a log scale, form is state. Gives SVG paths in a 179 × 16 box.

import type { WakeBar } from './types.ts';

export const WAKE_WIDTH = 179; // 60 bars of 2 with gaps of 1
export const WAKE_HEIGHT = 16;
const BARS = 60;
const STEP = 3;
const BASE = 1.5; // what a minute without output keeps, so that time stays visible
const FULL = Math.log2(1 + 256 * 1024); // a minute this busy fills the bar

export interface WakePaths {
  idle: string;
  working: string;
  needs: string;
  limited: string;
  end: string;
}

function height(bytes: number): number {
  if (bytes <= 0) return BASE;
  const h = BASE + (WAKE_HEIGHT - BASE) * Math.min(1, Math.log2(1 + bytes) / FULL);
  return Math.round(h * 2) / 2;
}

function box(x: number, y: number, w: number): string {
  return `M${x} ${y}h${w}v${WAKE_HEIGHT - y}h-${w}z`;
}

export function wakePaths(bars: readonly WakeBar[]): WakePaths {
  const last = bars.slice(-BARS);
  const first = BARS - last.length; // younger than an hour: the left stays empty
  const paths: WakePaths = { idle: '', working: '', needs: '', limited: '', end: '' };
  for (let i = 0; i < last.length; ) {
    const bar = last[i];
    if (bar === undefined) break;
    const x = (first + i) * STEP;
    let run = 1;
    if (bar.s === 'idle' || bar.s === 'needs') {
      while (last[i + run]?.s === bar.s) run += 1;
      const w = run * STEP - 1;
      if (bar.s === 'idle') paths.idle += box(x, WAKE_HEIGHT - BASE, w);
      else paths.needs += box(x, WAKE_HEIGHT / 2, w);
    } else if (bar.s === 'working') {
      paths.working += box(x, WAKE_HEIGHT - height(bar.b), 2);
    } else if (bar.s === 'limited') {
      if ((first + i) % 2 === 0) paths.limited += box(x, WAKE_HEIGHT - 3, 2);
    } else {
      while (last[i + run]?.s === bar.s) run += 1; // it ended once: what follows stays empty and says how long ago
      paths.end += box(x, 0, 2);
    }
    i += run;
  }
  return paths;
}
