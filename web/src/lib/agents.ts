// What an Agent object means to the person looking at it: which state, which group, which words. Values in, values out.

import { since } from './time.ts';
import type { Agent, Condition } from './types.ts';

export type State = 'needs' | 'working' | 'starting' | 'limited' | 'failed' | 'done' | 'idle' | 'stopped' | 'unknown' | 'hibernated';

export const STATE_WORDS: Record<State, string> = {
  needs: 'Needs you',
  working: 'Working',
  starting: 'Starting',
  limited: 'Rate-limited',
  failed: 'Failed',
  done: 'Finished',
  idle: 'Idle',
  stopped: 'Stopped',
  unknown: 'Unknown',
  hibernated: 'Hibernated',
};

export function stateOf(agent: Agent): State {
  switch (agent.status?.activity) {
    case 'NeedsInput':
      return 'needs';
    case 'Working':
      return 'working';
    case 'Starting':
      return 'starting';
    case 'RateLimited':
      return 'limited';
    case 'Failed':
      return 'failed';
    case 'Finished':
      return 'done';
    case 'Idle':
      return 'idle';
    case 'Stopped':
      return 'stopped';
    case 'Unknown':
      return 'unknown';
    case undefined:
      // Nothing has been observed yet: it waits for a host, or for its first report.
      return agent.spec.run === undefined || agent.spec.run === 'Running' ? 'starting' : 'stopped';
  }
}

/** Since when the state holds. */
export function sinceWhen(agent: Agent): string | undefined {
  return agent.status?.activitySince ?? agent.metadata.creationTimestamp;
}

export function condition(object: { status?: { conditions?: Condition[] } }, type: string): Condition | undefined {
  return object.status?.conditions?.find((c) => c.type === type);
}

export const GROUPS = ['needs', 'working', 'done', 'rest'] as const;
export type Group = (typeof GROUPS)[number];

export const GROUP_TITLES: Record<Group, string> = {
  needs: 'Needs you',
  working: 'Working',
  done: 'Done, unseen',
  rest: 'Idle and stopped',
};

/** What "seen" is about: another end makes the agent unseen again. */
export function endMark(agent: Agent): string | undefined {
  const exit = agent.status?.exit;
  return exit === undefined ? undefined : `${exit.epoch}@${exit.time}`;
}

export function groupOf(agent: Agent, seen: boolean): Group {
  const state = stateOf(agent);
  switch (state) {
    case 'needs':
      return 'needs';
    case 'working':
    case 'starting':
    case 'limited':
      return 'working';
    case 'done':
    case 'failed':
      return seen ? 'rest' : 'done';
    case 'idle':
    case 'stopped':
    case 'unknown':
    case 'hibernated':
      return 'rest';
  }
}

/** Oldest first among those that wait, newest first among those that ended, by name otherwise: cards must not dance. */
export function inOrder(group: Group, agents: Agent[]): Agent[] {
  const at = (a: Agent) => Date.parse(sinceWhen(a) ?? '') || 0;
  const byName = (a: Agent, b: Agent) => (a.metadata.namespace ?? '').localeCompare(b.metadata.namespace ?? '') || a.metadata.name.localeCompare(b.metadata.name, undefined, { numeric: true });
  const sorted = [...agents];
  if (group === 'needs') return sorted.sort((a, b) => at(a) - at(b) || byName(a, b));
  if (group === 'done') return sorted.sort((a, b) => at(b) - at(a) || byName(a, b));
  return sorted.sort(byName);
}

/** What keeps it from going on, in its own words: work that cannot start, or a deletion that waits. Empty where nothing does. */
export function troubleOf(agent: Agent): string {
  const stalled = condition(agent, 'Stalled');
  if (stalled?.status === 'True') return stalled.message;
  const worktree = condition(agent, 'WorktreeReady');
  if (worktree?.status === 'False' && worktree.message !== '' && worktree.reason === condition(agent, 'Ready')?.reason) return worktree.message;
  const scheduled = condition(agent, 'Scheduled');
  return scheduled?.status === 'False' ? scheduled.message : '';
}

