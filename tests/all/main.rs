//! The one integration-test binary: every further one would link the whole product again.

mod apiserver;
mod generated;
mod kubectl;
