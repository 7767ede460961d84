"""The Python `kubernetes` client: discovery, every verb of the dynamic client and of typed ones, and a cache of the
state that follows a server through `kill -9`."""

import threading

import kubernetes
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, UnprocessibleEntityError

from kites import DEFINITION, GROUP, VERSION, equal, kite, restart, until

NAMESPACE = "default"


def refused(error, attempt):
    """The exception of the class that a refusal must come as."""
    try:
        attempt()
    except error as refusal:
        return refusal
    raise AssertionError(f"not refused with {error.__name__}")


def discovery(dyn):
    agents = dyn.resources.get(api_version="regatta.dev/v1alpha1", kind="Agent")
    equal((agents.name, agents.namespaced, "ag" in agents.short_names), ("agents", True, True), "what an Agent is")
    maps = dyn.resources.get(api_version="v1", kind="ConfigMap")
    equal(maps.group_version, "v1", "the group of ConfigMaps")
    refused(dynamic.exceptions.ResourceNotFoundError, lambda: dyn.resources.get(api_version="v1", kind="Boat"))
    return agents, maps


def definition(dyn):
    crds = dyn.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    crds.create(body=DEFINITION)

    def established():
        conditions = crds.get(name=DEFINITION["metadata"]["name"]).to_dict()["status"].get("conditions", [])
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    until("the definition is established", established)
    dyn.resources.invalidate_cache()
    return dyn.resources.get(api_version=f"{GROUP}/{VERSION}", kind="Kite")


def verbs(kites):
    made = kites.create(body=kite("one"), namespace=NAMESPACE)
    equal((made.spec.tails, made.metadata.generation), (1, 1), "defaults and the generation of a new object")
    refused(ConflictError, lambda: kites.create(body=kite("one"), namespace=NAMESPACE))
    wrong = refused(UnprocessibleEntityError, lambda: kites.create(body=kite("bad", "pink"), namespace=NAMESPACE))
    assert "spec.colour" in wrong.body, wrong.body
    wrong = refused(UnprocessibleEntityError, lambda: kites.create(body=kite("bad", "blue", tails=6), namespace=NAMESPACE))
    assert "a blue kite has few tails" in wrong.body, wrong.body
    refused(NotFoundError, lambda: kites.get(name="none", namespace=NAMESPACE))

    merged = kites.patch(body={"spec": {"tails": 2}}, name="one", namespace=NAMESPACE, content_type="application/merge-patch+json")
    equal((merged.spec.tails, merged.metadata.generation), (2, 2), "a merge patch")
    operations = [{"op": "test", "path": "/spec/tails", "value": 2}, {"op": "replace", "path": "/spec/tails", "value": 3}]
    patched = kites.patch(body=operations, name="one", namespace=NAMESPACE, content_type="application/json-patch+json")
    equal(patched.spec.tails, 3, "a JSON patch")
    strategic = refused(
        ApiException, lambda: kites.patch(body={"spec": {"tails": 4}}, name="one", namespace=NAMESPACE, content_type="application/strategic-merge-patch+json")
    )
    equal(strategic.status, 415, "a strategic patch of a custom kind")

    stale = made.to_dict()
    stale["spec"]["tails"] = 7
    refused(ConflictError, lambda: kites.replace(body=stale, namespace=NAMESPACE))
    fresh = kites.get(name="one", namespace=NAMESPACE).to_dict()
    fresh["spec"]["tails"] = 4
    equal(kites.replace(body=fresh, namespace=NAMESPACE).spec.tails, 4, "a replacement")

    before = kites.get(name="one", namespace=NAMESPACE).metadata
    status = kites.status.patch(body={"status": {"height": 90}}, name="one", namespace=NAMESPACE, content_type="application/merge-patch+json")
    equal((status.status.height, status.metadata.generation), (90, before.generation), "a status is no new generation")
    kites.patch(body={"status": {"height": 1}}, name="one", namespace=NAMESPACE, content_type="application/merge-patch+json")
    equal(kites.get(name="one", namespace=NAMESPACE).status.height, 90, "the status is written by its subresource only")
    scale = kites.scale.patch(body={"spec": {"replicas": 5}}, name="one", namespace=NAMESPACE, content_type="application/merge-patch+json")
    equal((scale.kind, scale.spec.replicas), ("Scale", 5), "the scale")
    equal(kites.get(name="one", namespace=NAMESPACE).spec.tails, 5, "what the scale set")


