//! The one integration-test binary: every further one would link the whole product again.

mod apiserver;
mod controllers;
mod gateway;
mod generated;
mod harness;
mod host;
mod house;
#![recursion_limit = "256"]

mod apiserver;
mod gateway;
mod generated;
mod kubectl;
mod spine;
