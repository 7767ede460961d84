//! Questions about access, which are only posted and never stored: what somebody may do, who somebody is, whose a token is.
//! They are answered by what decides about requests, so that an answer and the deed agree.

use serde_json::{Map, Value, json};

use super::{
    Inner, User,
    authz::{Ask, Place, Rule, What},
    object,
    request::Target,
    schema::FieldError,
    status::{Failure, Subject, field_error},
    token::AUDIENCE,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SelfSubjectAccess,
    SelfSubjectRules,
    SubjectAccess,
    LocalSubjectAccess,
    SelfSubject,
    Token,
}

pub struct Review {
    pub group: &'static str,
    pub plural: &'static str,
    pub name: &'static str,
    pub namespaced: bool,
    pub kind: Kind,
}

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

#[rustfmt::skip]
pub const REVIEWS: [Review; 6] = [
    Review { group: AUTHENTICATION, plural: "selfsubjectreviews", name: "SelfSubjectReview", namespaced: false, kind: Kind::SelfSubject },
    Review { group: AUTHENTICATION, plural: "tokenreviews", name: "TokenReview", namespaced: false, kind: Kind::Token },
    Review { group: AUTHORIZATION, plural: "localsubjectaccessreviews", name: "LocalSubjectAccessReview", namespaced: true, kind: Kind::LocalSubjectAccess },
    Review { group: AUTHORIZATION, plural: "selfsubjectaccessreviews", name: "SelfSubjectAccessReview", namespaced: false, kind: Kind::SelfSubjectAccess },
    Review { group: AUTHORIZATION, plural: "selfsubjectrulesreviews", name: "SelfSubjectRulesReview", namespaced: false, kind: Kind::SelfSubjectRules },
    Review { group: AUTHORIZATION, plural: "subjectaccessreviews", name: "SubjectAccessReview", namespaced: false, kind: Kind::SubjectAccess },
];

/// The review that a path names.
pub fn of(target: &Target) -> Option<&'static Review> {
    REVIEWS.iter().find(|review| {
        target.version == "v1"
            && target.group == review.group
            && target.plural == review.plural
            && target.name.is_none()
            && target.namespace.is_some() == review.namespaced
    })
}

impl Review {
    pub fn answer(&self, inner: &Inner, user: &User, target: &Target, mut body: Value) -> Result<Value, Failure> {
        self.check_type(&body)?;
        let spec = match body["spec"].take() {
            Value::Null => json!({}),
            Value::Object(spec) => Value::Object(spec),
            _ => return Err(self.unreadable("spec is not an object")),
        };
        let mut metadata = match body["metadata"].take() {
            Value::Object(metadata) => metadata,
            _ => Map::new(),
        };
        // What typed clients send of nothing.
        metadata.retain(|_, value| !value.is_null() && value.as_str() != Some("") && value.as_u64() != Some(0));
        let mut shown = spec.clone();
        let status = match self.kind {
            Kind::SelfSubject => {
                metadata.insert("creationTimestamp".into(), object::now().into());
                shown = Value::Null;
                json!({"userInfo": info(user)})
            }
            Kind::Token => token(inner, &spec)?,
            Kind::SelfSubjectRules => {
                let namespace = spec["namespace"].as_str().filter(|namespace| !namespace.is_empty());
                shown = json!({});
                rules(inner, user, namespace.ok_or_else(|| Failure::bad_request("no namespace on request"))?)
            }
            Kind::SelfSubjectAccess => {
                self.check_access(&spec, &metadata, None)?;
                access(inner, user, &spec)
            }
            Kind::SubjectAccess => {
                self.check_access(&spec, &metadata, None)?;
                access(inner, &subject(&spec), &spec)
            }
            Kind::LocalSubjectAccess => {
                let namespace = target.namespace.as_deref().unwrap_or_default();
                let given = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
                if !given.is_empty() && given != namespace {
                    return Err(Failure::bad_request(
                        "the namespace of the provided object does not match the namespace sent on the request",
                    ));
                }
                metadata.insert("namespace".into(), namespace.into());
                self.check_access(&spec, &metadata, Some(namespace))?;
                access(inner, &subject(&spec), &spec)
            }
        };
        let mut answer = json!({"kind": self.name, "apiVersion": format!("{}/v1", self.group), "metadata": metadata});
        if !shown.is_null() {
            answer["spec"] = shown;
        }
        answer["status"] = status;
        Ok(answer)
    }

    fn unreadable(&self, why: &str) -> Failure {
        let name = self.name;
        Failure::bad_request(format!("{name} in version \"v1\" cannot be handled as a {name}: {why}"))
    }

    fn check_type(&self, body: &Value) -> Result<(), Failure> {
        for (field, expected) in [("kind", self.name.to_string()), ("apiVersion", format!("{}/v1", self.group))] {
            let given = body[field].as_str().unwrap_or_default();
            if !given.is_empty() && given != expected {
                return Err(self.unreadable(&format!("its {field} is {given:?} instead of {expected:?}")));
            }
        }
        Ok(())
    }

