// The lines in which two texts differ: what a dry run would change, drawn as added, removed and kept.

export interface DiffLine {
  kind: 'same' | 'add' | 'del';
  text: string;
  /** 1-based line numbers in the two texts. */
  before?: number;
  after?: number;
}

export type Hunk = { kind: 'lines'; lines: DiffLine[] } | { kind: 'skipped'; count: number };

/** Longest common subsequence after trimming what both share at either end; fine for the thousand lines an object has. */
export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split('\n');
  const b = after.split('\n');
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const x = a.slice(head, a.length - tail);
  const y = b.slice(head, b.length - tail);

  const width = y.length + 1;
  const best = new Uint32Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      best[i * width + j] = x[i] === y[j] ? (best[(i + 1) * width + j + 1] ?? 0) + 1 : Math.max(best[(i + 1) * width + j] ?? 0, best[i * width + j + 1] ?? 0);
    }
  }

  const lines: DiffLine[] = [];
  const same = (i: number, j: number) => lines.push({ kind: 'same', text: a[i] ?? '', before: i + 1, after: j + 1 });
  for (let k = 0; k < head; k++) same(k, k);
  let i = 0;
  let j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) same(head + i++, head + j++);
    else if (j >= y.length || (i < x.length && (best[(i + 1) * width + j] ?? 0) >= (best[i * width + j + 1] ?? 0))) {
      lines.push({ kind: 'del', text: x[i] ?? '', before: head + ++i });
    } else lines.push({ kind: 'add', text: y[j] ?? '', after: head + ++j });
  }
  for (let k = 0; k < tail; k++) same(a.length - tail + k, b.length - tail + k);
  return lines;
}

/** Changes with a few lines around them; what lies between is counted, not shown. */
export function hunks(lines: DiffLine[], around = 3): Hunk[] {
  const near = lines.map(() => false);
  lines.forEach((line, at) => {
    if (line.kind === 'same') return;
    for (let k = Math.max(0, at - around); k <= Math.min(lines.length - 1, at + around); k++) near[k] = true;
  });
  const found: Hunk[] = [];
  lines.forEach((line, at) => {
    const last = found.at(-1);
    if (near[at] === true) {
      if (last?.kind === 'lines') last.lines.push(line);
      else found.push({ kind: 'lines', lines: [line] });
    } else if (last?.kind === 'skipped') last.count += 1;
    else found.push({ kind: 'skipped', count: 1 });
  });
  return found;
}
