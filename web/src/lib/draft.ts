// A new agent as the form holds it, as the object it is, and as the command that does the same. Values in, values out.

import type { AgentSpec, KubeObject } from './types.ts';

export interface Draft {
  namespace: string;
  name: string;
  adapter: string;
  classRef: string;
  prompt: string;
  place: 'repo' | 'directory' | 'scratch';
  repo: string;
  baseRef: string;
  branch: string;
  directory: string;
  command: string;
  env: { name: string; value: string }[];
  hostChoice: 'any' | 'labels' | 'host';
  host: string;
  labels: string;
}

export const EMPTY: Draft = {
  namespace: 'default',
  name: '',
  adapter: 'shell',
  classRef: '',
  prompt: '',
  place: 'repo',
  repo: '',
  baseRef: '',
  branch: '',
  directory: '',
  command: '',
  env: [],
  hostChoice: 'any',
  host: '',
  labels: '',
};

/** The first four words of what it should do, as a name that objects may have. */
export function slug(text: string): string {
  return text
    .toLowerCase()
    .normalize('NFKD')
    .replace(/[^a-z0-9]+/g, ' ')
    .trim()
    .split(' ')
    .slice(0, 4)
    .join('-')
    .slice(0, 53)
    .replace(/-+$/, '');
}

/** The name the agent gets when none is written, and it is free. */
export function suggestName(draft: Draft, taken: (name: string) => boolean): string {
  const base = slug(draft.prompt) || slug(words(draft.command).join(' ')) || slug(`${draft.adapter} ${draft.place === 'repo' ? draft.repo : ''}`) || 'agent';
  let name = base;
  for (let n = 2; taken(name); n++) name = `${base}-${n}`;
  return name;
}

/** Splits as a shell would without running one: spaces separate, quotes keep together, a backslash keeps one character. */
export function words(line: string): string[] {
  const found: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const c = line[i] ?? '';
    if (quote !== undefined) {
      if (c === quote) quote = undefined;
      else if (c === '\\' && quote === '"' && i + 1 < line.length) word = (word ?? '') + (line[++i] ?? '');
      else word = (word ?? '') + c;
    } else if (c === '"' || c === "'") {
      quote = c;
      word ??= '';
    } else if (c === '\\' && i + 1 < line.length) word = (word ?? '') + (line[++i] ?? '');
    else if (/\s/.test(c)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else word = (word ?? '') + c;
  }
  if (word !== undefined) found.push(word);
  return found;
}

/** `key=value` pairs separated by spaces or commas. */
export function pairs(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const part of text.split(/[\s,]+/)) {
    const at = part.indexOf('=');
    if (at > 0) found[part.slice(0, at)] = part.slice(at + 1);
  }
  return found;
}

export function toObject(draft: Draft, name: string): KubeObject & { spec: AgentSpec } {
  const spec: AgentSpec = {};
  if (draft.classRef !== '') spec.classRef = { name: draft.classRef };
  if (draft.place === 'repo' && draft.repo !== '') {
    spec.repoRef = { name: draft.repo };
    if (draft.baseRef.trim() !== '') spec.baseRef = draft.baseRef.trim();
    if (draft.branch.trim() !== '') spec.branch = draft.branch.trim();
  }
  if (draft.place === 'directory' && draft.directory.trim() !== '') spec.directory = draft.directory.trim();
  if (draft.adapter !== '') spec.adapter = draft.adapter;
  const command = words(draft.command);
  if (draft.adapter === 'command' && command.length > 0) spec.command = command;
  // A program that somebody else wrote has no place for a prompt: the adapter refuses one.
  if (draft.adapter !== 'command' && draft.prompt.trim() !== '') spec.prompt = { text: draft.prompt.trim() };
  const env = draft.env.filter((e) => e.name.trim() !== '').map((e) => ({ name: e.name.trim(), value: e.value }));
  if (env.length > 0) spec.env = env;
  const labels = pairs(draft.labels);
  if (draft.hostChoice === 'host' && draft.host !== '') spec.host = { name: draft.host };
  if (draft.hostChoice === 'labels' && Object.keys(labels).length > 0) spec.host = { selector: { matchLabels: labels } };
  return { apiVersion: 'regatta.dev/v1alpha1', kind: 'Agent', metadata: { name, namespace: draft.namespace }, spec };
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The same as a command. What `regatta run` has no flag for is left to `regatta apply`. */
export function toCommand(draft: Draft, name: string): string {
  const { spec, metadata } = toObject(draft, name);
  if (spec.host?.selector !== undefined) return `regatta apply -f ${metadata.name}.yaml`;
  const parts = ['regatta', 'run', spec.adapter ?? 'shell'];
  if (spec.prompt?.text !== undefined) parts.push(quote(spec.prompt.text));
  parts.push('--name', metadata.name);
  if (metadata.namespace !== undefined && metadata.namespace !== 'default') parts.push('-n', metadata.namespace);
  if (spec.classRef !== undefined) parts.push('--class', spec.classRef.name);
  if (spec.repoRef !== undefined) parts.push('--repo', spec.repoRef.name);
  if (spec.baseRef !== undefined) parts.push('--base', quote(spec.baseRef));
  if (spec.branch !== undefined) parts.push('--branch', quote(spec.branch));
  if (spec.directory !== undefined) parts.push('--directory', quote(spec.directory));
  if (spec.repoRef === undefined && spec.directory === undefined) parts.push('--scratch');
  if (spec.host?.name !== undefined) parts.push('--host', quote(spec.host.name));
  for (const e of spec.env ?? []) parts.push('--env', quote(`${e.name}=${e.value ?? ''}`));
  if (spec.command !== undefined) parts.push('--', ...spec.command.map(quote));
  return parts.join(' ');
}
