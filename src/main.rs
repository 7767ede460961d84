fn main() -> std::process::ExitCode {
    // Before anything else is set up: there is one shim per agent, and each pays for what it touches.
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|verb| verb == "shim")
        && let Some(agent_dir) = args.next()
    {
        return regatta::shim::main(agent_dir.as_ref());
    }
    regatta::cli::main()
}
