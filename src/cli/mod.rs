//! The command line: the only room that prints, and the only one with `anyhow`. Other programs
//! give its commands by [`ask`].

pub(crate) mod args;
pub mod ask;
mod bundle;
mod command;
mod conntrack;
mod conntrack_args;
mod diff;
mod export;
mod exported;
mod held;
mod leaks;
mod leaks_args;
mod machine;
mod manual;
mod names;
mod net;
mod objects;
mod output;
mod pageowner;
mod part;
mod progress;
mod report;
mod retained;
mod rules;
mod run;
mod save_profile;
mod series;
mod session;
mod skbs;
mod sockets;
mod state;
mod sysctl;
mod traces;
mod whatis;
mod wrong;

use std::process::ExitCode;

use vmleak::render;

/// The arguments can't be meant; clap ends so too.
const USAGE: u8 = 2;
/// The dump or its types can't be opened.
const CANNOT_OPEN: u8 = 3;

/// Parses the command line, runs it, and turns errors into one line and an exit code.
pub fn main() -> ExitCode {
    let cli = command::Cli::from_arguments();
    match run::run(&cli.command) {
        Ok(code) => code,
        Err(error) => {
            // It may name what the dump says of itself: its release, for one.
            let code = match error.is::<wrong::WrongArgument>() {
                true => USAGE,
                false => CANNOT_OPEN,
            };
            let error = render::printable(&format!("{error:#}"));
            anstream::eprintln!("vmleak: {error}");
            ExitCode::from(code)
        }
    }
}
