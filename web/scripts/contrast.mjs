// Proves the colours: every pair that a part may form, in every theme, reaches 4.5:1 for text and 3:1 for marks
// (7:1 and 4.5:1 in high contrast); and no colour is written anywhere but in tokens.css. --all lists every pair.
import { readdirSync, readFileSync } from 'node:fs';

const src = new URL('../src/', import.meta.url);
const tokens = readFileSync(new URL('tokens.css', src), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');

/** The colours that hold where all of `attributes` are set on the root, in the order of the file. */
function palette(...attributes) {
  const colours = {};
  for (const [, selector, body] of tokens.matchAll(/([^{}]+)\{([^{}]*)\}/g)) {
    if (!selector.includes(':root') && !attributes.some((a) => selector.includes(a))) continue;
    for (const [, name, value] of body.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})\b/g)) colours[name] = value;
  }
  return colours;
}

function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ratio(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}
const cross = (fronts, backs) => fronts.flatMap((f) => backs.map((b) => [f, b]));

const surfaces = ['sunken', 'canvas', 'panel', 'raised', 'hover', 'selected'];
const states = ['s-working', 's-done', 's-failed', 's-limited', 's-quiet'];
const text = [
  ...cross(['text', 'text-2', 'text-3', 'link', 'signal-text', ...states], surfaces),
  ...cross(['text', 'text-2', 'link'], ['signal-tint', 'failed-tint', 'done-tint', 'note-bg']),
  ...cross(['text-3', 's-failed'], ['failed-tint']),
  ...cross(['text-3', 'signal-text'], ['signal-tint']),
  ...cross(['text', 'text-2', 'text-3'], ['add-bg', 'del-bg']),
  ...cross(['syn-key', 'syn-string', 'syn-number', 'syn-word', 'syn-comment'], ['panel', 'sunken', 'selected', 'hover', 'failed-tint']),
  ['on-signal', 'signal'], ['on-ink', 'ink'], ['on-danger', 'danger'], ['on-ink', 'text-2'],
  ['add-mark', 'add-bg'], ['del-mark', 'del-bg'], ['add-mark', 'panel'], ['del-mark', 'panel'], ['add-mark', 'hover'], ['del-mark', 'hover'],
];
const marks = [
  ...cross(['line-strong', 'focus', 's-needs'], surfaces),
  ...cross(['signal-line'], ['canvas', 'panel', 'raised', 'sunken', 'signal-tint']),
  ...cross(['failed-line'], ['canvas', 'panel', 'failed-tint']),
  ...cross([...states, 'line-strong'], ['panel', 'hover']),
];
const terminal = [
  ...cross(['term-fg', 'term-dim', ...Array.from({ length: 15 }, (_, i) => `term-${i + 1}`)], ['term-bg']), // ANSI black is for backgrounds
  ['term-fg', 'term-select'],
];

let pairs = 0;
let failing = 0;
const tightest = { text: [99, ''], mark: [99, ''] };
function prove(where, colours, list, need, kind) {
  for (const [front, back] of list) {
    pairs += 1;
    const f = colours[front];
    const b = colours[back];
    const r = f === undefined || b === undefined ? 0 : ratio(f, b);
    if (where !== 'contrast' && r < tightest[kind][0]) tightest[kind] = [r, `${front} on ${back}, ${where}`];
    if (r < need) failing += 1;
    if (r < need || process.argv.includes('--all')) console.log(`${r < need ? 'FAIL' : 'ok  '} ${where}: ${front} on ${back} is ${r.toFixed(2)}, needs ${need}`);
  }
}
for (const theme of ['light', 'dark', 'contrast']) {
  const colours = palette(`data-theme="${theme}"`);
  const high = theme === 'contrast';
  prove(theme, colours, text, high ? 7 : 4.5, 'text');
  prove(theme, colours, marks, high ? 4.5 : 3, 'mark');
}
for (const [where, attribute] of [['night terminal', 'data-term="night"'], ['day terminal', 'data-term="day"']]) {
  prove(where, palette(attribute), terminal, 4.5, 'text');
  prove(where, palette(attribute), [['term-cursor', 'term-bg']], 3, 'mark');
}

for (const name of readdirSync(src, { recursive: true })) {
  if (!/\.(svelte|css)$/.test(name) || name === 'tokens.css') continue;
  const content = readFileSync(new URL(name, src), 'utf8');
  const css = name.endsWith('.css') ? content : (/<style>([\s\S]*)<\/style>/.exec(content)?.[1] ?? '');
  for (const [colour] of css.replace(/\/\*[\s\S]*?\*\//g, '').matchAll(/#[0-9a-f]{3,8}\b(?=[^{}]*;)|\b(?:rgb|hsl|oklch)a?\(/gi)) {
    failing += 1;
    console.log(`FAIL src/${name} writes the colour ${colour}; put it into tokens.css`);
  }
}
console.log(`${pairs} pairs, ${failing} failing; tightest text ${tightest.text[0].toFixed(2)} (${tightest.text[1]}), tightest mark ${tightest.mark[0].toFixed(2)} (${tightest.mark[1]})`);
process.exit(failing === 0 ? 0 : 1);
