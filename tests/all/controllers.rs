//! Controllers and the per-host reconciler, in process against the embedded API server. The host here is simulated, but
//! speaks the real contract over a real link: what it is told, it says it does.

mod examples;
mod hosts;
mod later;
mod placement;
mod sources;
mod world;
