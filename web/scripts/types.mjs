// Writes src/lib/types.gen.ts from the CRDs in ../crd. With --check it compares instead, and fails when they differ.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { compile } from 'json-schema-to-typescript';
import { parse } from 'yaml';

const crds = new URL('../../crd/', import.meta.url);
const target = new URL('../src/lib/types.gen.ts', import.meta.url);

/** What TypeScript needs of a structural schema: bounds and CEL say nothing to it. Closed objects, as the server prunes. */
function typed(schema) {
  const { type, description, properties, required, items, additionalProperties, enum: words, ...rest } = schema;
  if (rest['x-kubernetes-int-or-string']) return { description, oneOf: [{ type: 'integer' }, { type: 'string' }] };
  const out = {};
  if (description !== undefined) out.description = description;
  if (words !== undefined) out.enum = words.filter((w) => w !== null);
  if (type !== undefined) out.type = type;
  if (properties !== undefined) {
    out.properties = Object.fromEntries(Object.entries(properties).map(([name, s]) => [name, typed(s)]));
    out.additionalProperties = false;
    if (required !== undefined) out.required = required;
  } else if (typeof additionalProperties === 'object') out.additionalProperties = typed(additionalProperties);
  if (items !== undefined) out.items = typed(items);
  if (properties === undefined && (rest['x-kubernetes-preserve-unknown-fields'] || type === undefined)) return { ...(description === undefined ? {} : { description }), tsType: 'unknown' };
  return out;
}

const parts = ['// Generated from crd/ by `npm run types`. Do not edit.\n'];
for (const file of readdirSync(crds).filter((f) => f.endsWith('.yaml')).sort()) {
  const { spec } = parse(readFileSync(new URL(file, crds), 'utf8'));
  const version = spec.versions.find((v) => v.storage);
  const { properties } = version.schema.openAPIV3Schema;
  for (const half of ['spec', 'status']) {
    if (properties[half] === undefined) continue;
    const name = spec.names.kind + half[0].toUpperCase() + half.slice(1);
    const schema = { ...typed(properties[half]), title: name };
    parts.push(await compile(schema, name, { bannerComment: '', additionalProperties: false, ignoreMinAndMaxItems: true, style: { singleQuote: true, printWidth: 140 } }));
  }
}
const text = parts.join('\n');

if (process.argv.includes('--check')) {
  let kept = '';
  try {
    kept = readFileSync(target, 'utf8');
  } catch {
    // Not there is as stale as different.
  }
  if (kept !== text) {
    console.error('web/src/lib/types.gen.ts is not what crd/ says: run `npm run types` in web/ and commit the result');
    process.exit(1);
  }
} else writeFileSync(target, text);