/** Whether nothing of it runs now that could be typed into. */
export function ended(agent: Agent): boolean {
  return ['failed', 'done', 'stopped', 'hibernated'].includes(stateOf(agent));
}

const ADAPTER_TITLES: Record<string, string> = {
  'claude-code': 'Claude Code',
  codex: 'Codex',
  gemini: 'Gemini CLI',
  opencode: 'OpenCode',
  command: 'Command',
  shell: 'Shell',
};

export function adapterOf(agent: Agent): string {
  const name = agent.status?.effective?.adapter ?? agent.spec.adapter;
  return name === undefined ? '' : (ADAPTER_TITLES[name] ?? name);
}

/** `Claude Code on fermi`, with what is known of it. */
export function placeOf(agent: Agent): string {
  const adapter = adapterOf(agent);
  const host = agent.status?.hostName;
  if (host === undefined) return adapter;
  return adapter === '' ? `on ${host}` : `${adapter} on ${host}`;
}

/** Where it works: repo, directory or scratch, and the branch. */
export function workOf(agent: Agent): { where: string; branch?: string } {
  const branch = agent.status?.worktree?.branch ?? agent.spec.branch;
  const where = agent.spec.repoRef?.name ?? agent.spec.directory ?? 'scratch directory';
  return branch === undefined ? { where } : { where, branch };
}

/** Which evidence decided the activity, said as a sentence's end. Empty where none is recorded. */
export function evidenceOf(agent: Agent): string {
  const source = agent.status?.activitySource;
  if (source === undefined || source === '') return '';
  const known: Record<string, string> = {
    output: 'seen from its output',
    process: 'seen from its process',
    exit: 'said by its exit',
    terminal: 'said by its terminal',
    host: 'said by its host',
  };
  return known[source.toLowerCase()] ?? `said by ${source}`;
}

/** How it ended, in words: `exit 1`, `SIGKILL`. */
export function exitWords(agent: Agent): string {
  const exit = agent.status?.exit;
  if (exit === undefined) return '';
  if (exit.signal !== undefined) return `ended by ${exit.signal}`;
  if (exit.code !== undefined) return `exit ${exit.code}`;
  return exit.reason;
}

/** The one line that explains the state best. */
export function lineOf(agent: Agent): string {
  const status = agent.status;
  if (agent.metadata.deletionTimestamp !== undefined) {
    const dirty = condition(agent, 'DirtyWorktree');
    return dirty?.status === 'True' ? dirty.message : 'being deleted';
  }
  if (status?.message !== undefined && status.message !== '') return status.message;
  const scheduled = condition(agent, 'Scheduled');
  if (scheduled?.status === 'False') return scheduled.message;
  const ready = condition(agent, 'Ready');
  if (ready?.status === 'False' && ready.message !== '') return ready.message;
  return exitWords(agent);
}

/** The last hour said aloud, for those who do not see the wake. */
export function wakeWords(agent: Agent, now: number): string {
  const state = stateOf(agent);
  const how = since(sinceWhen(agent), now);
  return `Output in the last hour; ${STATE_WORDS[state].toLowerCase()}${how === '' ? '' : ` for ${how}`}`;
}

/** Fleet's filter: words match anywhere, `repo=`, `host=`, `branch=`, `adapter=`, `state=` and labels match their field. */
export function matches(agent: Agent, filter: string): boolean {
  const { where, branch } = workOf(agent);
  const fields: Record<string, string> = {
    ...agent.metadata.labels,
    name: agent.metadata.name,
    ns: agent.metadata.namespace ?? '',
    repo: agent.spec.repoRef?.name ?? '',
    host: agent.status?.hostName ?? '',
    branch: branch ?? '',
    adapter: agent.status?.effective?.adapter ?? agent.spec.adapter ?? '',
    state: stateOf(agent),
  };
  const anywhere = [agent.metadata.name, where, branch ?? '', fields['host'], lineOf(agent)].join(' ').toLowerCase();
  return filter
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((term) => term !== '')
    .every((term) => {
      const at = term.indexOf('=');
      if (at < 1) return anywhere.includes(term);
      return (fields[term.slice(0, at)] ?? '').toLowerCase().includes(term.slice(at + 1));
    });
}
