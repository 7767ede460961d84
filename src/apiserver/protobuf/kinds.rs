//! Which field number is which JSON field, for the built-in kinds and what they are made of. Data only.

use super::{
    Fields,
    Is::{self, ByteMap, Flag, Json, Lists, Message, Messages, MicroTime, Number, Text, TextMap, Texts, Time},
    definition,
};

const OWNER: Fields = &[
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "controller", Flag),
    (7, "blockOwnerDeletion", Flag),
];
const MANAGER: Fields = &[
    (1, "manager", Text),
    (2, "operation", Text),
    (3, "apiVersion", Text),
    (4, "time", Time),
    (6, "fieldsType", Text),
    (7, "fieldsV1", Json),
    (8, "subresource", Text),
];
pub const META: Is = Message(&[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (4, "selfLink", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Number),
    (8, "creationTimestamp", Time),
    (9, "deletionTimestamp", Time),
    (10, "deletionGracePeriodSeconds", Number),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (13, "ownerReferences", Messages(OWNER)),
    (14, "finalizers", Texts),
    (17, "managedFields", Messages(MANAGER)),
]);
const REFERENCE: Fields = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "resourceVersion", Text),
    (7, "fieldPath", Text),
];
const SOURCE: Fields = &[(1, "component", Text), (2, "host", Text)];
const SERIES: Fields = &[(1, "count", Number), (2, "lastObservedTime", MicroTime)];
pub const CONDITION: Fields = &[
    (1, "type", Text),
    (2, "status", Text),
    (4, "lastTransitionTime", Time),
    (5, "reason", Text),
    (6, "message", Text),
];
const RULE: Fields = &[
    (1, "verbs", Texts),
    (2, "apiGroups", Texts),
    (3, "resources", Texts),
    (4, "resourceNames", Texts),
    (5, "nonResourceURLs", Texts),
];
const ROLE: Fields = &[(1, "metadata", META), (2, "rules", Messages(RULE))];
const BINDING: Fields = &[
    (1, "metadata", META),
    (2, "subjects", Messages(&[(1, "kind", Text), (2, "apiGroup", Text), (3, "name", Text), (4, "namespace", Text)])),
    (3, "roleRef", Message(&[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)])),
];
const REQUIREMENT: Fields = &[(1, "key", Text), (2, "operator", Text), (3, "values", Texts)];
const SELECTOR: Fields = &[(1, "matchLabels", TextMap), (2, "matchExpressions", Messages(REQUIREMENT))];
const SUBJECT_ACCESS: Fields = &[
    (1, "metadata", META),
    (
        2,
        "spec",
        Message(&[
            (1, "resourceAttributes", Message(ATTRIBUTES)),
            (2, "nonResourceAttributes", Message(&[(1, "path", Text), (2, "verb", Text)])),
            (3, "user", Text),
            (4, "groups", Texts),
            (5, "extra", Lists),
            (6, "uid", Text),
        ]),
    ),
];
const ATTRIBUTES: Fields = &[
    (1, "namespace", Text),
    (2, "verb", Text),
    (3, "group", Text),
    (4, "version", Text),
    (5, "resource", Text),
    (6, "subresource", Text),
    (7, "name", Text),
];

