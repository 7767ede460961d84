//! `kubectl --as`: a caller who may impersonate becomes somebody else for one request. Each thing taken on (user, groups,
//! uid, extras) is a right of its own.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};

use super::{AUTHENTICATED, Ask, Authorizer, Place, What, refusal};
use crate::apiserver::{User, names::NameRule, status::Failure, token};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";
const ANONYMOUS: &str = "system:anonymous";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// One thing to be taken on.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Account { namespace: String, name: String },
    User(String),
    Group(String),
    Uid(String),
    Extra { key: String, value: String },
}

/// Who acts: the caller, or whom the caller impersonates. The headers that said so are gone afterwards.
pub fn effective(authorizer: &Authorizer, caller: User, headers: &mut HeaderMap) -> Result<User, Failure> {
    let parts = parts(headers)?;
    if parts.is_empty() {
        return Ok(caller);
    }
    let named: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name.as_str())).cloned().collect();
    for name in named {
        headers.remove(name);
    }
    let mut user = User::default();
    let groups_given = parts.iter().any(|part| matches!(part, Part::Group(_)));
    for part in parts {
        let ask = Ask { verb: "impersonate", what: What::Resource(place(&part)) };
        let decision = authorizer.decide(&caller, &ask);
        if !decision.allowed {
            return Err(refusal(&caller, &ask, &decision.reason));
        }
        match part {
            Part::Account { namespace, name } => {
                user.name = token::account_user(&namespace, &name);
                if !groups_given {
                    user.groups = token::account_groups(&namespace);
                }
            }
            Part::User(name) => user.name = name,
            Part::Group(name) => user.groups.push(name),
            Part::Uid(uid) => user.uid = uid,
            Part::Extra { key, value } => user.extra.entry(key).or_default().push(value),
        }
    }
    let known = |group: &str| user.groups.iter().any(|known| known == group);
    if user.name == ANONYMOUS {
        if !known(UNAUTHENTICATED) {
            user.groups.push(UNAUTHENTICATED.into());
        }
    } else if !known(AUTHENTICATED) && !known(UNAUTHENTICATED) {
        user.groups.push(AUTHENTICATED.into());
    }
    tracing::debug!(caller = caller.name, user = user.name, "impersonation");
    Ok(user)
}

fn is_ours(header: &str) -> bool {
    matches!(header, USER | GROUP | UID) || header.starts_with(EXTRA)
}

fn place(part: &Part) -> Place<'_> {
    match part {
        Part::Account { namespace, name } => Place { resource: "serviceaccounts", namespace, name, ..Place::default() },
        Part::User(name) => Place { resource: "users", name, ..Place::default() },
        Part::Group(name) => Place { resource: "groups", name, ..Place::default() },
        Part::Uid(name) => Place { group: AUTHENTICATION, resource: "uids", name, ..Place::default() },
        Part::Extra { key, value } => {
            Place { group: AUTHENTICATION, resource: "userextras", subresource: key, name: value, ..Place::default() }
        }
    }
}

fn parts(headers: &HeaderMap) -> Result<Vec<Part>, Failure> {
    let mut extras: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut user, mut groups, mut uid) = (None, Vec::new(), None);
    for (header, value) in headers {
        if !is_ours(header.as_str()) {
            continue;
        }
        let Ok(value) = std::str::from_utf8(value.as_bytes()) else {
            return Err(Failure::bad_request(format!("the value of the header {header} is not UTF-8")));
        };
        let value = value.to_string();
        match header.as_str() {
            USER => user = user.or(Some(value)),
            UID => uid = uid.or(Some(value)),
            GROUP => groups.push(value),
            name => extras.entry(unescape(&name[EXTRA.len()..])).or_default().push(value),
        }
    }
    let (user, uid) = (user.filter(|user| !user.is_empty()), uid.filter(|uid| !uid.is_empty()));
    let mut parts = Vec::new();
    parts.extend(groups.into_iter().map(Part::Group));
    for (key, values) in extras {
        parts.extend(values.into_iter().map(|value| Part::Extra { key: key.clone(), value }));
    }
    parts.extend(uid.map(Part::Uid));
    let Some(user) = user else {
        if parts.is_empty() {
            return Ok(parts);
        }
        let list: Vec<String> = parts.iter().map(reference).collect();
        return Err(Failure::bad_request(format!("requested [{}] without impersonating a user", list.join(" "))));
    };
    parts.insert(0, account(&user).unwrap_or(Part::User(user)));
    Ok(parts)
}

fn account(user: &str) -> Option<Part> {
    let (namespace, name) = token::account_of(user)?;
    let valid = NameRule::Label.error(namespace).is_none() && NameRule::Subdomain.error(name).is_none();
    valid.then(|| Part::Account { namespace: namespace.into(), name: name.into() })
}

/// The fields of an object reference, as upstream prints one.
fn reference(part: &Part) -> String {
    match part {
        Part::Account { namespace, name } => format!("{{ServiceAccount {namespace} {name}    }}"),
        Part::User(name) => format!("{{User  {name}    }}"),
        Part::Group(name) => format!("{{Group  {name}    }}"),
        Part::Uid(uid) => format!("{{UID  {uid}  {AUTHENTICATION}/v1  }}"),
        Part::Extra { key, value } => format!("{{UserExtra  {value}  {AUTHENTICATION}/v1  {key}}}"),
    }
}

/// Header names are lower case here already; what they cannot hold is percent-encoded. A malformed one stays as it is.
fn unescape(key: &str) -> String {
    crate::apiserver::request::decode(key).unwrap_or_else(|| key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn headers_name_what_is_taken_on() {
        let given = headers(&[
            (USER, "system:serviceaccount:a:b"),
            (GROUP, "one"),
            ("impersonate-extra-scopes%2fx", "view"),
            (UID, "7"),
        ]);
        assert_eq!(
            parts(&given).unwrap(),
            [
                Part::Account { namespace: "a".into(), name: "b".into() },
                Part::Group("one".into()),
                Part::Extra { key: "scopes/x".into(), value: "view".into() },
                Part::Uid("7".into()),
            ]
        );
        assert_eq!(
            parts(&headers(&[(USER, "system:serviceaccount:a")])).unwrap()[0],
            Part::User("system:serviceaccount:a".into())
        );
        assert_eq!(parts(&headers(&[(USER, "")])).unwrap(), []);
    }

    #[test]
    fn groups_alone_are_refused() {
        let failure = parts(&headers(&[(GROUP, "one")])).unwrap_err();
        assert_eq!(
            (failure.code, failure.message.as_str()),
            (400, "requested [{Group  one    }] without impersonating a user")
        );
    }
}