    /// A question about access asks for one thing, and about somebody.
    fn check_access(&self, spec: &Value, metadata: &Map<String, Value>, local: Option<&str>) -> Result<(), Failure> {
        let mut errors: Vec<FieldError> = Vec::new();
        let mut invalid = |field: &str, value: &Value, why: &str| {
            errors.push(field_error("FieldValueInvalid", field, format!("Invalid value: {value}: {why}")));
        };
        let asks = |field: &str| spec[field].is_object();
        match (asks("resourceAttributes"), asks("nonResourceAttributes")) {
            (true, true) => {
                let why = "cannot be specified in combination with resourceAttributes";
                invalid("spec.nonResourceAttributes", &spec["nonResourceAttributes"], why);
            }
            (false, false) => {
                let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
                invalid("spec.resourceAttributes", &Value::Null, why);
            }
            (true, false) | (false, true) => {}
        }
        if self.kind != Kind::SelfSubjectAccess {
            let somebody = spec["user"].as_str().is_some_and(|user| !user.is_empty())
                || spec["groups"].as_array().is_some_and(|groups| !groups.is_empty());
            if !somebody {
                invalid("spec.user", &"".into(), "at least one of user or group must be specified");
            }
        }
        let ignored = |key: &str| key == "managedFields" || (key == "namespace" && local.is_some());
        if metadata.keys().any(|key| !ignored(key)) {
            let why = if local.is_some() { "must be empty except for namespace" } else { "must be empty" };
            invalid("metadata", &Value::Object(metadata.clone()), why);
        }
        if let Some(namespace) = local {
            let asked = &spec["resourceAttributes"]["namespace"];
            if asks("resourceAttributes") && asked.as_str().unwrap_or_default() != namespace {
                let asked = asked.as_str().unwrap_or_default().into();
                invalid("spec.resourceAttributes.namespace", &asked, "must match metadata.namespace");
            }
            if asks("nonResourceAttributes") {
                let why = "disallowed on this kind of request";
                invalid("spec.nonResourceAttributes", &spec["nonResourceAttributes"], why);
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(Failure::invalid(Subject { group: self.group, plural: self.plural, kind: self.name, name: "" }, &errors))
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_string)).collect()
}

/// Whom a SubjectAccessReview is about.
fn subject(spec: &Value) -> User {
    let extra = spec["extra"].as_object().into_iter().flatten().map(|(key, values)| (key.clone(), texts(values)));
    User {
        name: text(spec, "user").into(),
        groups: texts(&spec["groups"]),
        uid: text(spec, "uid").into(),
        extra: extra.collect(),
    }
}

fn access(inner: &Inner, user: &User, spec: &Value) -> Value {
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let ask = if resource.is_object() {
        let place = Place {
            group: text(resource, "group"),
            resource: text(resource, "resource"),
            subresource: text(resource, "subresource"),
            namespace: text(resource, "namespace"),
            name: text(resource, "name"),
        };
        Ask { verb: text(resource, "verb"), what: What::Resource(place) }
    } else {
        Ask { verb: text(path, "verb"), what: What::Path(text(path, "path")) }
    };
    let decision = inner.authorizer.decide(user, &ask);
    let mut status = json!({"allowed": decision.allowed});
    if !decision.reason.is_empty() {
        status["reason"] = decision.reason.into();
    }
    status
}

fn rules(inner: &Inner, user: &User, namespace: &str) -> Value {
    let (rules, trouble) = inner.authorizer.rules(user, namespace);
    let list = |rule: &Rule, fields: &[(&str, &Vec<String>)]| {
        let mut shown = json!({"verbs": rule.verbs});
        for (field, values) in fields.iter().filter(|(_, values)| !values.is_empty()) {
            shown[*field] = json!(values);
        }
        shown
    };
    let resources: Vec<Value> = rules
        .iter()
        .filter(|rule| !rule.resources.is_empty())
        .map(|rule| {
            let fields = [
                ("apiGroups", &rule.api_groups),
                ("resources", &rule.resources),
                ("resourceNames", &rule.resource_names),
            ];
            list(rule, &fields)
        })
        .collect();
    let paths: Vec<Value> = rules
        .iter()
        .filter(|rule| !rule.non_resource_urls.is_empty())
        .map(|rule| list(rule, &[("nonResourceURLs", &rule.non_resource_urls)]))
        .collect();
    let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    if let Some(trouble) = trouble {
        status["evaluationError"] = trouble.trim_start_matches("RBAC: ").into();
    }
    status
}

fn info(user: &User) -> Value {
    let User { name, groups, uid, extra } = user;
    let mut info = json!({"username": name});
    if !uid.is_empty() {
        info["uid"] = uid.clone().into();
    }
    if !groups.is_empty() {
        info["groups"] = json!(groups);
    }
    if !extra.is_empty() {
        info["extra"] = json!(extra);
    }
    info
}

/// Says nothing about a token that is no good, not even why.
fn token(inner: &Inner, spec: &Value) -> Result<Value, Failure> {
    let given = text(spec, "token");
    if given.is_empty() {
        return Err(Failure::bad_request("token is required for TokenReview in authentication"));
    }
    let wanted = match texts(&spec["audiences"]) {
        none if none.is_empty() => vec![AUDIENCE.to_string()],
        some => some,
    };
    let unknown = || json!({"user": {}, "error": "invalid bearer token"});
    let Some(holder) = inner.tokens.holder(inner, given) else { return Ok(unknown()) };
    let audiences: Vec<String> = wanted.into_iter().filter(|one| holder.audiences.contains(one)).collect();
    if audiences.is_empty() {
        return Ok(unknown());
    }
    Ok(json!({"authenticated": true, "user": info(&holder.user), "audiences": audiences}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_place_is_a_review() {
        let of = |path: &str| Target::parse(path).and_then(|target| super::of(&target).map(|review| review.name));
        assert_eq!(of("/apis/authorization.k8s.io/v1/subjectaccessreviews"), Some("SubjectAccessReview"));
        assert_eq!(
            of("/apis/authorization.k8s.io/v1/namespaces/a/localsubjectaccessreviews"),
            Some("LocalSubjectAccessReview")
        );
        assert_eq!(of("/apis/authorization.k8s.io/v1/localsubjectaccessreviews"), None);
        assert_eq!(of("/apis/authorization.k8s.io/v1/namespaces/a/subjectaccessreviews"), None);
        assert_eq!(of("/apis/authentication.k8s.io/v1/tokenreviews/x"), None);
    }
}
