//! What the built-in kinds do not allow beyond their shapes, with upstream's words and field paths. Pure.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::Builtin;
use crate::apiserver::{
    names::{NameRule, label_key_error, label_value_error},
    object,
    schema::FieldError,
    status::field_error,
};

const RBAC: &str = "rbac.authorization.k8s.io";
const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
/// Of all values of a Secret or ConfigMap together.
const LARGEST: usize = 1024 * 1024;
const SEALED: &str = "field is immutable when `immutable` is set";

/// What is wrong with an object, or with what became of it.
pub fn errors(builtin: &Builtin, object: &Value, before: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    match builtin.kind {
        "Secret" => errors.secret(object, before),
        "ConfigMap" => errors.config(object, before),
        "Role" | "ClusterRole" => errors.role(object, builtin.namespaced),
        "RoleBinding" | "ClusterRoleBinding" => errors.binding(object, before, builtin.namespaced),
        "Lease" => errors.lease(&object["spec"]),
        "Namespace" => errors.namespace(object),
        _ => {}
    }
    errors.0
}

#[derive(Default)]
struct Errors(Vec<FieldError>);

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn entries<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value[field].as_object().into_iter().flat_map(Map::iter)
}

/// The length of what base64 stands for; text that is none has been refused before.
fn decoded(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default()
}

impl Errors {
    fn invalid(&mut self, field: impl Into<String>, value: &Value, why: &str) {
        self.0.push(field_error("FieldValueInvalid", field, format!("Invalid value: {value}: {why}")));
    }

    fn required(&mut self, field: impl Into<String>, why: &str) {
        let why = if why.is_empty() { "Required value".to_string() } else { format!("Required value: {why}") };
        self.0.push(field_error("FieldValueRequired", field, why));
    }

    fn unsupported(&mut self, field: impl Into<String>, value: &str, supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
        let message = format!("Unsupported value: {value:?}: supported values: {}", supported.join(", "));
        self.0.push(field_error("FieldValueNotSupported", field, message));
    }

    fn forbidden(&mut self, field: impl Into<String>, why: &str) {
        self.0.push(field_error("FieldValueForbidden", field, format!("Forbidden: {why}")));
    }

    fn too_long(&mut self, field: &str) {
        let message = format!("Too long: may not be more than {LARGEST} bytes");
        self.0.push(field_error("FieldValueTooLong", field, message));
    }

    /// A Secret or ConfigMap that was sealed stays as it is.
    fn sealed(&mut self, object: &Value, before: Option<&Value>, fields: &[&str]) {
        let Some(before) = before.filter(|before| before["immutable"] == true) else { return };
        if object["immutable"] != true {
            self.forbidden("immutable", SEALED);
        }
        for field in fields {
            if before.get(field) != object.get(field) {
                self.forbidden(*field, SEALED);
            }
        }
    }

    fn key(&mut self, field: &str, key: &str) {
        let path = format!("{field}[{key}]");
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if key.len() > 253 {
            self.invalid(&path, &key.into(), "must be no more than 253 characters");
        }
        if key.is_empty() || !key.chars().all(fine) {
            self.invalid(&path, &key.into(), KEY);
        }
        match key {
            "." => self.invalid(&path, &key.into(), "must not be '.'"),
            ".." => self.invalid(&path, &key.into(), "must not be '..'"),
            key if key.starts_with("..") => self.invalid(&path, &key.into(), "must not start with '..'"),
            _ => {}
        }
    }

