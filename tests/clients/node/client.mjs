// @kubernetes/client-node: CRUD through the dynamic and the typed APIs, every patch strategy, and an informer whose
// cache follows a server through `kill -9`.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  ApiextensionsV1Api,
  ApiException,
  CoordinationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  VersionApi,
} from '@kubernetes/client-node';

const PATIENCE = 60_000;
const GROUP = 'clients.example';
const NAMESPACE = 'default';
const KITES = { group: GROUP, version: 'v1', namespace: NAMESPACE, plural: 'kites' };

const config = new KubeConfig();
config.loadFromDefault();
const objects = KubernetesObjectApi.makeApiClient(config);
const core = config.makeApiClient(CoreV1Api);
const custom = config.makeApiClient(CustomObjectsApi);

async function until(what, ask) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The Status that a refusal must come with. */
async function refused(code, attempt) {
  try {
    await attempt();
  } catch (error) {
    if (!(error instanceof ApiException)) throw error;
    assert.equal(error.code, code, error.message);
    return typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
  }
  throw new Error(`not refused with ${code}`);
}

function kite(name, colour = 'red', spec = {}) {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: 'Kite',
    metadata: { name, namespace: NAMESPACE, labels: { colour } },
    spec: { colour, ...spec },
  };
}

async function definition() {
  const schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        required: ['colour'],
        properties: {
          // The typed model's names for what JavaScript reserves.
          colour: { type: 'string', _enum: ['red', 'green'] },
          tails: { type: 'integer', _default: 1, maximum: 99 },
        },
      },
      status: { type: 'object', properties: { height: { type: 'integer' } } },
    },
  };
  await config.makeApiClient(ApiextensionsV1Api).createCustomResourceDefinition({
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `kites.${GROUP}` },
      spec: {
        group: GROUP,
        scope: 'Namespaced',
        names: { plural: 'kites', singular: 'kite', kind: 'Kite' },
        versions: [
          { name: 'v1', served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema: schema } },
        ],
      },
    },
  });
  await until('the kind is served', async () => {
    try {
      await custom.listNamespacedCustomObject(KITES);
      return true;
    } catch (error) {
      if (error instanceof ApiException && error.code === 404) return false;
      throw error;
    }
  });
}

async function verbs() {
  assert.equal((await config.makeApiClient(VersionApi).getCode()).major, '1');
  const made = await objects.create(kite('one'));
  assert.deepEqual([made.spec.tails, made.metadata.generation], [1, 1]);
  assert.equal((await refused(409, () => objects.create(kite('one')))).reason, 'AlreadyExists');
  const wrong = await refused(422, () => objects.create(kite('bad', 'pink')));
  assert.equal(wrong.details.causes[0].field, 'spec.colour');
  assert.equal((await refused(404, () => objects.read(kite('none')))).reason, 'NotFound');

  const merged = await objects.patch(kite('one', 'red', { tails: 2 }), undefined, undefined, undefined, undefined, PatchStrategy.MergePatch);
  assert.deepEqual([merged.spec.tails, merged.metadata.generation], [2, 2]);
  const operations = [{ op: 'test', path: '/spec/tails', value: 2 }, { op: 'replace', path: '/spec/tails', value: 3 }];
  const patched = await custom.patchNamespacedCustomObject(
    { ...KITES, name: 'one', body: operations },
    setHeaderOptions('Content-Type', PatchStrategy.JsonPatch),
  );
  assert.equal(patched.spec.tails, 3);
  const status = await custom.patchNamespacedCustomObjectStatus(
    { ...KITES, name: 'one', body: { status: { height: 90 } } },
    setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
  );
  assert.deepEqual([status.status.height, status.metadata.generation], [90, 3]);

  const apply = (manager, force, spec) =>
    objects.patch(kite('applied', 'green', spec), undefined, undefined, manager, force, PatchStrategy.ServerSideApply);
  const first = await apply('first', undefined, { tails: 4 });
  assert.equal((await apply('first', undefined, { tails: 4 })).metadata.resourceVersion, first.metadata.resourceVersion);
  const conflict = await refused(409, () => apply('second', undefined, { tails: 5 }));
  assert.match(conflict.message, /"first".*\.spec\.tails/s);
  assert.equal((await apply('second', true, { tails: 5 })).spec.tails, 5);

  const stale = { ...made, spec: { ...made.spec, tails: 7 } };
  assert.equal((await refused(409, () => objects.replace(stale))).reason, 'Conflict');
  const fresh = await objects.read(kite('one'));
  fresh.spec.tails = 8;
  assert.equal((await objects.replace(fresh)).spec.tails, 8);
  await objects.delete(kite('one'));
  await refused(404, () => objects.read(kite('one')));
}

