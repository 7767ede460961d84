//! The one integration-test binary: every further one would link the whole product again.

mod generated;
mod shim;
