//! Links the binary at a fixed address: a position-independent one of this size makes every shim pay about a megabyte
//! of private memory for its relocations, and there is one shim per agent.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