async function typed() {
  await core.createNamespace({ body: { metadata: { name: 'harbour' } } });
  await core.createNamespacedSecret({ namespace: 'harbour', body: { metadata: { name: 's' }, stringData: { k: 'v' } } });
  assert.deepEqual((await core.readNamespacedSecret({ namespace: 'harbour', name: 's' })).data, { k: 'dg==' });
  await core.createNamespacedConfigMap({ namespace: 'harbour', body: { metadata: { name: 'c' }, data: { a: '1' } } });
  const strategic = await core.patchNamespacedConfigMap(
    { namespace: 'harbour', name: 'c', body: { data: { b: '2' } } },
    setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
  );
  assert.deepEqual(strategic.data, { a: '1', b: '2' });
  const lease = { metadata: { name: 'l' }, spec: { holderIdentity: 'me', leaseDurationSeconds: 15 } };
  const leases = config.makeApiClient(CoordinationV1Api);
  await leases.createNamespacedLease({ namespace: 'harbour', body: lease });
  assert.equal((await leases.readNamespacedLease({ namespace: 'harbour', name: 'l' })).spec.holderIdentity, 'me');
  await core.deleteNamespace({ name: 'harbour' });
  await until('the namespace is gone', async () => {
    const { items } = await core.listNamespace();
    return !items.some((namespace) => namespace.metadata.name === 'harbour');
  });
}

/** A cache as every controller has one; what it is told is checked against what may be told. */
async function informs() {
  const told = new Map();
  const problems = [];
  let connects = 0;
  const list = () => custom.listNamespacedCustomObject(KITES);
  const informer = makeInformer(config, `/apis/${GROUP}/v1/namespaces/${NAMESPACE}/kites`, list);
  const tell = (what) => (object) => {
    const seen = told.get(object.metadata.name) ?? [];
    const last = seen.at(-1);
    const version = BigInt(object.metadata.resourceVersion);
    if (what === 'add' && last && last.what !== 'delete') problems.push(`${object.metadata.name} was added twice`);
    if (what === 'update' && last && version <= last.version) problems.push(`${object.metadata.name} was told twice`);
    if (what !== 'add' && !last) problems.push(`${object.metadata.name}: ${what} of what was never added`);
    told.set(object.metadata.name, [...seen, { what, version, tails: object.spec.tails }]);
  };
  for (const what of ['add', 'update', 'delete']) informer.on(what, tell(what));
  informer.on('connect', () => (connects += 1));
  // As the library's own examples do it: an error ends the informer, and it is started again.
  informer.on('error', () => setTimeout(() => informer.start().catch(() => again()), 100));
  const again = () => setTimeout(() => informer.start().catch(() => again()), 100);
  await informer.start();

  const tails = (name) => (told.get(name) ?? []).filter((t) => t.what !== 'delete').map((t) => t.tails);
  for (let number = 0; number < 3; number += 1) await objects.create(kite(`seen-${number}`));
  await until('it was told of all three', () => [0, 1, 2].every((n) => told.has(`seen-${n}`)));
  for (let count = 2; count < 7; count += 1) {
    const body = { spec: { tails: count } };
    await custom.patchNamespacedCustomObject({ ...KITES, name: 'seen-0', body }, setHeaderOptions('Content-Type', PatchStrategy.MergePatch));
  }
  await until('every state in its order', () => tails('seen-0').length >= 6);
  assert.deepEqual(tails('seen-0'), [1, 2, 3, 4, 5, 6]);

  const before = connects;
  await promisify(execFile)(`${process.env.WORK}/restart`, { timeout: PATIENCE });
  await until('the server answers again', () => core.listNamespace().then(() => true, () => false));
  await objects.delete(kite('seen-1'));
  await objects.create(kite('seen-after'));
  await until('it connected again', () => connects > before);
  await until('it knows what was deleted', () => told.get('seen-1').at(-1).what === 'delete');
  await until('it knows what is new', () => told.has('seen-after'));
  const { items } = await list();
  const names = (all) => all.map((object) => object.metadata.name).sort();
  assert.deepEqual(names(informer.list(NAMESPACE)), names(items));
  assert.deepEqual(tails('seen-0'), [1, 2, 3, 4, 5, 6], 'nothing is told again after the restart');
  await informer.stop();
  assert.deepEqual(problems, []);
}

await definition();
await verbs();
await typed();
await informs();
// Sockets that are kept alive must not keep the program.
process.exit(0);
