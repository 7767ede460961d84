// The pages there are.

import type { IconName } from '../ui/Icon.svelte';

export const PAGES: readonly { path: string; page: string; title: string; icon: IconName }[] = [
  { path: '/', page: 'fleet', title: 'Fleet', icon: 'fleet' },
  { path: '/repos', page: 'repos', title: 'Repos', icon: 'repo' },
  { path: '/hosts', page: 'hosts', title: 'Hosts', icon: 'host' },
];
