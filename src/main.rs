fn main() -> std::process::ExitCode {
    regatta::cli::main()
}
