//! Which commands can be asked, and with what: read from the command line's own definition, so
//! that a new command or option is there for programs, too.

use std::any::TypeId;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory};

use crate::cli::args::Common;
use crate::cli::command::Cli;

/// These open or write files themselves, or are about no dump.
const OWN_FILES: [&str; 6] = ["diff", "bundle", "export", "schema", "man", "completions"];

/// Words that are no file: patterns of `sysctl`, which has them among the files.
const PATTERNS_OF: &str = "sysctl";

/// The list of files of all commands.
const FILES: &str = "files";

/// Changes the exit status alone.
const STATUS_ONLY: &str = "fail_on";

/// A command that can be asked.
#[derive(Clone, Debug)]
pub struct CommandInfo {
    /// As on the command line.
    pub name: String,
    /// In a line.
    pub about: String,
    /// What `--help` says besides, with examples; may be empty.
    pub details: String,
    /// Values of `--format`.
    pub formats: Vec<String>,
    /// Its own options, without `--format`.
    pub options: Vec<OptionInfo>,
}

/// What a command takes.
#[derive(Clone, Debug)]
pub struct OptionInfo {
    /// Its long name without dashes, or that of the argument.
    pub name: String,
    /// What it means.
    pub help: String,
    /// What it takes.
    pub value: Value,
    /// Given by its place, before all options.
    pub positional: bool,
    /// Has to be given.
    pub required: bool,
    /// May be given several times.
    pub many: bool,
}

/// Values of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// None: it is there or not.
    Flag,
    /// A whole number, not below zero.
    Number,
    /// Any text.
    Text,
    /// One of these.
    OneOf(Vec<String>),
}

/// The commands that can be asked, in the order in which help lists them.
pub fn commands() -> Vec<CommandInfo> {
    let all = Cli::command();
    let asked = all
        .get_subcommands()
        .filter(|one| is_askable(one.get_name()));
    asked.map(command).collect()
}

fn is_askable(name: &str) -> bool {
    !OWN_FILES.contains(&name)
}

/// The command line without what a dump that is open needs not.
pub(super) fn askable() -> clap::Command {
    let optional = |arg: Arg| match arg.get_id() == FILES {
        // A new one: no method takes back that the dump is required.
        true => Arg::new(FILES)
            .num_args(0..)
            .value_parser(clap::value_parser!(PathBuf)),
        false => arg,
    };
    let all = Cli::command()
        .no_binary_name(false)
        .color(clap::ColorChoice::Never);
    all.mut_subcommands(|one| one.mut_args(optional))
}

/// Refuses commands and options that name files: what a program may read is decided where the
/// dump is opened.
pub(super) fn refuse_files(matches: &ArgMatches) -> Result<(), String> {
    let Some((name, own)) = matches.subcommand() else {
        return Ok(());
    };
    if !is_askable(name) {
        return Err(format!(
            "{name} opens or writes files itself: run vmleak {name}"
        ));
    }
    let definition = Cli::command();
    let of = definition.find_subcommand(name);
    let refused = of.into_iter().flat_map(clap::Command::get_arguments);
    for arg in refused.filter(|arg| !is_own(arg, name)) {
        let id = arg.get_id().as_str();
        if own.value_source(id) == Some(ValueSource::CommandLine) {
            let shown = arg
                .get_long()
                .map_or_else(|| "a file".to_owned(), |long| format!("--{long}"));
            return Err(format!(
                "the dump is open: {shown} can't be given with a question"
            ));
        }
    }
    Ok(())
}

/// Whether it is the command's own to take, and no file.
fn is_own(arg: &Arg, command: &str) -> bool {
    let id = arg.get_id().as_str();
    if id == FILES {
        return command == PATTERNS_OF;
    }
    let common = Common::augment_args(clap::Command::new("common"));
    let of_all = common
        .get_arguments()
        .any(|one| one.get_id() == arg.get_id());
    let a_file = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    !of_all && !a_file && id != STATUS_ONLY
}

fn command(of: &clap::Command) -> CommandInfo {
    let name = of.get_name().to_owned();
    let text =
        |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let long = of.get_long_about().or(of.get_after_long_help());
    let after = of.get_after_help().or(of.get_after_long_help());
    let details = [text(long), text(after)];
    let details: Vec<String> = details
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    let own = of.get_arguments().filter(|arg| is_own(arg, &name));
    let (format, options): (Vec<&Arg>, Vec<&Arg>) = own.partition(|arg| arg.get_id() == "format");
    CommandInfo {
        about: text(of.get_about()),
        details: details.join("\n\n"),
        formats: format.into_iter().flat_map(choices).collect(),
        options: options.into_iter().map(option).collect(),
        name,
    }
}

fn choices(arg: &Arg) -> Vec<String> {
    let values = arg.get_possible_values();
    let shown = values.iter().filter(|value| !value.is_hide_set());
    shown.map(|value| value.get_name().to_owned()).collect()
}

fn option(arg: &Arg) -> OptionInfo {
    let (positional, patterns) = (arg.is_positional(), arg.get_id() == FILES);
    let name = match arg.get_long() {
        Some(long) => long.to_owned(),
        None if patterns => "pattern".to_owned(),
        None => arg.get_id().to_string(),
    };
    let help = match patterns {
        true => "Names, or the start of some, with * and ?".to_owned(),
        false => arg
            .get_long_help()
            .or(arg.get_help())
            .map(ToString::to_string)
            .unwrap_or_default(),
    };
    let takes_many = arg
        .get_num_args()
        .is_some_and(|range| range.max_values() > 1);
    OptionInfo {
        name,
        help,
        value: value(arg),
        positional,
        required: arg.is_required_set() && !patterns,
        many: takes_many || matches!(arg.get_action(), ArgAction::Append),
    }
}

fn value(arg: &Arg) -> Value {
    if !arg.get_action().takes_values() {
        return Value::Flag;
    }
    let kind = arg.get_value_parser().type_id();
    let is = |number: TypeId| kind == number;
    let number = is(TypeId::of::<usize>())
        || is(TypeId::of::<u64>())
        || is(TypeId::of::<u32>())
        || is(TypeId::of::<u16>());
    match choices(arg) {
        _ if number => Value::Number,
        names if names.is_empty() => Value::Text,
        names => Value::OneOf(names),
    }
}
