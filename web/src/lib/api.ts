// Every request that is not a stream: login and mutations. State is never read here, it comes over /watch.

import type { Agent, KubeObject, Status } from './types.ts';

const GROUP = '/apis/regatta.dev/v1alpha1';
const MANAGER = 'regatta-web';
const PATIENCE = 20_000; // a mutation that takes longer is reported as unanswered

export interface Session {
  user: string;
  /** Absent where something else than a cookie says who this is. */
  csrf: string | null;
}

/** What the server refused, or why it could not be asked. */
export class ApiError extends Error {
  readonly status: Status;
  readonly code: number;

  constructor(code: number, status: Status) {
    super(status.message ?? `the server answered ${code}`);
    this.code = code;
    this.status = status;
  }

  /** True where nobody knows whether the request arrived. */
  get unanswered(): boolean {
    return this.code === 0;
  }
}

let csrf = '';
let lost: () => void = () => undefined;

/** Called when the server no longer knows this browser. */
export function onSessionLost(handler: () => void): void {
  lost = handler;
}

function isStatus(value: unknown): value is Status {
  return typeof value === 'object' && value !== null && ('message' in value || 'reason' in value);
}

async function send(method: string, path: string, body?: unknown, type = 'application/json'): Promise<unknown> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = type;
  if (method !== 'GET' && csrf !== '') headers['x-csrf-token'] = csrf;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.timeout(PATIENCE),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (cause) {
    const slow = cause instanceof DOMException && cause.name === 'TimeoutError';
    throw new ApiError(0, {
      reason: 'Unreachable',
      message: slow ? `no answer within ${PATIENCE / 1000} s; it may or may not have been done` : 'the server cannot be reached; nothing was sent or its answer was lost',
    });
  }
  const text = await response.text();
  let value: unknown;
  try {
    value = text === '' ? undefined : JSON.parse(text);
  } catch {
    value = undefined; // not JSON: a proxy's page; the code below says what is known
  }
  if (response.ok) return value;
  throw new ApiError(response.status, isStatus(value) ? value : { code: response.status, reason: response.statusText, message: `the server answered ${response.status} ${response.statusText}` });
}

async function mutate(method: string, path: string, body?: unknown, type?: string): Promise<unknown> {
  try {
    return await send(method, path, body, type);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === 401) lost();
    // The token of a restarted server differs while the cookie still holds: ask for it once and repeat.
    if (error.code === 403 && /csrf/i.test(error.message) && (await session()) !== undefined) return send(method, path, body, type);
    throw error;
  }
}

// ── login ──

/** Who this browser is, or undefined where it has to log in. */
export async function session(): Promise<Session | undefined> {
  try {
    const found = (await send('GET', '/auth/session')) as Session;
    csrf = found.csrf ?? '';
    return found;
  } catch (error) {
    if (error instanceof ApiError && error.code === 401) return undefined;
    throw error;
  }
}

export async function login(code: string): Promise<Session> {
  const found = (await send('POST', '/auth/code', { code })) as Session;
  csrf = found.csrf ?? '';
  return found;
}

export async function logout(): Promise<void> {
  await mutate('POST', '/auth/logout');
  csrf = '';
}

// ── objects ──

function agentPath(namespace: string, name?: string): string {
  const base = `${GROUP}/namespaces/${encodeURIComponent(namespace)}/agents`;
  return name === undefined ? base : `${base}/${encodeURIComponent(name)}`;
}

function query(dryRun: boolean): string {
  return `?fieldManager=${MANAGER}&fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`;
}

export type Mode = 'dry-run' | 'for-real';

export async function createAgent(agent: KubeObject, mode: Mode): Promise<Agent> {
  return (await mutate('POST', agentPath(agent.metadata.namespace ?? 'default') + query(mode === 'dry-run'), agent)) as Agent;
}

/** Changes exactly what the merge patch names. */
export async function patchAgent(namespace: string, name: string, patch: unknown, mode: Mode): Promise<Agent> {
  return (await mutate('PATCH', agentPath(namespace, name) + query(mode === 'dry-run'), patch, 'application/merge-patch+json')) as Agent;
}

export function runAgent(agent: Agent, run: 'Running' | 'Stopped'): Promise<Agent> {
  return patchAgent(agent.metadata.namespace ?? 'default', agent.metadata.name, { spec: { run } }, 'for-real');
}

/** What becomes of the worktree when the agent goes. */
export function decideWorktree(agent: Agent, worktree: 'Keep' | 'Discard'): Promise<Agent> {
  return patchAgent(agent.metadata.namespace ?? 'default', agent.metadata.name, { metadata: { uid: agent.metadata.uid }, spec: { onDelete: { worktree } } }, 'for-real');
}

/** The uid keeps a re-created agent of the same name from being deleted by an old page. */
export async function deleteAgent(agent: Agent): Promise<void> {
  const preconditions = agent.metadata.uid === undefined ? {} : { preconditions: { uid: agent.metadata.uid } };
  await mutate('DELETE', agentPath(agent.metadata.namespace ?? 'default', agent.metadata.name), {
    kind: 'DeleteOptions',
    apiVersion: 'v1',
    propagationPolicy: 'Background',
    ...preconditions,
  });
}

/** One line into the agent's terminal. The same key twice is one line. */
export async function sendLine(agent: Agent, text: string, idempotencyKey: string): Promise<void> {
  await mutate('POST', `${agentPath(agent.metadata.namespace ?? 'default', agent.metadata.name)}/input`, { mode: 'line', data: text, idempotencyKey });
}

export function terminalUrl(namespace: string, name: string, query: URLSearchParams): string {
  return `${socketOrigin()}${agentPath(namespace, name)}/terminal?${query.toString()}`;
}

export function socketOrigin(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;
}

/** Unique enough to name one message; crypto.randomUUID exists on secure origins only. */
export function freshKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}
