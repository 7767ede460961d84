//! The gateway over real sockets and a real link, before an API small enough to be made to misbehave.

mod api;
mod measure;
mod security;
mod streams;
mod watch;
mod world;
