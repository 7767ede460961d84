//! host

pub mod keys;
pub mod log;
pub mod screen;
mod screen_dump;
pub mod session;
pub mod shim_client;
pub mod stream;
pub mod terminal;
mod terminal_log;
mod text;
pub mod viewers;
pub mod wake;
