//! Tables of bridges as `ebtables-save` prints them (of ebtables 2.0.11). What is not known of a
//! match, watcher or target is shown as its bytes.

mod address;
mod header;
mod matches;
mod names;
mod packets;
mod stp;
mod targets;

use std::io::{self, Write};

use super::iptables::info::Info;
use crate::subsys::net::rules::xt::{Extension, XChain, XRule, XTable, XTarget, XVerdict};

/// All tables, each with an empty line behind it.
///
/// # Errors
/// If writing fails.
pub(super) fn write(out: &mut dyn Write, tables: &[&XTable], counted: bool) -> io::Result<()> {
    for table in tables {
        writeln!(out, "*{}", table.name)?;
        for chain in &table.chains {
            let policy = chain.policy.as_ref().map_or("?".to_owned(), verdict);
            writeln!(out, ":{} {policy}", chain.name)?;
        }
        for chain in &table.chains {
            for rule in &chain.rules {
                writeln!(out, "{}", rule_line(chain, rule, counted))?;
            }
        }
        if !table.complete {
            writeln!(out, "# rules are missing")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// One rule as the command that makes it, and if wanted its counters, where they are known.
pub(super) fn rule_line(chain: &XChain, rule: &XRule, counted: bool) -> String {
    let mut text = format!("-A {} {}", chain.name, header::text(&rule.header.0));
    for one in &rule.matches {
        text.push_str(&known(
            one,
            matches::text(&one.name, Info(&one.info.0)),
            "-m ",
        ));
    }
    for one in &rule.watchers {
        let words = targets::watcher(&one.name, Info(&one.info.0));
        text.push_str(&known(one, words, "--"));
    }
    text.push_str("-j ");
    match &rule.target {
        XTarget::Verdict(to) => text.push_str(&verdict(to)),
        XTarget::Extension(one) => {
            text.push_str(&known(one, targets::text(&one.name, Info(&one.info.0)), ""));
        }
    }
    let mut text = text.trim_end_matches(' ').to_owned();
    if let Some((packets, bytes)) = rule.packets.zip(rule.bytes).filter(|_| counted) {
        text.push_str(&format!(" -c {packets} {bytes}"));
    }
    text
}

/// Its words, or where those are not known name, revision and bytes, behind `mark`.
fn known(one: &Extension, words: Option<String>, mark: &str) -> String {
    let raw = || {
        let bytes = one.info.digits();
        format!("{mark}{}.{} 0x{bytes} ", one.name, one.revision)
    };
    words.unwrap_or_else(raw)
}

fn verdict(verdict: &XVerdict) -> String {
    match verdict {
        XVerdict::Accept => "ACCEPT".to_owned(),
        XVerdict::Drop => "DROP".to_owned(),
        XVerdict::Continue => "CONTINUE".to_owned(),
        XVerdict::Return => "RETURN".to_owned(),
        XVerdict::Queue => "QUEUE".to_owned(),
        XVerdict::Jump(chain) | XVerdict::Goto(chain) => chain.clone(),
        XVerdict::Other(code) => format!("# verdict {code}"),
        XVerdict::None => "?".to_owned(),
    }
}

/// `! ` before a value that is turned round.
fn not(inverted: bool) -> &'static str {
    if inverted { "! " } else { "" }
}

/// Both ends of a range, or the one value that it has.
fn range<T: PartialEq + std::fmt::Display>(low: T, high: T) -> String {
    if low == high {
        low.to_string()
    } else {
        format!("{low}:{high}")
    }
}

#[cfg(test)]
mod tests;
