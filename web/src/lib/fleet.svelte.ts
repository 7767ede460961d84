// The one store: everything the pages know of the fleet, fed only by /watch. Nothing here asks, everything here is told.

import { SvelteMap } from 'svelte/reactivity';
import { onSessionLost, session, socketOrigin, ApiError } from './api.ts';
import { type Agent, type AgentClass, type Host, type KubeEvent, type KubeObject, key, type Repo, type Screen, type Source, type Status } from './types.ts';
import { type Socket, type Truth, Watch } from './watch.ts';

const API = '/apis/regatta.dev/v1alpha1';
const SETTLE = 100; // ms in which cards that scroll past are collected into one message

const KINDS = { agents: `${API}/agents`, repos: `${API}/repos`, hosts: `${API}/hosts`, agentclasses: `${API}/agentclasses`, sources: `${API}/sources` };

class Fleet {
  agents = new SvelteMap<string, Agent>();
  repos = new SvelteMap<string, Repo>();
  hosts = new SvelteMap<string, Host>();
  agentclasses = new SvelteMap<string, AgentClass>();
  sources = new SvelteMap<string, Source>();
  events = new SvelteMap<string, KubeEvent>();
  screens = new SvelteMap<string, Screen>();
  /** Why a subscription does not work, by its id. */
  errors = new SvelteMap<string, Status>();
  truth = $state.raw<Truth>({ kind: 'connecting' });
  user = $state<string>();
  /** `asking` until the server said who this is; `out` shows the login page. */
  login = $state<'asking' | 'in' | 'out' | 'unreachable'>('asking');
  /** Lists that have arrived: before that "none" would be a guess. */
  #listed = new SvelteMap<string, true>();
  #visible = new Map<string, number>();
  #settle: ReturnType<typeof setTimeout> | undefined;
  #eventsOf: Agent | undefined;

  readonly #watch = new Watch(
    {
      open: () => new WebSocket(`${socketOrigin()}/watch`) as unknown as Socket,
      now: () => Date.now(),
      random: () => Math.random(),
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
    },
    {
      list: (id, items) => this.#list(id, items),
      event: (id, event, object) => this.#event(id, event, object),
      screens: (screens) => {
        for (const screen of screens) this.screens.set(`${screen.namespace}/${screen.name}`, screen);
      },
      error: (id, status) => this.#error(id, status),
      truth: (truth) => (this.truth = truth),
      refused: () => void this.#whoAmI(),
    },
  );

  constructor() {
    onSessionLost(() => this.signedOut());
    addEventListener('online', () => this.reconnect());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible' && this.truth.kind !== 'live') this.reconnect();
    });
  }

  listed(id: keyof typeof KINDS): boolean {
    return this.#listed.has(id);
  }

  signedIn(user: string): void {
    this.user = user;
    this.login = 'in';
    for (const [id, path] of Object.entries(KINDS)) this.#watch.subscribe(id, path);
    this.#watch.start();
  }

  signedOut(): void {
    this.login = 'out';
    this.#watch.stop();
  }

  reconnect(): void {
    this.#watch.reconnect();
  }

  /** Asks the server who this browser is and starts or ends accordingly. */
  async begin(): Promise<void> {
    this.login = 'asking';
    await this.#whoAmI();
  }

  async #whoAmI(): Promise<void> {
    try {
      const found = await session();
      if (found === undefined) this.signedOut();
      else this.signedIn(found.user);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // Unreachable is not signed out: what is on screen stays, and the watch goes on trying.
      if (this.login === 'asking') this.login = 'unreachable';
    }
  }

  /** The agent whose page is open: its events are followed as long as it is. */
  follow(agent: Agent | undefined): void {
    if (agent?.metadata.uid === this.#eventsOf?.metadata.uid) return;
    this.#eventsOf = agent;
    this.events.clear();
    if (agent === undefined) return this.#watch.unsubscribe('events');
    const { namespace = 'default', name } = agent.metadata;
    const selector = encodeURIComponent(`involvedObject.kind=Agent,involvedObject.name=${name}`);
    this.#watch.subscribe('events', `/api/v1/namespaces/${namespace}/events?fieldSelector=${selector}`);
  }

  /** A card of this agent came on screen; the returned function says that it left. */
  look(namespace: string, name: string): () => void {
    const id = `${namespace}/${name}`;
    this.#visible.set(id, (this.#visible.get(id) ?? 0) + 1);
    this.#settled();
    return () => {
      const left = (this.#visible.get(id) ?? 1) - 1;
      if (left > 0) this.#visible.set(id, left);
      else this.#visible.delete(id);
      this.#settled();
    };
  }

  #settled(): void {
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => {
      this.#watch.show(
        [...this.#visible.keys()].map((id) => {
          const slash = id.indexOf('/');
          return { namespace: id.slice(0, slash), name: id.slice(slash + 1) };
        }),
      );
    }, SETTLE);
  }

  #map(id: string): SvelteMap<string, KubeObject> | undefined {
    switch (id) {
      case 'agents':
      case 'repos':
      case 'hosts':
      case 'agentclasses':
      case 'sources':
      case 'events':
        return this[id] as unknown as SvelteMap<string, KubeObject>;
      default:
        return undefined;
    }
  }

  #list(id: string, items: KubeObject[]): void {
    const map = this.#map(id);
    if (map === undefined) return;
    const now = new Set(items.map(key));
    for (const old of [...map.keys()]) if (!now.has(old)) map.delete(old);
    for (const item of items) this.#put(id, map, item);
    this.#listed.set(id, true);
  }

  #event(id: string, event: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    const map = this.#map(id);
    if (map === undefined) return;
    if (event === 'DELETED') {
      map.delete(key(object));
      if (id === 'agents') this.screens.delete(key(object));
    } else this.#put(id, map, object);
  }

  #put(id: string, map: SvelteMap<string, KubeObject>, object: KubeObject): void {
    if (id === 'events' && !this.#isOurs(object as KubeEvent)) return;
    // A re-created agent of the same name has another terminal: the old screen is a stranger's.
    if (id === 'agents' && map.get(key(object))?.metadata.uid !== object.metadata.uid) this.screens.delete(key(object));
    map.set(key(object), object);
  }

  #isOurs(event: KubeEvent): boolean {
    const about = event.involvedObject;
    const agent = this.#eventsOf;
    if (agent === undefined || about?.name !== agent.metadata.name) return false;
    return about.uid === undefined || about.uid === '' || about.uid === agent.metadata.uid;
  }

  #error(id: string, status: Status | undefined): void {
    if (status === undefined) {
      this.errors.delete(id);
      return;
    }
    this.errors.set(id, status);
    // A server that cannot select events by object still has them: take all of the namespace and sort here.
    if (id === 'events' && status.code === 400 && this.#eventsOf !== undefined) {
      this.#watch.subscribe('events', `/api/v1/namespaces/${this.#eventsOf.metadata.namespace ?? 'default'}/events`);
    }
  }
}

export const fleet = new Fleet();
