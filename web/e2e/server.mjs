// A real server in a home of its own, and a real browser in front of it.
import { spawn, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
export const BINARY = process.env.REGATTA_BIN ?? join(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/regatta');
export const PATIENCE = 60_000; // generous: a loaded machine is not a failure

/** A debug binary serves web/dist from the disk: an old page would be tested in place of this one. */
function assertBuilt() {
  const built = statSync(join(root, 'web/dist/index.html')).mtimeMs;
  const source = join(root, 'web/src');
  const newer = readdirSync(source, { recursive: true }).filter((name) => statSync(join(source, name)).mtimeMs > built);
  if (newer.length > 0) throw new Error(`web/dist is older than ${newer[0]}; run: make web/dist/index.html`);
}

export class Server {
  #child;
  constructor() {
    assertBuilt();
    this.home = mkdtempSync('/tmp/rg-web-');
  }
  /** Starts it, on the addresses it had before if it ran before. */
  async start() {
    const [web, api] = this.running === undefined ? ['127.0.0.1:0', '127.0.0.1:0'] : [this.running.web, this.running.api].map((u) => u.split('//')[1]);
    const log = openSync(join(this.home, 'stderr'), 'a');
    this.#child = spawn(BINARY, ['up', '--listen', web, '--kube-listen', api, '-o', 'json', '--home', this.home], {
      env: { ...process.env, HOME: this.home },
      stdio: ['ignore', 'pipe', log],
    });
    const child = this.#child;
    const line = await new Promise((resolve, reject) => {
      let text = '';
      child.stdout.on('data', (chunk) => { text += chunk; if (text.includes('\n')) resolve(text); });
      child.on('exit', (code) => reject(new Error(`regatta up ended with ${code}: ${readFileSync(join(this.home, 'stderr'), 'utf8')}`)));
    });
    this.url = JSON.parse(line).url;
    this.running = JSON.parse(readFileSync(join(this.home, 'up.json'), 'utf8'));
  }
  /** No goodbye of any kind. */
  async kill9() {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.removeAllListeners('exit');
    this.#child.once('exit', () => {});
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await Promise.race([ended, gone]);
  }
  kubectl(...args) {
    return execFileSync('kubectl', args, { env: { ...process.env, HOME: this.home, KUBECONFIG: join(this.home, 'kubeconfig') }, encoding: 'utf8' });
  }
  async close() {
    await this.kill9();
    const identity = readFileSync(join(this.home, 'host/identity'), 'utf8').trim().slice(0, 8);
    const sockets = `/tmp/tmux-${process.getuid()}`;
    for (const name of readdirSync(sockets).filter((n) => n.startsWith(`regatta-${identity}-`))) {
      spawnSync('tmux', ['-L', name, 'kill-server']);
      rmSync(join(sockets, name), { force: true });
    }
    // What the agents ran writes its last words while it goes.
    await until('the home is gone', () => {
      rmSync(this.home, { recursive: true, force: true });
      return true;
    });
  }
}

export async function browser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/** Asks until it holds, or fails with what was last seen. */
export async function until(what, ask, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  let seen;
  for (;;) {
    try {
      seen = await ask();
      if (seen) return seen;
    } catch (error) {
      seen = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${patience / 1000} s; last seen: ${seen}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
