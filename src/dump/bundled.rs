//! What a bundle says of itself, in a note of its own.

use super::Dump;

/// What a bundle says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle<'a> {
    /// The version of vmleak that made it: another one may read other words.
    pub version: &'a str,
    /// The commands whose reads it holds, by blanks.
    pub commands: &'a str,
}

impl Bundle<'_> {
    /// Whether it holds what this command reads.
    pub fn is_for(&self, command: &str) -> bool {
        self.commands.split(' ').any(|one| one == command)
    }
}

impl Dump {
    /// Of a bundle: for which commands it was made.
    pub fn bundle(&self) -> Option<Bundle<'_>> {
        let text = self.notes().bundle_of.as_deref()?;
        let (version, commands) = text.split_once(' ').unwrap_or((text, ""));
        Some(Bundle { version, commands })
    }
}
