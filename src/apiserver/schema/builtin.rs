//! Schemas that do not come from a CRD: ObjectMeta, and the built-in kinds' merge keys and atomic parts (what `+listType`, `+listMapKey`
//! and `+structType=atomic` say upstream). Nothing here validates beyond types of metadata.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::format::Format;
use super::node::{Additional, Kind, ListType, Node};

static OBJECT_META: LazyLock<Node> = LazyLock::new(build_object_meta);
static STRING: LazyLock<Node> = LazyLock::new(|| scalar(Kind::String));

pub(super) fn object_meta() -> &'static Node {
    &OBJECT_META
}

pub(super) fn string() -> &'static Node {
    &STRING
}

pub(super) fn open() -> Node {
    Node { kind: Kind::Object, preserve: true, ..Node::default() }
}

pub(super) fn kind(kind: &str) -> Node {
    let mut root = open();
    let mut put = |name: &str, node: Node| root.properties.insert(name.to_owned(), node);
    match kind {
        "ConfigMap" => {
            put("data", string_map());
            put("binaryData", string_map());
        }
        "Secret" => {
            put("data", string_map());
            put("stringData", string_map());
        }
        "Namespace" => {
            put("spec", object([("finalizers", list(ListType::Atomic, free()))]));
            put("status", object([("conditions", by_key("type"))]));
        }
        "ServiceAccount" => {
            put("secrets", by_key("name"));
            put("imagePullSecrets", list(ListType::Atomic, free()));
        }
        "Event" => {
            for reference in ["involvedObject", "related", "regarding"] {
                put(reference, atomic());
            }
        }
        "Lease" => {
            put("spec", object([]));
        }
        "Role" => {
            put("rules", list(ListType::Atomic, free()));
        }
        "ClusterRole" => {
            put("rules", list(ListType::Atomic, free()));
            put("aggregationRule", object([("clusterRoleSelectors", list(ListType::Atomic, free()))]));
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            put("roleRef", atomic());
            put("subjects", list(ListType::Atomic, free()));
        }
        "CustomResourceDefinition" => {
            put("spec", object([("versions", list(ListType::Atomic, free()))]));
            put("status", object([("conditions", by_key("type")), ("storedVersions", list(ListType::Atomic, free()))]));
        }
        _ => {}
    }
    root
}

fn scalar(kind: Kind) -> Node {
    Node { kind, ..Node::default() }
}

fn free() -> Node {
    Node { preserve: true, ..Node::default() }
}

fn atomic() -> Node {
    Node { atomic_map: true, ..open() }
}

fn object<const N: usize>(fields: [(&str, Node); N]) -> Node {
    Node { properties: named(fields), ..open() }
}

fn string_map() -> Node {
    Node { kind: Kind::Object, additional: Additional::Each(Box::new(scalar(Kind::String))), ..Node::default() }
}

fn list(list: ListType, items: Node) -> Node {
    Node { kind: Kind::Array, list, items: Some(Box::new(items)), ..Node::default() }
}

fn by_key(key: &str) -> Node {
    list(ListType::Map(vec![key.to_owned()]), object([(key, scalar(Kind::String))]))
}

fn named<const N: usize>(fields: [(&str, Node); N]) -> BTreeMap<String, Node> {
    fields.into_iter().map(|(name, node)| (name.to_owned(), node)).collect()
}

fn time() -> Node {
    Node { nullable: true, format: Some(Format::DateTime), ..scalar(Kind::String) }
}

fn build_object_meta() -> Node {
    let text = || scalar(Kind::String);
    let owner = Node {
        kind: Kind::Object,
        atomic_map: true,
        properties: named([
            ("apiVersion", text()),
            ("kind", text()),
            ("name", text()),
            ("uid", text()),
            ("controller", scalar(Kind::Boolean)),
            ("blockOwnerDeletion", scalar(Kind::Boolean)),
        ]),
        ..Node::default()
    };
    let entry = Node {
        kind: Kind::Object,
        properties: named([
            ("manager", text()),
            ("operation", text()),
            ("apiVersion", text()),
            ("time", time()),
            ("fieldsType", text()),
            ("fieldsV1", Node { kind: Kind::Object, preserve: true, ..Node::default() }),
            ("subresource", text()),
        ]),
        ..Node::default()
    };
    let nullable = |node: Node| Node { nullable: true, ..node };
    Node {
        kind: Kind::Object,
        properties: named([
            ("name", text()),
            ("generateName", text()),
            ("namespace", text()),
            ("selfLink", text()),
            ("uid", text()),
            ("resourceVersion", text()),
            ("generation", scalar(Kind::Integer)),
            ("creationTimestamp", time()),
            ("deletionTimestamp", time()),
            ("deletionGracePeriodSeconds", nullable(scalar(Kind::Integer))),
            ("labels", nullable(string_map())),
            ("annotations", nullable(string_map())),
            ("finalizers", nullable(list(ListType::Set, text()))),
            ("ownerReferences", nullable(list(ListType::Map(vec!["uid".to_owned()]), owner))),
            ("managedFields", nullable(list(ListType::Atomic, entry))),
        ]),
        ..Node::default()
    }
}
