"""An operator as people write them with kopf: a finalizer, a status, an Event, a ConfigMap for each object; and the
server dies under it."""

import asyncio
import collections
import logging
import threading

import kopf
from kubernetes import client, config

from kites import DEFINITION, GROUP, PLURAL, VERSION, equal, kite, restart, until

NAMESPACE = "default"
calls = collections.Counter()


@kopf.on.startup()
def settle(settings, **_):
    settings.posting.level = 20
    settings.persistence.finalizer = f"{GROUP}/kopf"
    settings.watching.server_timeout = 30
    # A server that comes back is wanted at once, not after kopf's usual minute.
    settings.networking.error_backoffs = [0.1, 0.2, 0.5] + [1] * 30


@kopf.on.create(GROUP, VERSION, PLURAL)
def flown(body, spec, name, namespace, patch, **_):
    calls["create", name] += 1
    child = {"metadata": {"name": f"line-of-{name}"}, "data": {"colour": spec["colour"]}}
    kopf.adopt(child, owner=body)
    client.CoreV1Api().create_namespaced_config_map(namespace, child)
    kopf.info(body, reason="Flown", message=f"the {spec['colour']} kite is up")
    return {"height": 10 * spec["tails"]}


@kopf.on.update(GROUP, VERSION, PLURAL, field="spec.tails")
def changed(old, new, name, patch, **_):
    calls["update", name] += 1
    patch.status["change"] = {"from": old, "to": new}


@kopf.on.delete(GROUP, VERSION, PLURAL)
def landed(name, **_):
    calls["delete", name] += 1


@kopf.on.create("", "v1", "configmaps", labels={"kopf": "seen"})
def mapped(name, patch, **_):
    calls["map", name] += 1
    patch.metadata.annotations["clients.example/seen"] = "yes"


class Operator(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.stop, self.ready, self.failure = threading.Event(), threading.Event(), None

    def run(self):
        running = kopf.operator(clusterwide=True, standalone=True, stop_flag=self.stop, ready_flag=self.ready)
        try:
            asyncio.run(running)
        except BaseException as failure:  # told by the main thread
            self.failure = failure


def main():
    # That it tries again while the server is away is its business.
    logging.getLogger("kopf").setLevel(logging.ERROR)
    config.load_kube_config()
    crds, kites, core = client.ApiextensionsV1Api(), client.CustomObjectsApi(), client.CoreV1Api()
    crds.create_custom_resource_definition(DEFINITION)
    of = (GROUP, VERSION, NAMESPACE, PLURAL)
    until("the kind is served", lambda: served(kites, of))
    operator = Operator()
    operator.start()
    assert operator.ready.wait(60), "the operator did not start"

    def get(name):
        if operator.failure:
            raise operator.failure
        found = kites.list_namespaced_custom_object(*of, field_selector=f"metadata.name={name}")["items"]
        return found[0] if found else None

    kites.create_namespaced_custom_object(*of, kite("one", tails=3))
    one = until("its status", lambda: (o := get("one")) and o.get("status", {}).get("flown") and o)
    equal(one["status"]["flown"], {"height": 30}, "what the handler returned")
    equal(one["metadata"]["finalizers"], [f"{GROUP}/kopf"], "the finalizer")
    line = core.read_namespaced_config_map("line-of-one", NAMESPACE)
    equal(line.metadata.owner_references[0].uid, one["metadata"]["uid"], "the owner of what it made")
    until("its Event", lambda: [e for e in core.list_namespaced_event(NAMESPACE, field_selector="involvedObject.name=one").items if e.reason == "Flown"])

    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "m", "labels": {"kopf": "seen"}}})
    until("a built-in kind is handled", lambda: (core.read_namespaced_config_map("m", NAMESPACE).metadata.annotations or {}).get("clients.example/seen") == "yes")

    restart()
    kites.patch_namespaced_custom_object(*of, "one", {"spec": {"tails": 5}})
    after = until("the change is handled", lambda: (o := get("one")) and o["status"].get("change") and o)
    equal(after["status"]["change"], {"from": 3, "to": 5}, "what changed")
    kites.create_namespaced_custom_object(*of, kite("two", "green"))
    until("a new one is handled", lambda: (o := get("two")) and o.get("status", {}).get("flown"))

    for name in ("one", "two"):
        kites.delete_namespaced_custom_object(*of, name)
        until(f"{name} is gone", lambda: get(name) is None)
    until("what it made went with it", lambda: not [m for m in core.list_namespaced_config_map(NAMESPACE).items if m.metadata.name.startswith("line-of-")])
    operator.stop.set()
    operator.join(30)
    assert not operator.is_alive(), "the operator does not end"
    if operator.failure:
        raise operator.failure
    expected = {("create", "one"): 1, ("update", "one"): 1, ("delete", "one"): 1, ("create", "two"): 1, ("delete", "two"): 1, ("map", "m"): 1}
    equal(dict(calls), expected, "how often each was handled, a killed server notwithstanding")


def served(kites, of):
    try:
        kites.list_namespaced_custom_object(*of)
    except client.exceptions.ApiException as refusal:
        if refusal.status == 404:
            return False
        raise
    return True


if __name__ == "__main__":
    main()
