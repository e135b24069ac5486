//! The `vmleak` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    vmleak::cli::main()
}
