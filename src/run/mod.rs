//! Composition: what `up` and `serve` put together. Owns the home directory, the certificates and both listeners; every other
//! module is handed what it needs and knows nothing of the rest.

pub mod callers;
pub mod cluster;
pub mod home;
pub mod kubeconfig;
pub mod leader;
pub mod listen;
pub mod plane;
pub mod serve;
pub mod tls;
pub mod up;

pub use plane::{Output, PlaneOptions};
pub use serve::{ClusterOptions, serve};
pub use up::{LocalHost, up};
