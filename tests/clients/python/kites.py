"""What both programs share: a kind of their own, waiting with a deadline, and a server that dies on request."""

import os
import subprocess
import time

PATIENCE = 60.0
GROUP, VERSION, PLURAL = "clients.example", "v1", "kites"

DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": PLURAL, "singular": "kite", "kind": "Kite", "shortNames": ["kt"]},
        "versions": [
            {
                "name": VERSION,
                "served": True,
                "storage": True,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.tails", "statusReplicasPath": ".status.tails"}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["colour"],
                                "properties": {
                                    "colour": {"type": "string", "enum": ["red", "green", "blue"]},
                                    "tails": {"type": "integer", "minimum": 0, "maximum": 9, "default": 1},
                                    "lines": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {"name": {"type": "string"}, "length": {"type": "integer"}},
                                        },
                                    },
                                },
                                "x-kubernetes-validations": [
                                    {"rule": "self.colour != 'blue' || self.tails < 5", "message": "a blue kite has few tails"}
                                ],
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def kite(name, colour="red", **spec):
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Kite",
        "metadata": {"name": name, "labels": {"colour": colour}},
        "spec": {"colour": colour, **spec},
    }


def until(what, ask):
    """Asks until the answer is true; says what was last seen when the time is up."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE} s: {what}; last seen: {answer!r}")
        time.sleep(0.05)


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}:\n  found    {found!r}\n  expected {expected!r}")


def restart():
    """kill -9, and the same server again at the same address."""
    subprocess.run([os.path.join(os.environ["WORK"], "restart")], check=True, timeout=PATIENCE)
