//! Adapters: how to launch one kind of CLI. Owns the shipped definitions, their validation, and the pure step from a
//! definition and an agent's values to an argument vector. Starts nothing, reads no file and no environment.

mod launch;
mod shipped;
mod validate;

pub use launch::{Inputs, Launch, SpecError, launch};
pub use shipped::{find, names, shipped};
pub use validate::{DefinitionError, parse};
