//! The path of the value being looked at, as error messages spell it: `spec.env[0].name`, `spec.labels[a/b]`.

/// A growing and shrinking path: one buffer for a whole walk.
#[derive(Debug, Default)]
pub(super) struct FieldPath(String);

/// Where to cut back to after a step.
pub(super) struct Mark(usize);

impl FieldPath {
    pub fn new(root: &str) -> FieldPath {
        FieldPath(root.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn field(&mut self, name: &str) -> Mark {
        let mark = Mark(self.0.len());
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(name);
        mark
    }

    pub fn key(&mut self, name: &str) -> Mark {
        let mark = Mark(self.0.len());
        self.0.push('[');
        self.0.push_str(name);
        self.0.push(']');
        mark
    }

    pub fn index(&mut self, index: usize) -> Mark {
        let mark = Mark(self.0.len());
        self.0.push_str(&format!("[{index}]"));
        mark
    }

    pub fn back(&mut self, mark: Mark) {
        self.0.truncate(mark.0);
    }
}
