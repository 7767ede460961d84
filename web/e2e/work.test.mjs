// What a person does to an agent from the page: on a phone, in its YAML, at its end, and while the server is away.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Server, browser, until } from './server.mjs';

const server = new Server();
let chromium;
let page;
let phone;
const complaints = [];

const agent = (name, spec) => ({ apiVersion: 'regatta.dev/v1alpha1', kind: 'Agent', metadata: { name }, spec });
const get = (name) => JSON.parse(server.kubectl('get', 'agent', name, '-o', 'json'));
const there = (name) => server.kubectl('get', 'agents', '-o', 'name').split('\n').includes(`agent.regatta.dev/${name}`);
const open = (view, path) => view.goto(server.running.web + path);
const terminal = (view) => view.locator('[data-terminal]');
const live = (view) => until('the terminal', async () => (await terminal(view).getAttribute('data-state')) === 'live');
const screen = async (view) => (await terminal(view).locator('.xterm-rows').innerText()).replaceAll('\u00a0', ' ');
const focused = (view) => view.evaluate(() => document.activeElement?.id);
function listen(view) {
  view.on('console', (message) => {
    // What the network does while the server is down, and answers that are refusals, are not the page's doing.
    if (message.type() === 'error' && !/WebSocket|ERR_CONNECTION|Failed to load resource/.test(message.text())) complaints.push(`${message.text()} (${view.url()}, ${message.location().url}:${message.location().lineNumber}:${message.location().columnNumber})`);
  });
  view.on('pageerror', (error) => complaints.push(String(error)));
}

before(async () => {
  await server.start();
  const repo = { apiVersion: 'regatta.dev/v1alpha1', kind: 'Repo', metadata: { name: 'demo' }, spec: { path: join(server.home, 'demo'), initialize: true } };
  const nowhere = { apiVersion: 'regatta.dev/v1alpha1', kind: 'Repo', metadata: { name: 'nowhere' }, spec: { path: '/etc' } };
  const items = [
    repo,
    nowhere,
    agent('hands', { repoRef: { name: 'demo' }, adapter: 'shell' }),
    agent('sleeper', { repoRef: { name: 'demo' }, adapter: 'command', command: ['sleep', '100000'] }),
    agent('fails', { repoRef: { name: 'demo' }, adapter: 'command', command: ['false'] }),
    agent('messy', { repoRef: { name: 'demo' }, adapter: 'command', command: ['bash', '-c', 'echo work > unsaved.txt; echo written; exec sleep 100000'] }),
    agent('stranded', { repoRef: { name: 'nowhere' }, adapter: 'shell' }),
  ];
  const file = join(server.home, 'fleet.json');
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  server.kubectl('apply', '-f', file);
  server.kubectl('wait', '--for=condition=Ready', '--timeout=60s', 'agent/hands', 'agent/sleeper', 'agent/messy');
  chromium = await browser();
  page = await chromium.newPage({ viewport: { width: 1440, height: 900 } });
  listen(page);
  await page.goto(server.url);
  await page.getByRole('heading', { name: 'Fleet' }).first().waitFor();
  const pocket = await chromium.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, storageState: await page.context().storageState() });
  phone = await pocket.newPage();
  listen(phone);
});

after(async () => {
  await chromium?.close();
  await server.close();
});

test('a phone alone with a terminal takes its size, so that it is readable', async () => {
  await open(phone, '/agents/default/hands');
  await live(phone);
  await until('its size', async () => (await terminal(phone).getAttribute('data-owner')) === 'true');
  const size = () => phone.evaluate(() => parseFloat(getComputedStyle(document.querySelector('.xterm-rows')).fontSize));
  await until('a readable font', async () => (await size()) >= 12);
});

test('a line sent from the phone is typed and its echo appears', async () => {
  await phone.getByLabel('Line to send').fill('echo $((6*7))-sent');
  await phone.getByRole('button', { name: 'Send', exact: true }).tap();
  await until('the echo', async () => (await screen(phone)).includes('42-sent'));
  await until('the word of it', () => phone.getByText(/^Delivered/).isVisible());
});

test('the key bar interrupts, and never takes the focus', async () => {
  const line = phone.getByLabel('Line to send');
  await line.fill('sleep 1000; echo not-reached');
  await phone.getByRole('button', { name: 'Send', exact: true }).tap();
  await until('the command', async () => (await screen(phone)).includes('sleep 1000'));
  await line.focus();
  await phone.getByRole('button', { name: 'Esc', exact: true }).tap();
  assert.equal(await focused(phone), 'composer');
  await until('the interrupt', async () => {
    await phone.getByRole('button', { name: 'Control C' }).tap();
    return (await screen(phone)).includes('^C');
  });
  assert.equal(await focused(phone), 'composer');
  assert.ok(!/^not-reached/m.test(await screen(phone)));
});

