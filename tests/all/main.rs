<<<<<<< HEAD
//! The one integration-test binary: every further one would link the whole product again.

mod gateway;
mod generated;
=======
//! The one integration-test binary.

mod apiserver;
>>>>>>> store
