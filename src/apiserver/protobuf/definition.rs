//! The fields of CustomResourceDefinitions, whose schemas contain schemas. Data only.

use super::{
    Field, Fields,
    Is::{
        Flag, Float, Json, Jsons, Map, Message, Messages, Number, OneOrFlag, OneOrMany, OneOrTexts, Text, Texts, Truth,
    },
    kinds::META,
};

pub const DEFINITION: Fields = &[
    (1, "metadata", META),
    (
        2,
        "spec",
        Message(&[
            (1, "group", Text),
            (3, "names", Message(NAMES)),
            (4, "scope", Text),
            (7, "versions", Messages(VERSION)),
            (9, "conversion", Message(CONVERSION)),
            (10, "preserveUnknownFields", Truth),
        ]),
    ),
    (
        3,
        "status",
        Message(&[
            (1, "conditions", Messages(STATE)),
            (2, "acceptedNames", Message(NAMES)),
            (3, "storedVersions", Texts),
        ]),
    ),
];

const STATE: Fields = &[
    (1, "type", Text),
    (2, "status", Text),
    (3, "lastTransitionTime", super::Is::Time),
    (4, "reason", Text),
    (5, "message", Text),
];

const NAMES: Fields = &[
    (1, "plural", Text),
    (2, "singular", Text),
    (3, "shortNames", Texts),
    (4, "kind", Text),
    (5, "listKind", Text),
    (6, "categories", Texts),
];

const VERSION: Fields = &[
    (1, "name", Text),
    (2, "served", Flag),
    (3, "storage", Flag),
    (4, "schema", Message(&[(1, "openAPIV3Schema", Message(&SCHEMA))])),
    (
        5,
        "subresources",
        Message(&[
            (1, "status", Message(&[])),
            (
                2,
                "scale",
                Message(&[
                    (1, "specReplicasPath", Text),
                    (2, "statusReplicasPath", Text),
                    (3, "labelSelectorPath", Text),
                ]),
            ),
        ]),
    ),
    (6, "additionalPrinterColumns", Messages(COLUMN)),
    (7, "deprecated", Truth),
    (8, "deprecationWarning", Text),
    (9, "selectableFields", Messages(&[(1, "jsonPath", Text)])),
];

const COLUMN: Fields = &[
    (1, "name", Text),
    (2, "type", Text),
    (3, "format", Text),
    (4, "description", Text),
    (5, "priority", Number),
    (6, "jsonPath", Text),
];

const CONVERSION: Fields = &[
    (1, "strategy", Text),
    (
        2,
        "webhook",
        Message(&[(2, "clientConfig", Message(&[(3, "url", Text)])), (3, "conversionReviewVersions", Texts)]),
    ),
];

const RULE: Fields = &[
    (1, "rule", Text),
    (2, "message", Text),
    (3, "messageExpression", Text),
    (4, "reason", Text),
    (5, "fieldPath", Text),
    (6, "optionalOldSelf", Flag),
];

static SCHEMA: [Field; 44] = [
    (1, "id", Text),
    (2, "$schema", Text),
    (3, "$ref", Text),
    (4, "description", Text),
    (5, "type", Text),
    (6, "format", Text),
    (7, "title", Text),
    (8, "default", Json),
    (9, "maximum", Float),
    (10, "exclusiveMaximum", Truth),
    (11, "minimum", Float),
    (12, "exclusiveMinimum", Truth),
    (13, "maxLength", Number),
    (14, "minLength", Number),
    (15, "pattern", Text),
    (16, "maxItems", Number),
    (17, "minItems", Number),
    (18, "uniqueItems", Truth),
    (19, "multipleOf", Float),
    (20, "enum", Jsons),
    (21, "maxProperties", Number),
    (22, "minProperties", Number),
    (23, "required", Texts),
    (24, "items", OneOrMany(&SCHEMA)),
    (25, "allOf", Messages(&SCHEMA)),
    (26, "oneOf", Messages(&SCHEMA)),
    (27, "anyOf", Messages(&SCHEMA)),
    (28, "not", Message(&SCHEMA)),
    (29, "properties", Map(&SCHEMA)),
    (30, "additionalProperties", OneOrFlag(&SCHEMA)),
    (31, "patternProperties", Map(&SCHEMA)),
    (32, "dependencies", OneOrTexts(&SCHEMA)),
    (33, "additionalItems", OneOrFlag(&SCHEMA)),
    (34, "definitions", Map(&SCHEMA)),
    (35, "externalDocs", Message(&[(1, "description", Text), (2, "url", Text)])),
    (36, "example", Json),
    (37, "nullable", Truth),
    (38, "x-kubernetes-preserve-unknown-fields", Flag),
    (39, "x-kubernetes-embedded-resource", Truth),
    (40, "x-kubernetes-int-or-string", Truth),
    (41, "x-kubernetes-list-map-keys", Texts),
    (42, "x-kubernetes-list-type", Text),
    (43, "x-kubernetes-map-type", Text),
    (44, "x-kubernetes-validations", Messages(RULE)),
];
