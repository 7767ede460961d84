//! The one integration-test binary: every further one would link the whole product again.
#![recursion_limit = "256"]

mod apiserver;
mod controllers;
mod gateway;
mod generated;
mod host;
mod kubectl;
