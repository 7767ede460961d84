//! The one integration-test binary.

mod apiserver;