def applies(kites):
    lines = [{"name": "left", "length": 10}]
    first = kites.server_side_apply(body=kite("applied", lines=lines), namespace=NAMESPACE, field_manager="first")
    again = kites.server_side_apply(body=kite("applied", lines=lines), namespace=NAMESPACE, field_manager="first")
    equal(again.metadata.resourceVersion, first.metadata.resourceVersion, "the same applied again changes nothing")
    other = kite("applied", lines=[{"name": "right", "length": 20}])
    both = kites.server_side_apply(body=other, namespace=NAMESPACE, field_manager="second")
    equal([line.name for line in both.spec.lines], ["left", "right"], "each manager has its own line")
    clash = kite("applied", lines=[{"name": "left", "length": 11}])
    conflict = refused(ConflictError, lambda: kites.server_side_apply(body=clash, namespace=NAMESPACE, field_manager="second"))
    assert "first" in conflict.body and "length" in conflict.body, conflict.body
    forced = kites.server_side_apply(body=clash, namespace=NAMESPACE, field_manager="second", force_conflicts=True)
    equal([(line.name, line.length) for line in forced.spec.lines], [("left", 11)], "what is forced, and what is let go")


def lists(kites):
    for number in range(25):
        kites.create(body=kite(f"many-{number:02}", "green"), namespace=NAMESPACE)
    names, token, pages = [], None, 0
    while True:
        page = kites.get(namespace=NAMESPACE, label_selector="colour=green", limit=10, _continue=token)
        names += [item.metadata.name for item in page.items]
        pages += 1
        token = page.metadata.get("continue")
        if not token:
            break
    equal((names, pages), ([f"many-{n:02}" for n in range(25)], 3), "the pages of a list")
    found = kites.get(field_selector="metadata.name=many-07")
    equal([item.metadata.name for item in found.items], ["many-07"], "a field selector over all namespaces")
    kites.delete(namespace=NAMESPACE, label_selector="colour=green")
    until("the collection is gone", lambda: not kites.get(namespace=NAMESPACE, label_selector="colour=green").items)


