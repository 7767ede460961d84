//! The one integration-test binary: every further one would link the whole product again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod apiserver;
mod cli;
mod controllers;
mod faults;
mod gateway;
mod generated;
mod harness;
mod host;
mod house;
mod kubectl;
mod shim;
mod spine;
