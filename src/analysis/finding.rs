//! A finding: one thing that is wrong, or may be, said once for all who tell it.
//!
//! Layer: analysis. Text, JSON, HTML and the exit status all take it from here.
//! Invariant: a fingerprint is the same in two dumps of one fault: no address, size or number
//! of this dump is in it.

use serde::Serialize;

use super::accounting::{Level, Reason};
use super::leaks::Owner;

/// What speaks for a finding, what against it, and what could not be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The strongest first.
    pub r#for: Vec<Reason>,
    /// What speaks against it.
    pub against: Vec<Reason>,
    /// What could not be looked at, and why.
    pub not_checked: Vec<Reason>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What kind of thing, for programs.
    pub code: &'static str,
    /// How bad.
    pub level: Level,
    /// What it is about: the name of a cache, or a few words.
    pub subject: String,
    /// The same, if it is a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// In words.
    pub message: String,
    /// Bytes that it is about.
    pub bytes: u64,
    /// Objects that it is about, where there are any.
    pub objects: Option<u64>,
    /// How many of them came in an hour at most: all since boot, for nothing tells when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_hour_at_most: Option<u64>,
    /// Whose they seem to be: a module, or `vmlinux`.
    pub owner: Option<String>,
    /// All who may be the owner, with how that is known.
    pub owners: Vec<Owner>,
    /// What it rests on.
    pub evidence: Evidence,
    /// The same for the same fault in another dump.
    pub fingerprint: String,
    /// Command lines that check it.
    pub check_with: Vec<String>,
}

impl Finding {
    /// One with its code, level, subject and message. The others are added.
    pub fn new(code: &'static str, level: Level, subject: &str, message: String) -> Self {
        Self {
            code,
            level,
            subject: subject.to_owned(),
            cache: None,
            message,
            bytes: 0,
            objects: None,
            per_hour_at_most: None,
            owner: None,
            owners: Vec::new(),
            evidence: Evidence::default(),
            fingerprint: Fingerprint::of(code).text(),
            check_with: Vec::new(),
        }
    }

    /// Its message is all that speaks for it.
    pub(super) fn on_its_message(mut self, basis: &'static str) -> Self {
        let reason = Reason {
            code: self.code,
            basis,
            message: self.message.clone(),
        };
        match self.level {
            Level::Leak | Level::Suspect => self.evidence.r#for.push(reason),
            Level::Inconclusive | Level::Clean => self.evidence.not_checked.push(reason),
        }
        self
    }

    pub(super) fn with_owners(mut self, owners: &[Owner]) -> Self {
        self.owner = owners.first().map(|owner| owner.module.clone());
        self.owners = owners.to_vec();
        self
    }

    pub(super) fn check_with(mut self, commands: &[&str]) -> Self {
        let commands = commands.iter().map(|command| (*command).to_owned());
        self.check_with = commands.collect();
        self
    }
}

/// The worst of findings.
pub fn worst(findings: &[Finding]) -> Option<Level> {
    findings.iter().map(|finding| finding.level).max()
}

/// A hash (FNV-1a) of what makes two findings the same one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn of(code: &str) -> Self {
        Self(0xcbf2_9ce4_8422_2325).with(code)
    }

    /// Takes in one more part. Where a part ends matters.
    pub(super) fn with(self, part: &str) -> Self {
        let bytes = part.bytes().chain([0xff]);
        Self(bytes.fold(self.0, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }

    /// A symbol, without what differs from build to build: `+0x20/0x80`, `.isra.0`.
    pub(super) fn symbol(self, name: &str) -> Self {
        let name = name.split(['+', ' ']).next().unwrap_or(name);
        let end = name.get(1..).and_then(|rest| rest.find('.'));
        let stable = end.and_then(|end| name.get(..=end));
        self.with(stable.unwrap_or(name))
    }

    pub(super) fn text(self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_names_and_not_of_one_build() {
        let of = |symbol: &str| Fingerprint::of("cache").symbol(symbol).text();
        assert_eq!(of("leak+0x12/0x80 [leaky]"), of("leak.isra.0+0x4/0x90"));
        assert_ne!(of("leak"), of("leak_more"));
        let two = |a: &str, b: &str| Fingerprint::of("cache").with(a).with(b).text();
        assert_ne!(two("ab", "c"), two("a", "bc"));
    }
}
