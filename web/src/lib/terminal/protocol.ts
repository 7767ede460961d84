// regatta.terminal.v1, the browser's half: which bytes are new, what the text frames say, what the close codes mean.
// Values in, values out; no socket, no terminal.

export const SUBPROTOCOL = 'regatta.terminal.v1';

export type ViewerId = string | number;

export interface Hello {
  type: 'hello';
  uid: string;
  epoch: number;
  first: number;
  head: number;
  cols: number;
  rows: number;
  role: 'view' | 'type';
  /** This viewer's own id, where the server names viewers. */
  viewer?: ViewerId;
}

export interface Snapshot {
  type: 'snapshot';
  offset: number;
  cols: number;
  rows: number;
  /** base64 */
  bytes: string;
}

export interface Resize {
  type: 'resize';
  cols: number;
  rows: number;
  offset?: number;
}

export interface Size {
  type: 'size';
  cols: number;
  rows: number;
  /** true or this viewer's id: this window sets the size. */
  owner?: boolean | ViewerId | null;
}

export interface Exit {
  type: 'exit';
  epoch?: number;
  code?: number | null;
  signal?: string | null;
  reason?: string;
  message?: string | null;
}

export interface Epoch {
  type: 'epoch';
  epoch: number;
}

export interface Viewers {
  type: 'viewers';
  viewers: { id?: ViewerId; user?: string; role?: 'view' | 'type' }[];
}

export type FromServer = Hello | Snapshot | Resize | Size | Exit | Epoch | Viewers;

/** What to do with a binary frame. */
export type Piece =
  | { kind: 'write'; bytes: Uint8Array; next: number }
  /** Nothing in it that was not shown already. */
  | { kind: 'old' }
  /** Bytes between `next` and the frame are missing: only a snapshot can help. */
  | { kind: 'gap' }
  /** Too short to be a frame. */
  | { kind: 'bad' };

const HEADER = 8;

/** Cuts what was shown already: `next` is the offset of the first byte not yet shown, undefined before any. */
export function take(frame: ArrayBuffer, next: number | undefined): Piece {
  if (frame.byteLength < HEADER) return { kind: 'bad' };
  // 53 bits are 8 PiB of terminal output: enough to count in numbers.
  const offset = Number(new DataView(frame).getBigUint64(0, false));
  const bytes = new Uint8Array(frame, HEADER);
  const end = offset + bytes.length;
  if (next === undefined || offset === next) return { kind: 'write', bytes, next: end };
  if (offset > next) return { kind: 'gap' };
  if (end <= next) return { kind: 'old' };
  return { kind: 'write', bytes: bytes.subarray(next - offset), next: end };
}

export function decodeBase64(text: string): Uint8Array {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

export function parseText(text: string): FromServer | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('type' in value) || typeof value.type !== 'string') return undefined;
  return value as FromServer; // a type that is not known falls through every switch
}

export function isOwner(size: Size, viewer: ViewerId | undefined): boolean {
  return size.owner === true || (viewer !== undefined && size.owner === viewer);
}

export type AfterClose = 'again' | 'snapshot' | 'stop';

/** What a close means, in words, and what comes next. */
export function onClose(code: number, reason: string): { words: string; next: AfterClose } {
  const said = reason === '' ? '' : `: ${reason}`;
  switch (code) {
    case 1000:
      return { words: `The server ended this view${said}.`, next: 'stop' };
    case 1001:
    case 1012:
      return { words: 'The server restarts; the agent goes on.', next: 'again' };
    case 1013:
    case 4503:
      return { words: `The host of this agent is not connected${said}. What runs there keeps running.`, next: 'again' };
    case 1008:
    case 4403:
      return { words: `You may not view this terminal${said}.`, next: 'stop' };
    case 4401:
      return { words: 'Your session ended. Log in again to go on.', next: 'stop' };
    case 4404:
      return { words: `This agent has no terminal${said}.`, next: 'again' };
    case 4409:
    case 4410:
      return { words: `This agent is gone; another one may have its name now${said}.`, next: 'stop' };
    case 4400:
    case 4416:
      return { words: `The place this view had reached is no longer in the log${said}.`, next: 'snapshot' };
    case 4408:
    case 4429:
      return { words: `This view was too slow and starts again from the present${said}.`, next: 'snapshot' };
    default:
      return { words: `The connection was lost${said}.`, next: 'again' };
  }
}