    fn secret(&mut self, secret: &Value, before: Option<&Value>) {
        if let Some(before) = before
            && before["type"] != secret["type"]
        {
            self.invalid("type", &secret["type"], "field is immutable");
        }
        self.sealed(secret, before, &["data"]);
        let mut size = 0;
        for (key, value) in entries(secret, "data") {
            self.key("data", key);
            size += decoded(value).len();
        }
        if size > LARGEST {
            self.too_long("data");
        }
        let has = |key: &str| secret["data"].get(key).is_some();
        match text(secret, "type") {
            "kubernetes.io/service-account-token" => {
                let name = "kubernetes.io/service-account.name";
                if text(&secret["metadata"]["annotations"], name).is_empty() {
                    self.required(format!("metadata.annotations[{name}]"), "");
                }
            }
            "kubernetes.io/dockercfg" => self.json(secret, ".dockercfg"),
            "kubernetes.io/dockerconfigjson" => self.json(secret, ".dockerconfigjson"),
            "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
                self.required("data[username]", "");
                self.required("data[password]", "");
            }
            "kubernetes.io/ssh-auth" if decoded(&secret["data"]["ssh-privatekey"]).is_empty() => {
                self.required("data[ssh-privatekey]", "");
            }
            "kubernetes.io/tls" => {
                for key in ["tls.crt", "tls.key"].into_iter().filter(|key| !has(key)) {
                    self.required(format!("data[{key}]"), "");
                }
            }
            _ => {}
        }
    }

    /// A key that must be there and hold a JSON object. What is wrong in it is not repeated: it is secret.
    fn json(&mut self, secret: &Value, key: &str) {
        let field = format!("data[{key}]");
        match secret["data"].get(key) {
            None => self.required(field, ""),
            Some(value) => {
                if let Err(error) = serde_json::from_slice::<Map<String, Value>>(&decoded(value)) {
                    let why = match error.classify() {
                        serde_json::error::Category::Eof => "unexpected end of JSON input",
                        _ => "it is not a JSON object",
                    };
                    self.invalid(field, &"<secret contents redacted>".into(), why);
                }
            }
        }
    }

    fn config(&mut self, config: &Value, before: Option<&Value>) {
        self.sealed(config, before, &["data", "binaryData"]);
        let mut size = 0;
        for (key, value) in entries(config, "data") {
            self.key("data", key);
            if config["binaryData"].get(key).is_some() {
                self.invalid(format!("data[{key}]"), &key.as_str().into(), "duplicate of key present in binaryData");
            }
            size += value.as_str().map_or(0, str::len);
        }
        for (key, value) in entries(config, "binaryData") {
            self.key("binaryData", key);
            size += decoded(value).len();
        }
        if size > LARGEST {
            self.too_long("");
        }
    }

    fn role(&mut self, role: &Value, namespaced: bool) {
        for (i, rule) in list(role, "rules").iter().enumerate() {
            let path = |field: &str| format!("rules[{i}].{field}");
            if list(rule, "verbs").is_empty() {
                self.required(path("verbs"), "verbs must contain at least one value");
            }
            if !list(rule, "nonResourceURLs").is_empty() {
                let urls = &rule["nonResourceURLs"];
                if namespaced {
                    self.invalid(path("nonResourceURLs"), urls, "namespaced rules cannot apply to non-resource URLs");
                }
                if ["apiGroups", "resources", "resourceNames"].iter().any(|field| !list(rule, field).is_empty()) {
                    let why = "rules cannot apply to both regular resources and non-resource URLs";
                    self.invalid(path("nonResourceURLs"), urls, why);
                }
                continue;
            }
            if list(rule, "apiGroups").is_empty() {
                self.required(path("apiGroups"), "resource rules must supply at least one api group");
            }
            if list(rule, "resources").is_empty() {
                self.required(path("resources"), "resource rules must supply at least one resource");
            }
        }
        if !role["aggregationRule"].is_object() {
            return;
        }
        let selectors = list(&role["aggregationRule"], "clusterRoleSelectors");
        if selectors.is_empty() {
            let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            self.required("aggregationRule.clusterRoleSelectors", why);
        }
        for (i, selector) in selectors.iter().enumerate() {
            self.selector(selector, &format!("aggregationRule.clusterRoleSelectors[{i}]"));
        }
    }

    fn selector(&mut self, selector: &Value, path: &str) {
        for (key, value) in entries(selector, "matchLabels") {
            if let Some(why) = label_key_error(key) {
                self.invalid(format!("{path}.matchLabels"), &key.as_str().into(), &why);
            }
            if let Some(why) = value.as_str().and_then(label_value_error) {
                self.invalid(format!("{path}.matchLabels"), value, &why);
            }
        }
        for (i, expression) in list(selector, "matchExpressions").iter().enumerate() {
            let path = |field: &str| format!("{path}.matchExpressions[{i}].{field}");
            let values = list(expression, "values");
            match text(expression, "operator") {
                "In" | "NotIn" if values.is_empty() => {
                    self.required(path("values"), "must be specified when `operator` is 'In' or 'NotIn'");
                }
                "Exists" | "DoesNotExist" if !values.is_empty() => {
                    self.forbidden(
                        path("values"),
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    );
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                _ => self.invalid(path("operator"), &expression["operator"], "not a valid selector operator"),
            }
            let key = text(expression, "key");
            if let Some(why) = label_key_error(key) {
                self.invalid(path("key"), &key.into(), &why);
            }
        }
    }

    fn binding(&mut self, binding: &Value, before: Option<&Value>, namespaced: bool) {
        let role = &binding["roleRef"];
        if text(role, "apiGroup") != RBAC {
            self.unsupported("roleRef.apiGroup", text(role, "apiGroup"), &[RBAC]);
        }
        let kinds = if namespaced { &["Role", "ClusterRole"][..] } else { &["ClusterRole"] };
        if !kinds.contains(&text(role, "kind")) {
            self.unsupported("roleRef.kind", text(role, "kind"), kinds);
        }
        match text(role, "name") {
            "" => self.required("roleRef.name", ""),
            name => {
                if let Some(why) = NameRule::PathSegment.error(name) {
                    self.invalid("roleRef.name", &name.into(), &why);
                }
            }
        }
        for (i, subject) in list(binding, "subjects").iter().enumerate() {
            self.subject(subject, namespaced, |field| format!("subjects[{i}].{field}"));
        }
        if let Some(before) = before
            && before["roleRef"] != *role
        {
            self.invalid("roleRef", role, "cannot change roleRef");
        }
    }

    fn subject(&mut self, subject: &Value, namespaced: bool, path: impl Fn(&str) -> String) {
        let (kind, name, group) = (text(subject, "kind"), text(subject, "name"), text(subject, "apiGroup"));
        if name.is_empty() {
            self.required(path("name"), "");
        }
        match kind {
            "ServiceAccount" => {
                if let Some(why) = Some(name).filter(|n| !n.is_empty()).and_then(|n| NameRule::Subdomain.error(n)) {
                    self.invalid(path("name"), &name.into(), &why);
                }
                if !group.is_empty() {
                    self.unsupported(path("apiGroup"), group, &[""]);
                }
                if !namespaced && text(subject, "namespace").is_empty() {
                    self.required(path("namespace"), "");
                }
            }
            "User" | "Group" if group != RBAC => self.unsupported(path("apiGroup"), group, &[RBAC]),
            "User" | "Group" => {}
            other => self.unsupported(path("kind"), other, &["ServiceAccount", "User", "Group"]),
        }
    }

    fn lease(&mut self, spec: &Value) {
        let number = |field: &str| spec[field].as_i64();
        if number("leaseDurationSeconds").is_some_and(|seconds| seconds <= 0) {
            self.invalid("spec.leaseDurationSeconds", &spec["leaseDurationSeconds"], "must be greater than 0");
        }
        if number("leaseTransitions").is_some_and(|count| count < 0) {
            self.invalid("spec.leaseTransitions", &spec["leaseTransitions"], "must be greater than or equal to 0");
        }
        if !text(spec, "preferredHolder").is_empty() && text(spec, "strategy").is_empty() {
            self.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined");
        }
    }

    fn namespace(&mut self, namespace: &Value) {
        let finalizers = object::at(namespace, "spec.finalizers").and_then(Value::as_array);
        for (i, finalizer) in finalizers.into_iter().flatten().enumerate() {
            let name = finalizer.as_str().unwrap_or_default();
            if let Some(why) = label_key_error(name) {
                self.invalid(format!("spec.finalizers[{i}]"), finalizer, &why);
            } else if name != "kubernetes" && !name.contains('/') {
                let why = "name is neither a standard finalizer name nor is it fully qualified";
                self.invalid(format!("spec.finalizers[{i}]"), finalizer, why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::builtin::{BUILTINS, prepare};

    /// `field: message` of everything that is wrong.
    fn wrong(kind: &str, yaml: &str, before: Option<&str>) -> Vec<String> {
        let builtin = BUILTINS.iter().find(|builtin| builtin.kind == kind).unwrap();
        let read = |yaml: &str| -> Value {
            let mut value: Value = serde_saphyr::from_str(yaml).unwrap();
            prepare(builtin, &mut value, before.map(|_| &Value::Null));
            value
        };
        let before = before.map(read);
        errors(builtin, &read(yaml), before.as_ref()).iter().map(|e| format!("{}: {}", e.field, e.message)).collect()
    }

    #[test]
    fn roles_and_bindings_are_checked_as_upstream_checks_them() {
        let rule = "rules: [{verbs: [], nonResourceURLs: [/x], resources: [a]}, {verbs: [get]}]";
        assert_eq!(
            wrong("Role", rule, None),
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
                "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and non-resource URLs",
                "rules[1].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[1].resources: Required value: resource rules must supply at least one resource",
            ]
        );
        assert_eq!(
            wrong("ClusterRole", "aggregationRule: {clusterRoleSelectors: []}", None),
            [
                "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"
            ]
        );
        let binding = "{roleRef: {kind: Role, name: ''}, subjects: [{kind: ServiceAccount, name: A}, {kind: User, apiGroup: x, name: u}, {kind: Robot, name: r}]}";
        let found = wrong("ClusterRoleBinding", binding, None);
        assert_eq!(found[0], "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"");
        assert_eq!(found[1], "roleRef.name: Required value");
        assert!(
            found[2].starts_with("subjects[0].name: Invalid value: \"A\": a lowercase RFC 1123 subdomain"),
            "{found:?}"
        );
        assert_eq!(found[3], "subjects[0].namespace: Required value");
        assert_eq!(
            found[4],
            "subjects[1].apiGroup: Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\""
        );
        assert!(found[5].starts_with("subjects[2].kind: Unsupported value: \"Robot\""));
        let role = "{roleRef: {kind: ClusterRole, name: a}}";
        assert_eq!(
            wrong("RoleBinding", "{roleRef: {kind: ClusterRole, name: b}}", Some(role)),
            [
                "roleRef: Invalid value: {\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"b\"}: cannot change roleRef"
            ]
        );
    }

    #[test]
    fn secrets_hold_what_their_type_promises() {
        for (yaml, expected) in [
            ("{type: kubernetes.io/tls, stringData: {tls.crt: x}}", &["data[tls.key]: Required value"][..]),
            ("{type: kubernetes.io/basic-auth}", &["data[username]: Required value", "data[password]: Required value"]),
            ("{type: kubernetes.io/basic-auth, stringData: {password: x}}", &[]),
            (
                "{type: kubernetes.io/ssh-auth, stringData: {ssh-privatekey: ''}}",
                &["data[ssh-privatekey]: Required value"],
            ),
            (
                "{type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: '{'}}",
                &[
                    "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input",
                ],
            ),
            ("{type: kubernetes.io/dockercfg}", &["data[.dockercfg]: Required value"]),
            (
                "{type: kubernetes.io/service-account-token}",
                &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
            ),
            ("{type: my/own}", &[]),
        ] {
            assert_eq!(wrong("Secret", yaml, None), expected, "{yaml}");
        }
        assert_eq!(wrong("Secret", "{type: a}", Some("{type: b}")), ["type: Invalid value: \"a\": field is immutable"]);
    }

    #[test]
    fn config_keys_are_files_names() {
        let found = wrong("ConfigMap", "{data: {a/b: x, ..: x, ..c: x, k: x}, binaryData: {k: eA==}}", None);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found.contains(&"data[..]: Invalid value: \"..\": must not be '..'".to_string()));
        assert!(found.contains(&"data[..c]: Invalid value: \"..c\": must not start with '..'".to_string()));
        assert!(found.contains(&"data[k]: Invalid value: \"k\": duplicate of key present in binaryData".to_string()));
        let large = format!("{{data: {{k: {}}}}}", "x".repeat(LARGEST + 1));
        assert_eq!(wrong("ConfigMap", &large, None), [": Too long: may not be more than 1048576 bytes"]);
    }

    #[test]
    fn leases_and_namespaces_have_bounds() {
        assert_eq!(
            wrong("Lease", "{spec: {leaseDurationSeconds: 0, leaseTransitions: -1, preferredHolder: x}}", None),
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
                "spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined",
            ]
        );
        assert_eq!(
            wrong("Namespace", "{metadata: {name: a}, spec: {finalizers: [mine]}}", None),
            [
                "spec.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
            ]
        );
    }
}
