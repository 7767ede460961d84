//! The one integration-test binary.

mod apiserver;
mod kubectl;
