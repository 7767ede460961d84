//! What two processes share: the shim's launch and exit records, the frames on its socket, the layout of the log and
//! the scanner for reports inside terminal output. std and serde only; knows no other part.

pub mod frame;
pub mod launch;
pub mod log;
pub mod scan;

pub use launch::{Event, EventKind, ExitReason, ExitRecord, LaunchSpec, Welcome};
