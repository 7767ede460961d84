// Objects as YAML and back, which line belongs to which field, and the patch between two objects.

import { isMap, isPair, isScalar, isSeq, type Node, parseDocument, stringify } from 'yaml';
import type { Agent, KubeObject, Status } from './types.ts';

export function toYaml(object: unknown): string {
  return stringify(object, { lineWidth: 0, aliasDuplicateObjects: false, nullStr: 'null' });
}

/** Items of a list may come without it, and then nobody could apply what they read. */
const TYPE = { apiVersion: 'regatta.dev/v1alpha1', kind: 'Agent' } as const;

/** The live agent without bookkeeping nobody reads. */
export function forReading(object: Agent): KubeObject {
  const metadata = { ...object.metadata };
  delete metadata.managedFields;
  return { ...TYPE, ...object, metadata };
}

/** What a person may change: no status, and of the metadata only what is theirs. */
export function forEditing(agent: Agent): KubeObject {
  const { name, namespace, labels, annotations, finalizers } = agent.metadata;
  return {
    ...TYPE,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(finalizers === undefined ? {} : { finalizers }),
    },
    spec: agent.spec,
  } as KubeObject & { spec: unknown };
}

export interface Problem {
  /** 1-based; 0 where no line can be named. */
  line: number;
  message: string;
}

export type Parsed = { object: KubeObject; problems: [] } | { object: undefined; problems: Problem[] };

export function fromYaml(text: string): Parsed {
  const document = parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0) {
    return { object: undefined, problems: document.errors.map((e) => ({ line: e.linePos?.[0].line ?? 0, message: firstLine(e.message) })) };
  }
  const object: unknown = document.toJS();
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    return { object: undefined, problems: [{ line: 1, message: 'this is not an object: it needs apiVersion, kind, metadata and spec' }] };
  }
  return { object: object as KubeObject, problems: [] };
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? text).replace(/ at line \d+, column \d+:?$/, '');
}

/** `spec.env[1].name` as steps. */
export function steps(field: string): (string | number)[] {
  const found: (string | number)[] = [];
  for (const [, name, index, quoted] of field.matchAll(/([^.[\]]+)|\[(\d+)\]|\["?([^"\]]+)"?\]/g)) {
    if (index !== undefined) found.push(Number(index));
    else found.push(name ?? quoted ?? '');
  }
  return found;
}

/** The lines (1-based, first and last) of a field, or of the nearest field above it that is written down. */
export function linesOf(text: string, field: string): { first: number; last: number } | undefined {
  let node: unknown = parseDocument(text).contents;
  let range: [number, number] | undefined;
  for (const step of steps(field)) {
    if (isMap(node)) {
      const pair = node.items.find((p) => isPair(p) && isScalar(p.key) && String(p.key.value) === String(step));
      if (pair === undefined) break;
      const key = (pair.key as Node | null)?.range;
      const value = (pair.value as Node | null)?.range;
      if (key === null || key === undefined) break;
      range = [key[0], (value ?? key)[1]];
      node = pair.value;
    } else if (isSeq(node)) {
      const item = typeof step === 'number' ? node.items[step] : undefined;
      const at = (item as Node | undefined)?.range;
      if (at === null || at === undefined) break;
      range = [at[0], at[1]];
      node = item;
    } else break;
  }
  if (range === undefined) return undefined;
  const lineAt = (offset: number) => text.slice(0, offset).split('\n').length;
  const first = lineAt(range[0]);
  return { first, last: Math.max(first, lineAt(Math.max(range[0], range[1] - 1))) };
}

export interface FieldProblem extends Problem {
  field: string;
}

/** A refusal by the server, each cause with its field and line. */
export function problemsOf(status: Status, text: string): FieldProblem[] {
  const at = (field: string) => (field === '' ? 0 : (linesOf(text, field)?.first ?? 0));
  const causes = status.details?.causes ?? [];
  if (causes.length > 0) {
    return causes.map((c) => {
      const field = c.field ?? '';
      return { field, line: at(field), message: c.message ?? c.reason ?? '' };
    });
  }
  const unknown = [...(status.message ?? '').matchAll(/(?:unknown|duplicate) field "([^"]+)"/g)];
  if (unknown.length > 0) {
    return unknown.map((m) => ({ field: m[1] ?? '', line: at(m[1] ?? ''), message: m[0] }));
  }
  const field = status.reason === 'AlreadyExists' ? 'metadata.name' : '';
  return [{ field, line: at(field), message: status.message ?? 'refused without a reason' }];
}

/** The JSON merge patch that turns `before` into `after`; undefined where they are equal. */
export function mergePatch(before: unknown, after: unknown): unknown {
  if (isRecord(before) && isRecord(after)) {
    const patch: Record<string, unknown> = {};
    for (const name of Object.keys(before)) if (!(name in after)) patch[name] = null;
    for (const [name, value] of Object.entries(after)) {
      const change = mergePatch(before[name], value);
      if (change !== undefined) patch[name] = change;
    }
    return Object.keys(patch).length === 0 ? undefined : patch;
  }
  return JSON.stringify(before) === JSON.stringify(after) ? undefined : after;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export type Token = { text: string; kind: '' | 'key' | 'string' | 'number' | 'word' | 'comment' };

/** One line of block YAML as the tokens that get a colour. Good for what we print ourselves; nothing is lost if it errs. */
export function tokens(line: string): Token[] {
  const comment = /^(\s*)(#.*)$/.exec(line);
  if (comment !== null) return [{ text: comment[1] ?? '', kind: '' }, { text: comment[2] ?? '', kind: 'comment' }];
  const pair = /^(\s*(?:- )*)("[^"]*"|[\w./-]+)(:)(\s.*)?$/.exec(line);
  if (pair !== null) {
    const [, lead = '', name = '', colon = '', rest = ''] = pair;
    return [{ text: lead, kind: '' }, { text: name, kind: 'key' }, { text: colon, kind: '' }, ...value(rest)];
  }
  const item = /^(\s*- )(.*)$/.exec(line);
  if (item !== null) return [{ text: item[1] ?? '', kind: '' }, ...value(item[2] ?? '')];
  return value(line);
}

function value(text: string): Token[] {
  const bare = text.trim();
  if (bare === '') return [{ text, kind: '' }];
  if (/^-?\d+(\.\d+)?$/.test(bare)) return [{ text, kind: 'number' }];
  if (/^(true|false|null|[|>][+-]?\d*|\{\}|\[\])$/.test(bare)) return [{ text, kind: 'word' }];
  return [{ text, kind: 'string' }];
}
