//! Arguments that can't be meant: they end with the status of a wrong usage, as clap's own do.

use anyhow::{Error, anyhow};
use vmleak::diag::Diagnostics;

/// What was asked for is not there, or can't be asked so.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongArgument(String);

/// What can't be asked so, whatever the dump holds.
pub(crate) fn wrong(message: impl Into<String>) -> Error {
    WrongArgument(message.into()).into()
}

/// That a network namespace of this number is among `all`.
pub(crate) fn known_netns(
    diag: &Diagnostics,
    inum: u32,
    all: impl Iterator<Item = u32>,
) -> Result<(), Error> {
    let all: Vec<String> = all.map(|inum| inum.to_string()).collect();
    let wanted = inum.to_string();
    if all.contains(&wanted) {
        return Ok(());
    }
    let there = all.join(", ");
    let message = format!("no network namespace has the number {wanted}; there are {there}");
    Err(nothing_so(diag, message))
}

/// The dump has nothing of that name. Where memory is missing it may have been there, and nobody
/// can say that the argument is wrong.
pub(crate) fn nothing_so(diag: &Diagnostics, message: impl Into<String>) -> Error {
    let message = message.into();
    match diag.has_loss() {
        true => anyhow!("{message}, as far as memory can be read: some of it is missing"),
        false => wrong(message),
    }
}
