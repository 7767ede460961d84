//! The gateway over real sockets and a real link, before an API small enough to be made to misbehave.

// clippy knows test functions, but not that everything here is only called by them.
#![allow(clippy::unwrap_used)]

mod access;
mod api;
mod security;
mod streams;
mod watch;
mod whole;
mod world;
