// Prints what a page load costs, gzipped: the entry with everything it imports at once, and each part that comes later.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist), 'utf8'));
const weigh = (file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length;
const kb = (bytes) => `${(bytes / 1024).toFixed(1)} kB`;

function files(key, seen = new Set()) {
  const chunk = manifest[key];
  for (const file of [chunk.file, ...(chunk.css ?? [])]) seen.add(file);
  for (const next of chunk.imports ?? []) files(next, seen);
  return seen;
}
const [entry] = Object.entries(manifest).find(([, chunk]) => chunk.isEntry);
const first = files(entry);
const total = [...first].reduce((n, f) => n + weigh(f), weigh('index.html') + weigh('theme.js'));
console.log(`first load ${kb(total)}`);
for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry) continue;
  const more = [...files(key)].filter((f) => !first.has(f));
  console.log(`${chunk.name} +${kb(more.reduce((n, f) => n + weigh(f), 0))}`);
}
