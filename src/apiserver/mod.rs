//! apiserver

/// Who asks.
#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub groups: Vec<String>,
}

impl User {
    pub fn admin() -> User {
        User { name: "admin".into(), groups: vec!["system:masters".into(), "system:authenticated".into()] }
    }

    pub fn system(component: &str) -> User {
        User { name: format!("system:regatta:{component}"), groups: vec!["system:masters".into()] }
    }
}
