import { describe, expect, test } from 'vitest';
import { groupOf, inOrder, lineOf, matches, stateOf } from './agents.ts';
import { diffLines, hunks } from './diff.ts';
import { EMPTY, slug, suggestName, toCommand, toObject, words } from './draft.ts';
import { brief, span } from './time.ts';
import type { Agent, AgentStatus } from './types.ts';
import { wakePaths } from './wake.ts';
import { fromYaml, linesOf, mergePatch, problemsOf, steps, tokens, toYaml } from './yaml.ts';

function agent(name: string, status?: AgentStatus, spec: Agent['spec'] = {}): Agent {
  return { apiVersion: 'regatta.dev/v1alpha1', kind: 'Agent', metadata: { name, namespace: 'default' }, spec, ...(status === undefined ? {} : { status }) };
}

describe('agents', () => {
  test('what nobody has observed yet is starting, not idle', () => expect(stateOf(agent('a'))).toBe('starting'));
  test('an end that was seen rests, one that was not is listed', () => {
    const failed = agent('a', { activity: 'Failed' });
    expect(groupOf(failed, false)).toBe('done');
    expect(groupOf(failed, true)).toBe('rest');
  });
  test('those that wait longest come first', () => {
    const young = agent('a', { activity: 'NeedsInput', activitySince: '2026-01-01T10:00:00Z' });
    const old = agent('b', { activity: 'NeedsInput', activitySince: '2026-01-01T09:00:00Z' });
    expect(inOrder('needs', [young, old]).map((a) => a.metadata.name)).toEqual(['b', 'a']);
  });
  test('an agent without a host says why', () => {
    const lost = agent('a', { conditions: [{ type: 'Scheduled', status: 'False', reason: 'NoHost', message: 'no host has room', lastTransitionTime: '' }] });
    expect(lineOf(lost)).toBe('no host has room');
  });
  test('filters match words anywhere and fields by name', () => {
    const a = agent('fix-auth', { hostName: 'fermi', activity: 'Working' }, { repoRef: { name: 'web' } });
    expect(matches(a, 'auth repo=web')).toBe(true);
    expect(matches(a, 'repo=api')).toBe(false);
    expect(matches(a, 'state=work, host=fer')).toBe(true);
  });
});

describe('words', () => {
  test('spans keep to one unit until hours', () => expect([20_000, 14 * 60_000, 66 * 60_000, 3 * 3_600_000, 50 * 3_600_000].map(span)).toEqual(['20 s', '14 min', '1 h 06', '3 h', '2 d']));
  test('no moment is no words', () => expect(brief(undefined, 0)).toBe(''));
});

describe('wake', () => {
  test('an agent younger than an hour leaves the left empty', () => {
    const paths = wakePaths([{ b: 0, s: 'idle' }, { b: 100, s: 'working' }]);
    expect(paths.idle).toBe('M174 14.5h2v1.5h-2z');
    expect(paths.working).toMatch(/^M177 /);
  });
  test('waiting is one block, however long', () => {
    expect(wakePaths(Array.from({ length: 60 }, () => ({ b: 0, s: 'needs' as const }))).needs).toBe('M0 8h179v8h-179z');
  });
  test('no amount of output leaves the box', () => {
    for (const b of [-1, 0, 1, 1e3, 1e6, 1e12]) {
      const y = Number(/ ([\d.]+)h/.exec(wakePaths([{ b, s: 'working' }]).working)?.[1]);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(14.5);
    }
  });
});

describe('yaml', () => {
  const text = toYaml({ spec: { env: [{ name: 'A' }, { name: 'B' }], prompt: { text: 'one\ntwo\n' } } });
  test('a field knows its lines', () => {
    expect(linesOf(text, 'spec.env[1].name')).toEqual({ first: 4, last: 4 });
    expect(linesOf(text, 'spec.prompt')).toEqual({ first: 5, last: 8 });
  });
  test('a field that is not written points to what holds it', () => expect(linesOf(text, 'spec.env[1].value')?.first).toBe(4));
  test('paths with indices and quoted keys are read', () => expect(steps('spec.a[2]["x.y"]')).toEqual(['spec', 'a', 2, 'x.y']));
  test('a syntax error names its line', () => {
    const bad = fromYaml('a: 1\nb: [\n');
    expect(bad.object).toBeUndefined();
    expect(bad.problems[0]?.line).toBeGreaterThan(1);
  });
  test('causes and unknown fields come with their line', () => {
    expect(problemsOf({ details: { causes: [{ field: 'spec.env[0].name', message: 'no' }] } }, text)).toEqual([{ field: 'spec.env[0].name', line: 3, message: 'no' }]);
    expect(problemsOf({ message: 'strict decoding error: unknown field "spec.env[1].nam"' }, text)[0]?.line).toBe(4);
  });
  test('the patch names only what changed, and removes with null', () => {
    expect(mergePatch({ a: 1, b: { c: 1, d: 2 }, e: [1] }, { a: 1, b: { c: 1 }, e: [1, 2] })).toEqual({ b: { d: null }, e: [1, 2] });
    expect(mergePatch({ a: [1] }, { a: [1] })).toBeUndefined();
  });
  test('colouring loses no character', () => {
    for (const line of text.split('\n')) expect(tokens(line).map((t) => t.text).join('')).toBe(line);
  });
});

describe('diff', () => {
  test('one changed line is one removal and one addition', () => {
    expect(diffLines('a\nb\nc', 'a\nx\nc').map((l) => l.kind[0] + l.text)).toEqual(['sa', 'db', 'ax', 'sc']);
  });
  test('either text can be rebuilt from it', () => {
    const before = 'a\nb\nc\nd\ne';
    const after = 'b\nx\nd\ny\ne\nf';
    const lines = diffLines(before, after);
    expect(lines.filter((l) => l.kind !== 'add').map((l) => l.text).join('\n')).toBe(before);
    expect(lines.filter((l) => l.kind !== 'del').map((l) => l.text).join('\n')).toBe(after);
  });
  test('what is far from any change is counted, not shown', () => {
    const many = Array.from({ length: 20 }, (_, i) => String(i));
    expect(hunks(diffLines(many.join('\n'), [...many, 'new'].join('\n'))).map((h) => (h.kind === 'skipped' ? h.count : h.lines.length))).toEqual([17, 4]);
  });
});

describe('draft', () => {
  test('the name is the first four words of the prompt', () => expect(slug('Fix the flaky test in auth!')).toBe('fix-the-flaky-test'));
  test('a taken name gets a number', () => expect(suggestName({ ...EMPTY, prompt: 'fix it' }, (n) => n === 'fix-it')).toBe('fix-it-2'));
  test('arguments are split as typed', () => expect(words(`a "b c" 'd"e' f\\ g ""`)).toEqual(['a', 'b c', 'd"e', 'f g', '']));
  test('empty fields are not in the object', () => expect(toObject(EMPTY, 'x').spec).toEqual({ adapter: 'shell' }));
  test('the command quotes what a shell would split', () => {
    const draft = { ...EMPTY, adapter: 'command', command: `sh -c "echo hi"`, repo: 'web' };
    expect(toCommand(draft, 'x')).toBe(`regatta run command --name x --repo web -- sh -c 'echo hi'`);
  });
});
