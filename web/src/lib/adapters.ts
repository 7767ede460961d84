// The adapters an agent can be started with from the form. The list is the shipped set; adapters become objects later.

export interface Adapter {
  name: 'command' | 'shell';
  title: string;
  about: string;
  /** Needs spec.command. */
  command: boolean;
}

export const ADAPTERS: readonly [Adapter, ...Adapter[]] = [
  { name: 'shell', title: 'Shell', about: 'A login shell in the worktree, for you to type into.', command: false },
  { name: 'command', title: 'Command', about: 'Exactly these arguments, without a shell around them.', command: true },
];