def typed(maps):
    core = client.CoreV1Api()
    core.create_namespace({"metadata": {"name": "harbour"}})
    core.create_namespaced_secret("harbour", client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"k": "v"}))
    equal(core.read_namespaced_secret("s", "harbour").data, {"k": "dg=="}, "a secret's text is encoded")
    core.create_namespaced_config_map("harbour", {"metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}})
    patched = core.patch_namespaced_config_map("c", "harbour", {"data": {"a": None, "c": "3"}})
    equal(patched.data, {"b": "2", "c": "3"}, "a patch of a typed client")
    owner = core.read_namespaced_config_map("c", "harbour")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": owner.metadata.uid}
    maps.create(body={"metadata": {"name": "owned", "ownerReferences": [reference]}}, namespace="harbour")
    core.delete_namespaced_config_map("c", "harbour", propagation_policy="Background")
    until("what it owned is gone", lambda: "owned" not in [m.metadata.name for m in core.list_namespaced_config_map("harbour").items])
    lease = client.CoordinationV1Api()
    lease.create_namespaced_lease("harbour", {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}})
    equal(lease.read_namespaced_lease("l", "harbour").spec.holder_identity, "me", "a lease")
    equal(client.VersionApi().get_code().major, "1", "the version")
    review = client.AuthorizationV1Api().create_self_subject_access_review(
        {"spec": {"resourceAttributes": {"group": GROUP, "resource": "kites", "verb": "create", "namespace": NAMESPACE}}}
    )
    equal(review.status.allowed, True, "what I may do")
    core.delete_namespace("harbour")
    until("the namespace is gone", lambda: "harbour" not in [n.metadata.name for n in core.list_namespace().items])


class Mirror(threading.Thread):
    """A cache as every operator has one: list, watch from there, and list again when the watch is lost."""

    def __init__(self, kites):
        super().__init__(daemon=True)
        self.kites, self.lists, self.failure = kites, 0, None
        self.versions = {}  # name: every version seen, in order
        self.here = set()
        self.done = threading.Event()

    def run(self):
        try:
            while not self.done.is_set():
                try:
                    self.round()
                except (ApiException, OSError, kubernetes.client.rest.urllib3.exceptions.HTTPError):
                    # The server is away, or the version is too old: look anew.
                    self.done.wait(0.1)
        except BaseException as failure:  # told by the main thread
            self.failure = failure

    def round(self):
        page = self.kites.get(namespace=NAMESPACE)
        self.lists += 1
        self.here = {item.metadata.name for item in page.items}
        for item in page.items:
            self.see(item.metadata, again=True)
        for event in self.kites.watch(namespace=NAMESPACE, resource_version=page.metadata.resourceVersion, timeout=30, watcher=watch.Watch()):
            meta = event["object"].metadata
            if event["type"] == "DELETED":
                self.here.discard(meta.name)
            elif event["type"] == "ADDED" and meta.name in self.here:
                raise AssertionError(f"{meta.name} was added twice in one watch")
            else:
                self.here.add(meta.name)
            self.see(meta, again=False)
            if self.done.is_set():
                return

    def see(self, meta, again):
        seen = self.versions.setdefault(meta.name, [])
        version = int(meta.resourceVersion)
        if seen and version == seen[-1] and not again:
            raise AssertionError(f"{meta.name} at version {version} was told twice")
        if seen and version < seen[-1]:
            raise AssertionError(f"{meta.name} went back from {seen[-1]} to {version}")
        if not seen or version > seen[-1]:
            seen.append(version)


def mirror(kites):
    cache = Mirror(kites)
    cache.start()
    until("the first list", lambda: cache.lists)
    for number in range(3):
        kites.create(body=kite(f"seen-{number}"), namespace=NAMESPACE)
    versions = []
    for tails in range(2, 6):
        merge = {"spec": {"tails": tails}}
        changed = kites.patch(body=merge, name="seen-0", namespace=NAMESPACE, content_type="application/merge-patch+json")
        versions.append(int(changed.metadata.resourceVersion))
    until("every state of seen-0", lambda: cache.versions.get("seen-0", [])[1:] == versions)

    lists = cache.lists
    restart()
    kites.delete(name="seen-1", namespace=NAMESPACE)
    kites.create(body=kite("seen-after"), namespace=NAMESPACE)
    until("it looked anew after the restart", lambda: cache.lists > lists)
    until("its state is the server's", lambda: cache.here == {i.metadata.name for i in kites.get(namespace=NAMESPACE).items})
    assert "seen-1" not in cache.here and "seen-after" in cache.here, cache.here
    last = kites.patch(body={"spec": {"tails": 9}}, name="seen-after", namespace=NAMESPACE, content_type="application/merge-patch+json")
    until("it goes on", lambda: cache.versions["seen-after"][-1] == int(last.metadata.resourceVersion))
    cache.done.set()
    if cache.failure:
        raise cache.failure


def main():
    config.load_kube_config()
    dyn = dynamic.DynamicClient(client.ApiClient())
    _, maps = discovery(dyn)
    kites = definition(dyn)
    verbs(kites)
    applies(kites)
    lists(kites)
    typed(maps)
    mirror(kites)


if __name__ == "__main__":
    main()