test('everything to press on a phone is large enough for a thumb', async () => {
  for (const path of ['/agents/default/hands', '/agents/default/fails', '/agents/default/hands/yaml', '/new', '/repos', '/hosts']) {
    await open(phone, path);
    await until(`${path} is there`, async () => (await phone.locator('main').innerText()).length > 20);
    const small = await phone.evaluate(() => [...document.querySelectorAll('button, .btn, select, summary, input:not([type=radio])')]
      .map((e) => [e.getAttribute('aria-label') ?? e.textContent.trim(), e.getBoundingClientRect()])
      .filter(([, box]) => box.width > 0 && (box.width < 43.5 || box.height < 43.5))
      .map(([name, box]) => `${name}: ${box.width} x ${box.height}`));
    assert.deepEqual(small, [], path);
  }
});

test('the keyboard skips to the content, and leaves the terminal again', async () => {
  await open(page, '/');
  await page.getByRole('heading', { name: 'Fleet' }).first().waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'main');
  await open(page, '/agents/default/hands');
  await live(page);
  await terminal(page).locator('.xterm').click();
  await page.keyboard.press('Shift+F6');
  assert.equal(await focused(page), 'composer');
});

test('an agent that cannot start says why where its terminal would be', async () => {
  await open(page, '/agents/default/stranded');
  await until('the reason', async () => /cannot start[\s\S]*not a git repository/.test(await page.locator('main').innerText()));
});

test('YAML is checked by the server, shown as a difference and then applied', async () => {
  await open(page, '/agents/default/hands/yaml');
  await page.getByRole('button', { name: 'Edit' }).click();
  const editor = page.locator('.cm-content');
  const write = async (extra) => {
    await editor.click();
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete'); // replaced in one go, Chromium itself would try an inline style for the new text
    await page.keyboard.insertText(`apiVersion: regatta.dev/v1alpha1\nkind: Agent\nmetadata:\n  name: hands\n  namespace: default\nspec:\n  adapter: shell\n  repoRef:\n    name: demo\n${extra}`);
    await page.getByRole('button', { name: 'Check' }).click();
  };
  await write('  colour: red\n');
  await until('the refusal, with its line', async () => /Line 10\.[\s\S]*unknown field/.test(await page.getByRole('alert').innerText()));
  await write('  onDelete:\n    worktree: Keep\n');
  await until('the difference', async () => /What will change/.test(await page.locator('main').innerText()) && (await page.locator('main').innerText()).includes('worktree: Keep'));
  assert.equal(get('hands').spec.onDelete?.worktree, undefined, 'a dry run changes nothing');
  await page.getByRole('button', { name: 'Apply' }).click();
  await until('the change', () => get('hands').spec.onDelete?.worktree === 'Keep');
});

test('an agent is stopped and started', async () => {
  await open(page, '/agents/default/sleeper');
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await until('it stands', () => get('sleeper').status.activity === 'Stopped');
  await page.getByRole('button', { name: 'Start', exact: true }).first().click();
  await until('its second run', () => get('sleeper').status.session?.epoch === 2);
});

test('what ended can be run again', async () => {
  await open(page, '/agents/default/fails');
  await page.getByRole('button', { name: 'Run again' }).first().click();
  await until('its second run', () => get('fails').status.exit?.epoch === 2);
});

test('deleting an agent with unsaved work offers the ways out, and waits until one is taken', async () => {
  await until('the work is seen', () => get('messy').status.worktree?.dirty === true);
  await open(page, '/agents/default/messy');
  await page.getByRole('button', { name: 'Delete…' }).click();
  for (const way of [/Wait until it is saved/, /Keep the directory/, /Discard the work/]) assert.ok(await page.getByRole('radio', { name: way }).isVisible());
  await page.getByRole('button', { name: 'Stop and wait' }).click();
  await until('that it waits, and for what', async () => /waits for you[\s\S]*unsaved\.txt/.test(await page.getByRole('alert').innerText()));
  assert.ok(there('messy'));
  await page.getByRole('button', { name: 'Keep the directory' }).click();
  await until('it is gone', () => !there('messy'));
  await until('the page says so', () => page.getByText('This agent was deleted.').isVisible());
});

test('while the server is away the page says so, keeps what it knows, and comes back by itself', async () => {
  await open(page, '/');
  const truth = page.locator('[data-truth]').first();
  const said = async () => truth.getAttribute('data-truth');
  await until('live', async () => (await said()) === 'live');
  await server.kill9();
  await until('retrying', async () => (await said()) === 'retrying');
  await until('offline', async () => (await said()) === 'offline');
  await until('the banner', () => page.getByText(/Offline since \d/).last().isVisible());
  assert.ok(await page.locator('[data-agent="hands"]').isVisible());
  await server.start();
  await until('live again', async () => (await said()) === 'live');
});

test('the pages had nothing to complain about', () => {
  assert.deepEqual(complaints, []);
});
