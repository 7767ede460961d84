//! Questions a client asks about itself. Every caller may do anything so far, and the answers say exactly that.

use serde_json::{Value, json};

use super::{User, request::Target, status::Failure};

pub fn is_review(target: &Target) -> bool {
    target.name.is_none()
        && target.namespace.is_none()
        && target.version == "v1"
        && matches!(
            (target.group.as_str(), target.plural.as_str()),
            ("authorization.k8s.io", "selfsubjectaccessreviews" | "selfsubjectrulesreviews")
                | ("authentication.k8s.io", "selfsubjectreviews")
        )
}

pub fn answer(target: &Target, user: &User, mut object: Value) -> Result<Value, Failure> {
    let (kind, status) = match target.plural.as_str() {
        "selfsubjectaccessreviews" => {
            let spec = &object["spec"];
            let asks = ["resourceAttributes", "nonResourceAttributes"].iter().filter(|f| spec[**f].is_object()).count();
            if asks != 1 {
                let message = "SelfSubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.resourceAttributes: \
                     Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
                return Err(Failure::new(422, "Invalid", message));
            }
            ("SelfSubjectAccessReview", json!({"allowed": true, "reason": "every authenticated user may do anything"}))
        }
        "selfsubjectrulesreviews" => (
            "SelfSubjectRulesReview",
            json!({"incomplete": false,
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}),
        ),
        _ => ("SelfSubjectReview", json!({"userInfo": {"username": user.name, "groups": user.groups}})),
    };
    let metadata = object["metadata"].take();
    let mut answer = json!({
        "kind": kind, "apiVersion": format!("{}/v1", target.group),
        "metadata": if metadata.is_object() { metadata } else { json!({"creationTimestamp": null}) },
        "status": status,
    });
    if object["spec"].is_object() {
        answer["spec"] = object["spec"].take();
    }
    Ok(answer)
}
