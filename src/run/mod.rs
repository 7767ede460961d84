//! Composition: what `up` puts together. Owns the home directory, the certificates and both listeners; every other
//! module is handed what it needs and knows nothing of the rest.

pub mod callers;
pub mod home;
pub mod kubeconfig;
pub mod listen;
pub mod tls;
pub mod up;

pub use up::{Output, UpOptions, up};
