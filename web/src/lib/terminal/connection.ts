// One view of one agent's terminal: keeps a socket, counts bytes, asks for what is missing, says how it goes.
// It feeds a Screen (xterm) in stream order and acknowledges what that has processed, which is the flow control.

import { terminalUrl } from '../api.ts';
import { decodeBase64, type Exit, type Hello, onClose, parseText, type Refusal, type Size, SUBPROTOCOL, take, type Viewers } from './protocol.ts';

export interface Screen {
  /** `done` runs when the bytes have been processed, in the order of the calls. */
  write(bytes: Uint8Array, done: () => void): void;
  /** In order with the writes. */
  resize(cols: number, rows: number): void;
  reset(): void;
}

export type ViewState =
  | { kind: 'connecting' }
  | { kind: 'live' }
  | { kind: 'retrying'; words: string; at: number }
  | { kind: 'ended'; words: string };

export interface View {
  state(state: ViewState): void;
  hello(hello: Hello): void;
  size(cols: number, rows: number, owner: boolean): void;
  exit(exit: Exit): void;
  viewers(viewers: Viewers): void;
  refused(refusal: Refusal): void;
  /** Bytes up to here are on screen. */
  shown(offset: number, epoch: number): void;
}

const ACK_BYTES = 32 * 1024; // acknowledged at once from here on, so that the server's window keeps moving
const ACK_MS = 100; // and anything smaller after this
const BACKOFF_FIRST = 300;
const BACKOFF_MOST = 8_000;

export class Connection {
  readonly #namespace: string;
  readonly #name: string;
  readonly #uid: string | undefined;
  readonly #screen: Screen;
  readonly #view: View;
  #socket: WebSocket | undefined;
  #wanted = true;
  #next: number | undefined;
  #processed: number | undefined;
  #acked = 0;
  #epoch = 0;
  #viewer: number | undefined;
  /** Where the past ends that is told first; up to there, sizes are those of then. */
  #head = 0;
  /** The size of now, heard while the past was still being told. */
  #held: Size | undefined;
  #greeted = false;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(agent: { namespace: string; name: string; uid: string | undefined }, screen: Screen, view: View) {
    this.#namespace = agent.namespace;
    this.#name = agent.name;
    this.#uid = agent.uid;
    this.#screen = screen;
    this.#view = view;
    this.#connect();
  }

  close(): void {
    this.#wanted = false;
    clearTimeout(this.#retry);
    this.#drop(1000);
  }

  /** Without waiting for the back-off. */
  reconnect(): void {
    if (!this.#wanted || this.#socket !== undefined) return;
    clearTimeout(this.#retry);
    this.#connect();
  }

  /** False when it was not sent: keys are never held and repeated, they could arrive twice. */
  input(data: string | Uint8Array<ArrayBuffer>): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(typeof data === 'string' ? new TextEncoder().encode(data) : data);
    return true;
  }

  /** The size this window would like. It counts when nobody else sets the size, or once somebody types here. */
  wish(cols: number, rows: number): void {
    this.#text({ type: 'resize', cols, rows });
  }

  /** Somebody turned to this window: it sets the size from now on. */
  focus(): void {
    this.#text({ type: 'focus' });
  }

  #connect(): void {
    const query = new URLSearchParams();
    if (this.#next !== undefined) query.set('offset', String(this.#next));
    if (this.#uid !== undefined) query.set('uid', this.#uid);
    this.#view.state({ kind: 'connecting' });
    const socket = new WebSocket(terminalUrl(this.#namespace, this.#name, query), SUBPROTOCOL);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onmessage = (event) => {
      if (this.#socket !== socket) return;
      if (event.data instanceof ArrayBuffer) this.#bytes(event.data);
      else if (typeof event.data === 'string') this.#message(event.data);
    };
    socket.onclose = (event) => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#closed(event.code, event.reason);
    };
  }

  #drop(code: number): void {
    const socket = this.#socket;
    this.#socket = undefined;
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (socket === undefined) return;
    socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #closed(code: number, reason: string): void {
    if (!this.#wanted) return;
    const { words, next } = onClose(code, reason);
    if (next === 'stop') {
      this.#view.state({ kind: 'ended', words });
      return;
    }
    this.#again(this.#greeted ? words : 'Its terminal cannot be reached yet.');
  }

  #again(words: string): void {
    const wait = Math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#view.state({ kind: 'retrying', words, at: Date.now() + wait });
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  #bytes(frame: ArrayBuffer): void {
    const piece = take(frame, this.#next);
    switch (piece.kind) {
      case 'old':
        return;
      case 'gap':
      case 'bad':
        // What is missing cannot be guessed: start from a snapshot.
        this.#next = undefined;
        this.#drop(1002);
        this.#again('Some output was missing; the view starts again from the present.');
        return;
      case 'write': {
        const { bytes, next } = piece;
        this.#next = next;
        this.#screen.write(bytes, () => this.#done(next));
        this.#arrived();
      }
    }
  }

  #message(text: string): void {
    const message = parseText(text);
    switch (message?.type) {
      case 'hello':
        this.#failures = 0;
        this.#greeted = true;
        this.#epoch = message.epoch;
        this.#viewer = message.viewer;
        this.#head = message.head;
        this.#held = undefined;
        // Asked for without an offset: whatever comes now, snapshot or bytes, is the whole picture.
        if (this.#next === undefined) this.#screen.reset();
        this.#screen.resize(message.cols, message.rows);
        this.#view.hello(message);
        this.#view.state({ kind: 'live' });
        return;
      case 'snapshot': {
        const { offset } = message;
        this.#next = offset;
        this.#screen.reset();
        this.#screen.resize(message.cols, message.rows);
        this.#screen.write(decodeBase64(message.bytes), () => this.#done(offset));
        this.#arrived();
        return;
      }
      case 'size':
        if (!this.#behind()) this.#sized(message);
        else if (message.owner === null) this.#screen.resize(message.cols, message.rows);
        else this.#held = message;
        return;
      case 'gap':
        if (this.#next === undefined || message.to > this.#next) this.#next = message.to;
        return;
      case 'error':
        this.#view.refused(message);
        return;
      case 'exit':
        this.#view.exit(message);
        return;
      case 'viewers':
        this.#view.viewers(message);
        return;
    }
  }

  #behind(): boolean {
    return (this.#next ?? 0) < this.#head;
  }

  #sized(size: Size): void {
    this.#screen.resize(size.cols, size.rows);
    this.#view.size(size.cols, size.rows, size.owner !== null && size.owner === this.#viewer);
  }

  #arrived(): void {
    if (this.#held === undefined || this.#behind()) return;
    const size = this.#held;
    this.#held = undefined;
    this.#sized(size);
  }

  #done(offset: number): void {
    this.#processed = offset;
    this.#view.shown(offset, this.#epoch);
    if (offset < this.#acked || offset - this.#acked >= ACK_BYTES) this.#ack();
    else this.#ackTimer ??= setTimeout(() => this.#ack(), ACK_MS);
  }

  #ack(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (this.#processed === undefined) return;
    this.#acked = this.#processed;
    this.#text({ type: 'ack', offset: this.#processed });
  }

  #text(message: unknown): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}

