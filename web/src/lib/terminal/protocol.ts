// regatta.terminal.v1, the browser's half: which bytes are new, what the text frames say, what the close codes mean.
// Values in, values out; no socket, no terminal.

export const SUBPROTOCOL = 'regatta.terminal.v1';

export type Role = 'view' | 'type';

export interface Hello {
  type: 'hello';
  uid: string;
  epoch: number;
  first: number;
  head: number;
  cols: number;
  rows: number;
  role: Role;
  /** This viewer's own number. */
  viewer: number;
}

/** Forget what is shown: this is the screen at `offset`. */
export interface Snapshot {
  type: 'snapshot';
  offset: number;
  cols: number;
  rows: number;
  /** base64 */
  bytes: string;
}

/** The size from the next byte on, and the viewer whose window it is. */
export interface Size {
  type: 'size';
  cols: number;
  rows: number;
  owner: number | null;
}

/** Bytes that are no longer anywhere. */
export interface Gap {
  type: 'gap';
  from: number;
  to: number;
}

export interface Exit {
  type: 'exit';
  epoch: number;
  code?: number | null;
  signal?: string | null;
  reason?: string;
  message?: string | null;
}

export interface Viewers {
  type: 'viewers';
  count: number;
  list: { id: number; user: string; role: Role }[];
}

/** Something this viewer sent was not done. */
export interface Refusal {
  type: 'error';
  reason: string;
  message: string;
}

export type FromServer = Hello | Snapshot | Size | Gap | Exit | Viewers | Refusal;

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

export type AfterClose = 'again' | 'stop';

/** What a close means, in words, and what comes next. */
export function onClose(code: number, reason: string): { words: string; next: AfterClose } {
  const said = reason === '' ? '' : `: ${reason}`;
  switch (code) {
    case 1000:
      return { words: `The server ended this view${said}.`, next: 'stop' };
    case 1001:
    case 1012:
      return { words: 'The server restarts; the agent goes on.', next: 'again' };
    case 4001:
      return { words: `Another agent has this name now${said}.`, next: 'stop' };
    case 4002:
      return { words: `The server did not understand this page${said}. Loading it again may help.`, next: 'again' };
    case 4003:
      return { words: `The log of this agent cannot be read${said}.`, next: 'again' };
    default:
      return { words: `The connection was lost${said}. The agent goes on.`, next: 'again' };
  }
}
