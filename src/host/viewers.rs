//! Who watches a terminal and whose window decides its size: the one who typed or focused last. Pure bookkeeping.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    View,
    Type,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Viewer {
    pub id: u64,
    pub user: String,
    pub role: Role,
    #[serde(skip)]
    size: Option<(u16, u16)>,
    /// Larger is later; zero has never typed nor focused.
    #[serde(skip)]
    active: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewers {
    pub all: Vec<Viewer>,
    pub owner: Option<u64>,
    next: u64,
    clock: u64,
}

impl Viewers {
    pub fn join(&mut self, user: String, role: Role) -> u64 {
        self.next += 1;
        self.all.push(Viewer { id: self.next, user, role, size: None, active: 0 });
        self.next
    }

    /// Returns the size that the terminal should have now, when that is news to somebody.
    pub fn leave(&mut self, id: u64) -> Option<(u16, u16)> {
        self.all.retain(|viewer| viewer.id != id);
        if self.owner != Some(id) {
            return None;
        }
        self.owner = None;
        // Given back to whoever was active before; with nobody left the size stays, and no program has to redraw.
        let heir = self.all.iter().filter(|v| v.size.is_some() && v.role == Role::Type).max_by_key(|v| v.active)?;
        self.owner = Some(heir.id);
        heir.size
    }

    pub fn resize(&mut self, id: u64, size: (u16, u16)) -> Option<(u16, u16)> {
        let viewer = self.all.iter_mut().find(|viewer| viewer.id == id)?;
        viewer.size = Some(size);
        if viewer.role == Role::View {
            return None;
        }
        if self.owner.is_none() {
            self.owner = Some(id);
        }
        (self.owner == Some(id)).then_some(size)
    }

    /// Typing or focusing.
    pub fn act(&mut self, id: u64) -> Option<(u16, u16)> {
        self.clock += 1;
        let clock = self.clock;
        let viewer = self.all.iter_mut().find(|viewer| viewer.id == id && viewer.role == Role::Type)?;
        viewer.active = clock;
        let size = viewer.size?;
        if self.owner == Some(id) {
            return None;
        }
        self.owner = Some(id);
        Some(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_follows_the_last_who_typed_and_goes_back_when_they_leave() {
        let mut viewers = Viewers::default();
        let desk = viewers.join("ann".into(), Role::Type);
        let phone = viewers.join("ann".into(), Role::Type);
        let guest = viewers.join("bob".into(), Role::View);
        assert_eq!(viewers.resize(desk, (200, 50)), Some((200, 50)));
        assert_eq!(viewers.resize(phone, (40, 20)), None);
        assert_eq!(viewers.resize(guest, (10, 10)), None);
        assert_eq!(viewers.act(phone), Some((40, 20)));
        assert_eq!(viewers.act(phone), None, "already theirs");
        assert_eq!(viewers.act(guest), None, "who may only look decides nothing");
        assert_eq!(viewers.leave(phone), Some((200, 50)));
        assert_eq!(viewers.leave(guest), None);
        assert_eq!(viewers.leave(desk), None);
        assert_eq!(viewers.owner, None);
    }
}
