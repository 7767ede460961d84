//! Which of several Sources an object belongs to. The first that has it keeps it; of two that came at once, the one that
//! was created earlier. The other says so in its status and leaves the object alone: two Sources never fight.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Key;

/// One Source, as the others see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// When the Source was created, in milliseconds.
    pub since_ms: i64,
    /// What it applied.
    pub has: BTreeSet<Key>,
    /// What its files name.
    pub wants: BTreeSet<Key>,
}

/// By the Source's name.
pub type Claims = BTreeMap<String, Claim>;

/// The other Source that an object is left to.
pub fn owner<'a>(claims: &'a Claims, me: &str, key: &Key) -> Option<&'a str> {
    let mine = claims.get(me);
    let has_it = mine.is_some_and(|claim| claim.has.contains(key));
    let my_rank = (mine.map_or(i64::MAX, |claim| claim.since_ms), me);
    claims
        .iter()
        .filter(|(name, _)| *name != me)
        .find(|(name, claim)| {
            let is_senior = (claim.since_ms, name.as_str()) < my_rank;
            match claim.has.contains(key) {
                true => !has_it || is_senior,
                false => claim.wants.contains(key) && !has_it && is_senior,
            }
        })
        .map(|(name, _)| name.as_str())
}

/// Everything that the other Sources have or want.
pub fn elsewhere(claims: &Claims, me: &str) -> BTreeSet<Key> {
    let others = claims.iter().filter(|(name, _)| *name != me);
    others.flat_map(|(_, claim)| claim.has.iter().chain(&claim.wants)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new("regatta.dev/v1alpha1", "Agent", Some("default"), "a")
    }

    /// `(name, age, has it, wants it)`
    fn claims(sources: &[(&str, i64, bool, bool)]) -> Claims {
        let set = |yes: bool| yes.then(key).into_iter().collect();
        let claim = |since_ms, has, wants| Claim { since_ms, has: set(has), wants: set(wants) };
        sources.iter().map(|(name, since, has, wants)| ((*name).to_owned(), claim(*since, *has, *wants))).collect()
    }

    #[test]
    fn whoever_has_an_object_keeps_it() {
        let held = claims(&[("new", 2, true, true), ("old", 1, false, true)]);
        assert_eq!(owner(&held, "old", &key()), Some("new"));
        assert_eq!(owner(&held, "new", &key()), None);
    }

    #[test]
    fn of_two_that_came_at_once_the_elder_wins_and_both_agree_on_that() {
        for (has, wants) in [(true, true), (false, true)] {
            let tied = claims(&[("b", 1, has, wants), ("a", 2, has, wants)]);
            assert_eq!((owner(&tied, "a", &key()), owner(&tied, "b", &key())), (Some("b"), None));
            let twins = claims(&[("b", 1, has, wants), ("a", 1, has, wants)]);
            assert_eq!((owner(&twins, "a", &key()), owner(&twins, "b", &key())), (None, Some("a")));
        }
    }

    #[test]
    fn what_nobody_else_names_is_mine() {
        assert_eq!(owner(&claims(&[("other", 1, false, false)]), "me", &key()), None);
        assert!(elsewhere(&claims(&[("me", 1, true, true)]), "me").is_empty());
        assert!(elsewhere(&claims(&[("me", 1, true, true), ("b", 1, false, true)]), "me").contains(&key()));
    }
}
