// The /watch connection: any number of list+watch subscriptions over one socket, resumed by resourceVersion. It knows the
// protocol, time and chance come from outside; it keeps no objects (that is the store's part).

import type { KubeObject, Screen, Status } from './types.ts';

/** What the status strip says about the connection. */
export type Truth =
  | { kind: 'connecting' }
  | { kind: 'live'; ms: number }
  | { kind: 'stale'; since: number }
  | { kind: 'retrying'; at: number }
  | { kind: 'offline'; since: number };

export interface Socket {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
}

export interface World {
  open(): Socket;
  now(): number;
  /** 0 ≤ n < 1 */
  random(): number;
  after(ms: number, run: () => void): () => void;
}

export interface Listener {
  list(id: string, items: KubeObject[]): void;
  event(id: string, event: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void;
  screens(screens: Screen[]): void;
  /** `undefined` when the subscription works again. */
  error(id: string, status: Status | undefined): void;
  truth(truth: Truth): void;
  /** The socket could not be opened: perhaps the session ended. */
  refused(): void;
}

export type FromServer =
  | { type: 'list'; id: string; resourceVersion: string; items: KubeObject[] }
  | { type: 'event'; id: string; event: 'ADDED' | 'MODIFIED' | 'DELETED'; object: KubeObject }
  | { type: 'bookmark'; id: string; resourceVersion: string }
  | { type: 'resync'; id: string }
  | { type: 'screens'; screens: Screen[] }
  | { type: 'pong'; t: number }
  | { type: 'error'; id: string; status: Status };

const PING = 5_000;
const STALE = 11_000; // two pings unanswered and a second of grace
const DEAD = 25_000; // by then a half-open connection is better replaced
const OFFLINE = 10_000; // retries that failed this long are called what they are
const BACKOFF_FIRST = 500;
const BACKOFF_MOST = 8_000;
const AGAIN = 5_000; // a refused subscription is asked for again after this

interface Subscription {
  path: string;
  resourceVersion: string | undefined;
}

export class Watch {
  readonly #world: World;
  readonly #to: Listener;
  readonly #subscriptions = new Map<string, Subscription>();
  #visible: { namespace: string; name: string }[] = [];
  #socket: Socket | undefined;
  #open = false;
  #wanted = false;
  #failures = 0;
  #heard = 0;
  #downSince: number | undefined;
  #cancelRetry: (() => void) | undefined;
  #cancelTick: (() => void) | undefined;

  constructor(world: World, to: Listener) {
    this.#world = world;
    this.#to = to;
  }

  start(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#to.truth({ kind: 'connecting' });
    this.#connect();
  }

  stop(): void {
    this.#wanted = false;
    this.#cancelRetry?.();
    this.#drop();
  }

  /** Now instead of when the back-off ends: the user asked, or the network came back. */
  reconnect(): void {
    if (!this.#wanted || this.#open) return;
    this.#cancelRetry?.();
    this.#failures = 0;
    this.#drop();
    this.#connect();
  }

  /** Starts a subscription, or changes its path. */
  subscribe(id: string, path: string): void {
    const known = this.#subscriptions.get(id);
    if (known?.path === path) return;
    if (known !== undefined) this.#send({ type: 'unsubscribe', id });
    this.#subscriptions.set(id, { path, resourceVersion: undefined });
    this.#ask(id);
  }

  unsubscribe(id: string): void {
    if (this.#subscriptions.delete(id)) this.#send({ type: 'unsubscribe', id });
  }

  /** The agents on screen: the whole list each time. */
  show(agents: { namespace: string; name: string }[]): void {
    this.#visible = agents;
    this.#send({ type: 'screens', agents });
  }

  #connect(): void {
    const socket = this.#world.open();
    this.#socket = socket;
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      this.#open = true;
      this.#heard = this.#world.now();
      for (const id of this.#subscriptions.keys()) this.#ask(id);
      this.#send({ type: 'screens', agents: this.#visible });
      this.#tick();
    };
    socket.onmessage = (event) => {
      if (this.#socket === socket && typeof event.data === 'string') this.#receive(event.data);
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#lost();
    };
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#open = false;
    this.#cancelTick?.();
    if (socket === undefined) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #lost(): void {
    const wasOpen = this.#open;
    this.#drop();
    if (!this.#wanted) return;
    const now = this.#world.now();
    this.#downSince ??= now;
    if (!wasOpen) this.#to.refused();
    const most = Math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** this.#failures);
    const wait = most * (0.5 + this.#world.random() / 2); // full fleets of tabs must not return in step
    this.#failures += 1;
    this.#to.truth(now - this.#downSince > OFFLINE ? { kind: 'offline', since: this.#downSince } : { kind: 'retrying', at: now + wait });
    this.#cancelRetry = this.#world.after(wait, () => {
      if (this.#wanted && this.#socket === undefined) this.#connect();
    });
  }

  #tick(): void {
    this.#cancelTick?.();
    const silent = this.#world.now() - this.#heard;
    if (silent > DEAD) return this.#lost();
    if (silent > STALE) this.#to.truth({ kind: 'stale', since: this.#heard });
    this.#send({ type: 'ping', t: this.#world.now() });
    this.#cancelTick = this.#world.after(PING, () => this.#tick());
  }

  #ask(id: string): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    const { path, resourceVersion } = subscription;
    this.#send({ type: 'subscribe', id, path, ...(resourceVersion === undefined ? {} : { resourceVersion }) });
  }

  #send(message: unknown): void {
    if (this.#open) this.#socket?.send(JSON.stringify(message));
  }

  #receive(text: string): void {
    this.#heard = this.#world.now();
    let message: FromServer;
    try {
      message = JSON.parse(text) as FromServer;
    } catch {
      return this.#lost(); // whoever talks like that is not our server any more
    }
    switch (message.type) {
      case 'pong':
        this.#failures = 0;
        this.#downSince = undefined;
        this.#to.truth({ kind: 'live', ms: Math.max(0, Math.round(this.#heard - message.t)) });
        return;
      case 'screens':
        this.#to.screens(message.screens);
        return;
      case 'list':
        if (!this.#reached(message.id, message.resourceVersion)) return;
        this.#to.list(message.id, message.items);
        this.#to.error(message.id, undefined);
        return;
      case 'event':
        if (!this.#reached(message.id, message.object.metadata.resourceVersion)) return;
        this.#to.event(message.id, message.event, message.object);
        return;
      case 'bookmark':
        this.#reached(message.id, message.resourceVersion);
        return;
      case 'resync': {
        // Too old to resume: a new list follows. What is shown stays until it is there.
        const subscription = this.#subscriptions.get(message.id);
        if (subscription !== undefined) subscription.resourceVersion = undefined;
        return;
      }
      case 'error':
        this.#refused(message.id, message.status);
        return;
    }
  }

  /** Remembers how far a subscription got. False when nobody wants it any more. */
  #reached(id: string, resourceVersion: string | undefined): boolean {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return false;
    if (resourceVersion !== undefined) subscription.resourceVersion = resourceVersion;
    return true;
  }

  #refused(id: string, status: Status): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    subscription.resourceVersion = undefined;
    this.#to.error(id, status);
    const socket = this.#socket;
    this.#world.after(AGAIN, () => {
      if (this.#socket === socket && this.#subscriptions.get(id) === subscription) this.#ask(id);
    });
  }
}
