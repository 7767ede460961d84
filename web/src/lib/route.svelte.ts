// Which page is looked at. The URL is the only place that knows; this reads it and changes it.

export type Route =
  | { page: 'fleet' }
  | { page: 'agent'; namespace: string; name: string; tab: 'terminal' | 'yaml' }
  | { page: 'new' }
  | { page: 'repos' }
  | { page: 'hosts' }
  | { page: 'login' }
  | { page: 'missing'; path: string };

export function parse(path: string): Route {
  const parts = path.split('/').filter((p) => p !== '').map(decodeURIComponent);
  const [first, namespace, name, tab] = parts;
  if (first === undefined) return { page: 'fleet' };
  if (first === 'agents' && namespace !== undefined && name !== undefined && parts.length <= 4) {
    if (tab === undefined) return { page: 'agent', namespace, name, tab: 'terminal' };
    if (tab === 'yaml') return { page: 'agent', namespace, name, tab };
  }
  if (parts.length === 1 && (first === 'new' || first === 'repos' || first === 'hosts' || first === 'login')) return { page: first };
  return { page: 'missing', path };
}

export function agentPath(object: { metadata: { namespace?: string; name: string } }, tab?: 'yaml'): string {
  const base = `/agents/${encodeURIComponent(object.metadata.namespace ?? 'default')}/${encodeURIComponent(object.metadata.name)}`;
  return tab === undefined ? base : `${base}/${tab}`;
}

class Router {
  path = $state(location.pathname);
  search = $state(location.search);
  route: Route = $derived(parse(this.path));

  constructor() {
    addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#click(event));
  }

  go(to: string): void {
    if (to === location.pathname + location.search) return;
    history.pushState(null, '', to);
    this.#read();
    document.getElementById('main')?.focus({ preventScroll: true });
  }

  replace(to: string): void {
    history.replaceState(null, '', to);
    this.#read();
  }

  #read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }

  /** Every plain click on a link of this origin stays in the page. */
  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a[href]');
    if (!(link instanceof HTMLAnchorElement) || link.origin !== location.origin || link.target !== '' || link.hasAttribute('download')) return;
    if (link.hash !== '' && link.pathname === location.pathname) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

export const router = new Router();
