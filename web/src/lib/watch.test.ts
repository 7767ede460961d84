import { describe, expect, test } from 'vitest';
import type { KubeObject, Status } from './types.ts';
import { type Socket, type Truth, Watch, type World } from './watch.ts';

class FakeSocket implements Socket {
  sent: Record<string, unknown>[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  send(text: string) {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }
  close() {
    this.closed = true;
  }
  say(message: unknown) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  asked(id: string) {
    return this.sent.filter((m) => m['type'] === 'subscribe' && m['id'] === id);
  }
}

class FakeWorld implements World {
  sockets: FakeSocket[] = [];
  time = 1_000_000;
  timers: { at: number; run: () => void }[] = [];
  open() {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return socket;
  }
  now() {
    return this.time;
  }
  random() {
    return 1;
  }
  after(ms: number, run: () => void) {
    const timer = { at: this.time + ms, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((t) => t !== timer);
    };
  }
  pass(ms: number) {
    const end = this.time + ms;
    for (;;) {
      const next = this.timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((t) => t !== next);
      this.time = next.at;
      next.run();
    }
    this.time = end;
  }
  last() {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('no socket yet');
    return socket;
  }
}

function setup() {
  const world = new FakeWorld();
  const told = { lists: [] as [string, number][], events: [] as string[], errors: [] as [string, Status | undefined][], truths: [] as Truth[], refused: 0 };
  const watch = new Watch(world, {
    list: (id, items) => told.lists.push([id, items.length]),
    event: (_, event, object) => told.events.push(`${event} ${object.metadata.name}`),
    screens: () => undefined,
    error: (id, status) => told.errors.push([id, status]),
    truth: (truth) => told.truths.push(truth),
    refused: () => (told.refused += 1),
  });
  return { world, told, watch };
}

const object = (name: string, resourceVersion: string): KubeObject => ({ apiVersion: 'v1', kind: 'X', metadata: { name, resourceVersion } });

describe('watch', () => {
  test('a reconnect resumes every subscription after the last thing it heard', () => {
    const { world, told, watch } = setup();
    watch.subscribe('agents', '/agents');
    watch.subscribe('repos', '/repos');
    watch.start();
    const first = world.last();
    first.onopen?.();
    expect(first.asked('agents')).toEqual([{ type: 'subscribe', id: 'agents', path: '/agents' }]);
    first.say({ type: 'list', id: 'agents', resourceVersion: '10', items: [object('a', '9')] });
    first.say({ type: 'event', id: 'agents', event: 'MODIFIED', object: object('a', '12') });
    first.say({ type: 'list', id: 'repos', resourceVersion: '10', items: [] });
    first.say({ type: 'bookmark', id: 'repos', resourceVersion: '30' });
    first.onclose?.();
    world.pass(1000);
    const second = world.last();
    expect(second).not.toBe(first);
    second.onopen?.();
    expect(second.asked('agents')[0]).toMatchObject({ resourceVersion: '12' });
    expect(second.asked('repos')[0]).toMatchObject({ resourceVersion: '30' });
    expect(told.events).toEqual(['MODIFIED a']);
  });

  test('a resync forgets the version, so that a drop before the new list lists again', () => {
    const { world, watch } = setup();
    watch.subscribe('agents', '/agents');
    watch.start();
    world.last().onopen?.();
    world.last().say({ type: 'list', id: 'agents', resourceVersion: '10', items: [] });
    world.last().say({ type: 'resync', id: 'agents' });
    world.last().onclose?.();
    world.pass(1000);
    world.last().onopen?.();
    expect(world.last().asked('agents')[0]).not.toHaveProperty('resourceVersion');
  });

  test('silence is called stale, then the connection is replaced', () => {
    const { world, told, watch } = setup();
    watch.start();
    const socket = world.last();
    socket.onopen?.();
    socket.say({ type: 'pong', t: world.time - 38 });
    expect(told.truths.at(-1)).toEqual({ kind: 'live', ms: 38 });
    world.pass(16_000);
    expect(told.truths.at(-1)?.kind).toBe('stale');
    world.pass(15_000);
    expect(socket.closed).toBe(true);
    expect(world.sockets.length).toBeGreaterThan(1);
  });

  test('retries back off to a bound and are called offline after ten seconds', () => {
    const { world, told, watch } = setup();
    watch.start();
    for (let i = 0; i < 10; i++) {
      world.last().onclose?.();
      const truth = told.truths.at(-1);
      if (truth?.kind === 'retrying') expect(truth.at - world.time).toBeLessThanOrEqual(15_000);
      world.pass(15_000);
    }
    expect(told.truths.at(-1)?.kind).toBe('offline');
    expect(told.refused).toBe(10);
  });

  test('a message of a subscription that ended changes nothing', () => {
    const { world, told, watch } = setup();
    watch.subscribe('events', '/events?a');
    watch.start();
    world.last().onopen?.();
    watch.unsubscribe('events');
    world.last().say({ type: 'event', id: 'events', event: 'ADDED', object: object('late', '1') });
    expect(told.events).toEqual([]);
  });

  test('a refused subscription says why and is asked for again without a version', () => {
    const { world, told, watch } = setup();
    watch.subscribe('agents', '/agents');
    watch.start();
    const socket = world.last();
    socket.onopen?.();
    socket.say({ type: 'list', id: 'agents', resourceVersion: '10', items: [] });
    socket.say({ type: 'error', id: 'agents', status: { code: 403, message: 'no' } });
    expect(told.errors.at(-1)?.[1]?.message).toBe('no');
    world.pass(5_000);
    expect(socket.asked('agents')).toHaveLength(2);
    expect(socket.asked('agents')[1]).not.toHaveProperty('resourceVersion');
  });
});
