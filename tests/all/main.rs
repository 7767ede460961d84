//! The one integration-test binary: every further one would link the whole product again.

mod apiserver;
mod cli;
mod controllers;
mod gateway;
mod generated;
mod harness;
mod host;
mod house;
mod kubectl;
mod spine;
