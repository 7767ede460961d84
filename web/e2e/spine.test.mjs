// What a person does with the first fleet, in a real browser against a real server.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Server, browser, until } from './server.mjs';

const shots = new URL('../test-results/', import.meta.url).pathname;
const server = new Server();
let chromium;
let page;
const complaints = [];

before(async () => {
  mkdirSync(shots, { recursive: true });
  await server.start();
  const example = new URL('../../manifests/examples/first-fleet.yaml', import.meta.url);
  const text = readFileSync(example, 'utf8');
  const path = /^\s*path: (\S+)/m.exec(text)[1];
  const file = join(server.home, 'first-fleet.yaml');
  writeFileSync(file, text.replaceAll(path, join(server.home, 'fleet-repo')));
  server.kubectl('apply', '-f', file);
  chromium = await browser();
  page = await chromium.newPage({ viewport: { width: 1440, height: 900 } });
  page.on('console', (message) => {
    // While the server is down its sockets and requests fail, and the browser says so; that is not the page's doing.
    if (message.type() === 'error' && !/WebSocket|ERR_CONNECTION|Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
});

after(async () => {
  await chromium?.close();
  await server.close();
});

const agents = () => JSON.parse(server.kubectl('get', 'agents', '-o', 'json')).items;
const card = (name) => page.locator(`[data-agent="${name}"]`);
const terminal = () => page.locator('[data-terminal]');
const screen = async () => (await terminal().locator('.xterm-rows').innerText()).replaceAll('\u00a0', ' ');

test('the printed URL logs in, and its code is gone from the address', async () => {
  await page.goto(server.url);
  await until('the fleet', () => page.getByRole('heading', { name: 'Fleet' }).first().isVisible());
  assert.ok(!page.url().includes('code='), page.url());
});

test('the code works once', async () => {
  const stranger = await chromium.newContext();
  const other = await stranger.newPage();
  await other.goto(server.url);
  await until('the refusal', async () => /regatta login/.test(await other.locator('body').innerText()));
  await stranger.close();
});

test('the fleet shows three agents live', async () => {
  const names = agents().map((a) => a.metadata.name);
  assert.equal(names.length, 3);
  for (const name of names) await until(`card of ${name}`, () => card(name).isVisible());
  server.kubectl('wait', '--for=condition=Ready', '--timeout=60s', 'agents', '--all');
  // Live: what a card shows changes by itself as its agent prints.
  const moving = await until('a card that moves', async () => {
    for (const name of names) {
      const first = await card(name).innerText();
      await page.waitForTimeout(1500);
      if (first !== (await card(name).innerText())) return name;
    }
    return undefined;
  });
  assert.ok(moving);
});

test('typing into the shell shows the echo', async () => {
  const shell = agents().find((a) => a.status.effective.adapter === 'shell').metadata.name;
  await card(shell).getByRole('link').first().click();
  await until('the terminal', async () => (await terminal().getAttribute('data-state')) === 'live');
  await terminal().locator('.xterm').click();
  await page.keyboard.type('echo $((6*7))-answer');
  await page.keyboard.press('Enter');
  await until('the answer', async () => (await screen()).includes('42-answer'));
});

test('after kill -9 the page goes on by itself, with no byte missing and none twice, 20 of 20 times', async () => {
  const name = 'ticker';
  const line = 'i=0; while :; do printf "tick %06d\\n" $i; i=$((i+1)); sleep 0.02; done';
  const manifest = { apiVersion: 'regatta.dev/v1alpha1', kind: 'Agent', metadata: { name }, spec: { adapter: 'command', command: ['bash', '-c', line] } };
  const file = join(server.home, 'ticker.json');
  writeFileSync(file, JSON.stringify(manifest));
  server.kubectl('apply', '-f', file);
  server.kubectl('wait', '--for=condition=Ready', '--timeout=60s', `agent/${name}`);

  // Every byte that the page is given, by the offset it came with: over all connections they must be one stream.
  let next;
  let text = '';
  let faults = 0;
  page.on('websocket', (socket) => {
    if (!socket.url().includes(`/agents/${name}/terminal`)) return;
    socket.on('framereceived', ({ payload }) => {
      if (typeof payload === 'string') {
        const message = JSON.parse(payload);
        if (message.type === 'snapshot') {
          if (next !== undefined) faults++; // a view that was live must resume, not start over
          next = message.offset;
        }
        return;
      }
      const offset = Number(payload.readBigUInt64BE(0));
      if (next !== undefined && offset !== next) faults++;
      next = offset + payload.length - 8;
      text += payload.subarray(8).toString('latin1');
    });
  });
  await page.goto(`${server.running.web}/agents/default/${name}`);
  const shown = async () => Number(await terminal().getAttribute('data-offset'));
  await until('the ticker', async () => (await terminal().getAttribute('data-state')) === 'live' && (await shown()) > 0);
  for (let round = 1; round <= 20; round++) {
    const seen = await shown();
    await server.kill9();
    await server.start();
    await until(`round ${round}: the page goes on`, async () => (await terminal().getAttribute('data-state')) === 'live' && (await shown()) > seen);
  }
  await until('the page has caught up', async () => (await shown()) === next);
  assert.equal(faults, 0);
  const ticks = [...text.matchAll(/tick (\d{6})\r\n/g)].map((m) => Number(m[1]));
  for (let i = 1; i < ticks.length; i++) assert.equal(ticks[i], ticks[i - 1] + 1);
  assert.ok(ticks.length > 100, `only ${ticks.length} lines`);
  const rows = [...(await screen()).matchAll(/tick (\d{6})/g)].map((m) => Number(m[1]));
  for (let i = 1; i < rows.length; i++) assert.equal(rows[i], rows[i - 1] + 1, 'the screen itself shows one line after the other');
  server.kubectl('delete', 'agent', name);
});

test('the new-agent form shows the YAML it applies, and applies it', async () => {
  await page.goto(`${server.running.web}/new`);
  await page.getByLabel('Name', { exact: true }).fill('from-the-form');
  await until('the YAML follows', async () => (await page.locator('body').innerText()).includes('from-the-form'));
  await page.getByRole('button', { name: /^(create|start)/i }).last().click();
  await until('the agent', () => agents().some((a) => a.metadata.name === 'from-the-form'));
  server.kubectl('wait', '--for=condition=Ready', '--timeout=60s', 'agent/from-the-form');
});

for (const [theme, width, height] of [['dark', 1440, 900], ['light', 1440, 900], ['dark', 390, 844], ['light', 390, 844]]) {
  test(`every page fits ${width} px in ${theme}`, async () => {
    const context = await chromium.newContext({ viewport: { width, height }, colorScheme: theme, hasTouch: width < 500, isMobile: width < 500, storageState: await page.context().storageState() });
    const view = await context.newPage();
    const shell = agents().find((a) => a.status.effective?.adapter === 'shell').metadata.name;
    for (const [name, path] of [['fleet', '/'], ['agent', `/agents/default/${shell}`], ['yaml', `/agents/default/${shell}/yaml`], ['new', '/new'], ['repos', '/repos'], ['hosts', '/hosts']]) {
      await view.goto(server.running.web + path);
      await until(`${name} is there`, async () => (await view.locator('main, [role=main]').first().innerText()).length > 20);
      await view.waitForTimeout(700); // a thumbnail or two
      const wide = await view.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
      await view.screenshot({ path: `${shots}${name}-${theme}-${width}.png` });
    }
    await context.close();
  });
}

test('the page had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});
