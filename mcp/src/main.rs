//! `vmleak-mcp`: the commands of vmleak as tools of the Model Context Protocol, over stdio.
//!
//! Layer: above the library's [`vmleak::cli::ask`]. Input: dumps on the command line, opened once;
//! calls of tools on stdin. Output: bounded JSON on stdout. Invariants: read-only; no path but those
//! on the command line is opened, and none can be named in a call.

mod answer;
mod server;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rmcp::ServiceExt;
use vmleak::cli::ask::OpenDump;
use vmleak::open::{Options, TypesFrom};

/// Serves a dump to a program that asks by the Model Context Protocol on stdin and stdout: every
/// command of vmleak is a tool. The dump is opened once and only read.
///
/// Example, in the client's configuration:
/// {"mcpServers": {"vmleak": {"command": "vmleak-mcp", "args": ["vmcore", "vmlinux"]}}}
#[derive(Debug, Parser)]
#[command(name = "vmleak-mcp", version, verbatim_doc_comment)]
struct Arguments {
    /// The dump and, in any order, its vmlinux
    #[arg(value_name = "VMCORE [VMLINUX]", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Another debug file (vmlinux, .ko.debug), or a System.map, besides those found
    #[arg(short = 's', long = "symbols", value_name = "FILE")]
    symbols: Vec<PathBuf>,
    /// Look for debug files under DIR too
    #[arg(long, value_name = "DIR")]
    debug_directory: Vec<PathBuf>,
    /// Look nowhere by itself
    #[arg(long)]
    no_default_debug_directories: bool,
    /// Where types come from: auto, dwarf, btf or profile:FILE
    #[arg(long, default_value = "auto")]
    types: TypesFrom,
    /// At most so many bytes of JSON in an answer
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024)]
    max_bytes: usize,
}

impl Arguments {
    fn options(self) -> Options {
        let mut options = Options::new(self.files);
        options.symbols = self.symbols;
        options.debug_directories = self.debug_directory;
        options.no_default_debug_directories = self.no_default_debug_directories;
        options.types = self.types;
        options
    }
}

/// The dump or its types can't be opened, as vmleak ends then.
const CANNOT_OPEN: u8 = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bytes = arguments.max_bytes;
    let dump = match OpenDump::open(arguments.options()) {
        Ok(dump) => dump,
        Err(error) => {
            eprintln!(
                "vmleak-mcp: {}",
                vmleak::render::printable(&error.to_string())
            );
            return ExitCode::from(CANNOT_OPEN);
        }
    };
    match serve(server::Server::new(dump, bytes)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vmleak-mcp: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(server: server::Server) -> anyhow::Result<()> {
    let running = server.serve(rmcp::transport::stdio()).await?;
    running.waiting().await?;
    Ok(())
}
