//! `man` and `completions`: made from the command line's own types, so that they can't be out of
//! date. Neither needs a dump.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use roff::{Inline, Roff, bold, italic, roman};

use super::command::Cli;

/// The command line is wrong, as clap has it.
const USAGE: u8 = 2;

/// Of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The page of this command; without one, of vmleak itself
    pub(crate) command: Option<String>,
}

/// Of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Command lines, each with what it answers.
const EXAMPLES: [(&str, &str); 11] = [
    (
        "vmleak slabs /var/crash/127.0.0.1-2026-01-31-12:00:00/vmcore",
        "Which slab caches filled the memory? The vmlinux is looked for; without one the dump's own types serve (6.0 and later).",
    ),
    (
        "vmleak leaks /var/crash",
        "Is it a leak, and whose? Of a directory the newest complete dump is taken.",
    ),
    (
        "vmleak leaks --fail-on leak --format json -o verdict.json vmcore vmlinux",
        "For a script: status 1 if a cache leaks, the whole evidence in a file.",
    ),
    (
        "vmleak report -o incident.html vmcore vmlinux",
        "One page for the incident review, with what the commands say.",
    ),
    (
        "vmleak slabs --format slabinfo vmcore",
        "What /proc/slabinfo said at the crash.",
    ),
    (
        "vmleak objects kmalloc-256 --unreachable --hexdump vmcore",
        "Objects of a cache that nothing points to, with their bytes.",
    ),
    (
        "vmleak conntrack --summary vmcore",
        "What filled the connection table?",
    ),
    (
        "vmleak kmemleak vmcore vmlinux",
        "What kmemleak of a debug kernel had found, and how old that is.",
    ),
    (
        "vmleak allocinfo vmcore vmlinux",
        "Which places in the code hold most memory, of a kernel with memory allocation profiling.",
    ),
    (
        "vmleak memcg --dying vmcore",
        "Memory cgroups that were removed, but are still held.",
    ),
    (
        "vmleak info --save-profile kernel.profile vmcore vmlinux",
        "Keep the types of a kernel (12 KB) for machines without its vmlinux; --types profile:kernel.profile reads them.",
    ),
];

const EXIT_STATUS: [(&str, &str); 5] = [
    ("0", "The dump was analysed."),
    ("1", "What --fail-on names was found."),
    ("2", "The command line is wrong."),
    (
        "3",
        "The dump or its types can't be opened, the vmlinux is another kernel's, or the kernel has not got what the command is about.",
    ),
    (
        "4",
        "Something was missing or cut short. The result is printed all the same and says what.",
    ),
];

const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "COLUMNS",
        "How wide texts are laid out, in place of the terminal's own width.",
    ),
    ("NO_COLOR", "If set, no colour where --color is auto."),
    (
        "CLICOLOR_FORCE",
        "If set and not 0, colour where --color is auto, though the result goes to no terminal.",
    ),
    (
        "RAYON_NUM_THREADS",
        "How many threads to use where --threads does not say.",
    ),
];

const FILES: [(&str, &str); 7] = [
    (
        "/usr/lib/debug/.build-id/xx/*.debug",
        "Debug files by build-id. --debug-directory adds directories that are laid out alike.",
    ),
    (
        "/usr/lib/debug/boot/vmlinux-RELEASE",
        "By release, as Debian's packages have it.",
    ),
    (
        "/usr/lib/debug/lib/modules/RELEASE/",
        "By release, as those of Fedora and RHEL have it: vmlinux, and modules' debug files.",
    ),
    ("/boot/vmlinux-RELEASE", "Where kernels are installed."),
    (
        "/lib/modules/RELEASE/build/vmlinux",
        "Where they were built.",
    ),
    (
        "vmlinux, vmlinux-RELEASE",
        "Beside the dump, if the build-id is the dump's.",
    ),
    (
        "/var/crash",
        "Where kdump puts dumps. A dump is opened read-only, and nothing is written beside it.",
    ),
];

/// Runs `vmleak man`.
pub(crate) fn man(args: &ManArgs) -> Result<ExitCode> {
    let mut page = Vec::new();
    match &args.command {
        None => write_main(&mut page)?,
        Some(name) => match command(name) {
            Some(command) => write_command(&mut page, command)?,
            None => {
                anstream::eprintln!(
                    "vmleak: there is no command {name:?}; vmleak --help lists them"
                );
                return Ok(ExitCode::from(USAGE));
            }
        },
    }
    print(&page)
}

/// Runs `vmleak completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vmleak", &mut script);
    print(&script)
}

/// A reader that has gone away is no error.
fn print(bytes: &[u8]) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("can't write the result")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn page_of(command: clap::Command) -> Man {
    let version = concat!("vmleak ", env!("CARGO_PKG_VERSION"));
    Man::new(command).source(version).manual("vmleak")
}

fn write_main(out: &mut Vec<u8>) -> io::Result<()> {
    let man = page_of(Cli::command());
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    man.render_subcommands_section(out)?;
    let mut roff = Roff::new();
    list(&mut roff, "EXAMPLES", &EXAMPLES);
    list(&mut roff, "EXIT STATUS", &EXIT_STATUS);
    list(&mut roff, "ENVIRONMENT", &ENVIRONMENT);
    list(&mut roff, "FILES", &FILES);
    see_also(
        &mut roff,
        "vmleak man COMMAND prints the page of a command.",
    );
    roff.to_writer(out)
}

/// The command of this name, called as on the command line.
fn command(name: &str) -> Option<clap::Command> {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand(name).cloned()
}

fn write_command(out: &mut Vec<u8>, command: clap::Command) -> io::Result<()> {
    let man = page_of(command);
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    let mut roff = Roff::new();
    list(&mut roff, "EXIT STATUS", &EXIT_STATUS);
    see_also(&mut roff, "vmleak man prints the page of vmleak itself.");
    roff.to_writer(out)
}

/// A section of terms with what they mean.
fn list(roff: &mut Roff, title: &str, items: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (term, text) in items {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
}

fn see_also(roff: &mut Roff, more: &str) {
    let page = |name| -> [Inline; 2] { [italic(name), roman("(8), ")] };
    roff.control("SH", ["SEE ALSO"]);
    let pages = ["crash", "makedumpfile", "kdump"]
        .into_iter()
        .flat_map(page);
    let more = [roman(format!("drgn(1). {more}"))];
    roff.text(pages.chain(more).collect::<Vec<_>>());
}
