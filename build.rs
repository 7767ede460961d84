//! Notices a new build of the web app, and links the binary at a fixed address: a position-independent one of this size makes every shim pay about a megabyte
//! of private memory for its relocations, and there is one shim per agent.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The web app is built into release binaries. Only when it is there: a missing path would be built anew each time.
    if std::path::Path::new("web/dist").exists() {
        println!("cargo:rerun-if-changed=web/dist");
    }
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