/// (group, kind) → fields. Kinds of `meta` may come under any group.
pub const KINDS: &[(&str, &str, Fields)] = &[
    (
        "",
        "Namespace",
        &[
            (1, "metadata", META),
            (2, "spec", Message(&[(1, "finalizers", Texts)])),
            (3, "status", Message(&[(1, "phase", Text), (2, "conditions", Messages(CONDITION))])),
        ],
    ),
    (
        "",
        "Secret",
        &[
            (1, "metadata", META),
            (2, "data", ByteMap),
            (3, "type", Text),
            (4, "stringData", TextMap),
            (5, "immutable", Flag),
        ],
    ),
    (
        "",
        "ConfigMap",
        &[(1, "metadata", META), (2, "data", TextMap), (3, "binaryData", ByteMap), (4, "immutable", Flag)],
    ),
    (
        "",
        "ServiceAccount",
        &[
            (1, "metadata", META),
            (2, "secrets", Messages(REFERENCE)),
            (3, "imagePullSecrets", Messages(&[(1, "name", Text)])),
            (4, "automountServiceAccountToken", Flag),
        ],
    ),
    (
        "",
        "Event",
        &[
            (1, "metadata", META),
            (2, "involvedObject", Message(REFERENCE)),
            (3, "reason", Text),
            (4, "message", Text),
            (5, "source", Message(SOURCE)),
            (6, "firstTimestamp", Time),
            (7, "lastTimestamp", Time),
            (8, "count", Number),
            (9, "type", Text),
            (10, "eventTime", MicroTime),
            (11, "series", Message(SERIES)),
            (12, "action", Text),
            (13, "related", Message(REFERENCE)),
            (14, "reportingComponent", Text),
            (15, "reportingInstance", Text),
        ],
    ),
    (
        "events.k8s.io",
        "Event",
        &[
            (1, "metadata", META),
            (2, "eventTime", MicroTime),
            (3, "series", Message(SERIES)),
            (4, "reportingController", Text),
            (5, "reportingInstance", Text),
            (6, "action", Text),
            (7, "reason", Text),
            (8, "regarding", Message(REFERENCE)),
            (9, "related", Message(REFERENCE)),
            (10, "note", Text),
            (11, "type", Text),
            (12, "deprecatedSource", Message(SOURCE)),
            (13, "deprecatedFirstTimestamp", Time),
            (14, "deprecatedLastTimestamp", Time),
            (15, "deprecatedCount", Number),
        ],
    ),
    (
        "coordination.k8s.io",
        "Lease",
        &[
            (1, "metadata", META),
            (
                2,
                "spec",
                Message(&[
                    (1, "holderIdentity", Text),
                    (2, "leaseDurationSeconds", Number),
                    (3, "acquireTime", MicroTime),
                    (4, "renewTime", MicroTime),
                    (5, "leaseTransitions", Number),
                    (6, "strategy", Text),
                    (7, "preferredHolder", Text),
                ]),
            ),
        ],
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition", definition::DEFINITION),
    ("rbac.authorization.k8s.io", "Role", ROLE),
    (
        "rbac.authorization.k8s.io",
        "ClusterRole",
        &[
            (1, "metadata", META),
            (2, "rules", Messages(RULE)),
            (3, "aggregationRule", Message(&[(1, "clusterRoleSelectors", Messages(SELECTOR))])),
        ],
    ),
    ("rbac.authorization.k8s.io", "RoleBinding", BINDING),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", BINDING),
    (
        "authorization.k8s.io",
        "SelfSubjectAccessReview",
        &[
            (1, "metadata", META),
            (
                2,
                "spec",
                Message(&[
                    (1, "resourceAttributes", Message(ATTRIBUTES)),
                    (2, "nonResourceAttributes", Message(&[(1, "path", Text), (2, "verb", Text)])),
                ]),
            ),
        ],
    ),
    (
        "authorization.k8s.io",
        "SelfSubjectRulesReview",
        &[(1, "metadata", META), (2, "spec", Message(&[(1, "namespace", Text)]))],
    ),
    ("authorization.k8s.io", "SubjectAccessReview", SUBJECT_ACCESS),
    ("authorization.k8s.io", "LocalSubjectAccessReview", SUBJECT_ACCESS),
    ("authentication.k8s.io", "SelfSubjectReview", &[(1, "metadata", META)]),
    (
        "authentication.k8s.io",
        "TokenReview",
        &[(1, "metadata", META), (2, "spec", Message(&[(1, "token", Text), (2, "audiences", Texts)]))],
    ),
    (
        "authentication.k8s.io",
        "TokenRequest",
        &[
            (1, "metadata", META),
            (
                2,
                "spec",
                Message(&[
                    (1, "audiences", Texts),
                    (
                        3,
                        "boundObjectRef",
                        Message(&[(1, "kind", Text), (2, "apiVersion", Text), (3, "name", Text), (4, "uid", Text)]),
                    ),
                    (4, "expirationSeconds", Number),
                ]),
            ),
        ],
    ),
];
pub const DELETE_OPTIONS: Fields = &[
    (1, "gracePeriodSeconds", Number),
    (2, "preconditions", Message(&[(1, "uid", Text), (2, "resourceVersion", Text)])),
    (3, "orphanDependents", Flag),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];
