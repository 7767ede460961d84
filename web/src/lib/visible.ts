// Svelte action: tells the store which agents' cards are on screen, so that only their screens are sent.

import { fleet } from './fleet.svelte.ts';

const leave = new WeakMap<Element, () => void>();
const who = new WeakMap<Element, { namespace: string; name: string }>();

const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const agent = who.get(entry.target);
      if (agent === undefined) continue;
      if (entry.isIntersecting && !leave.has(entry.target)) leave.set(entry.target, fleet.look(agent.namespace, agent.name));
      else if (!entry.isIntersecting) release(entry.target);
    }
  },
  { rootMargin: '200px' }, // a card is filled when it scrolls in, not after
);

function release(node: Element): void {
  leave.get(node)?.();
  leave.delete(node);
}

export function visible(agent: { namespace: string; name: string }): (node: Element) => () => void {
  return (node) => {
    who.set(node, agent);
    observer.observe(node);
    return () => {
      observer.unobserve(node);
      who.delete(node);
      release(node);
    };
  };
}
