//! `rules`: an overview for people, and the forms of nft, iptables-save and ipset.

mod names;
mod netlink;

use std::io::{self, Write};

use crate::report::rules::RulesReport;

/// As `nft --debug=netlink list ruleset`, of all namespaces one after another.
///
/// # Errors
/// If writing fails.
pub fn write_netlink(out: &mut dyn Write, body: &RulesReport) -> io::Result<()> {
    for namespace in &body.namespaces {
        netlink::write(out, &namespace.rules.nf_tables)?;
    }
    Ok(())
}
