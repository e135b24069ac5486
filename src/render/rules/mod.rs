//! `rules`: an overview for people, and the forms of nft, iptables-save and ipset.

mod names;
mod netlink;
mod nft;

use std::io::{self, Write};

use crate::report::rules::RulesReport;

/// As `nft --debug=netlink list ruleset`, of all namespaces one after another.
///
/// # Errors
/// If writing fails.
pub fn write_netlink(out: &mut dyn Write, body: &RulesReport) -> io::Result<()> {
    for namespace in &body.namespaces {
        let rules = &namespace.rules;
        netlink::write(out, &rules.nf_tables)?;
        nft::write(out, &rules.nf_tables, &rules.devices, false)?;
    }
    Ok(())
}

/// As `nft -a list ruleset`, of all namespaces one after another.
///
/// # Errors
/// If writing fails.
pub fn write_nft(out: &mut dyn Write, body: &RulesReport) -> io::Result<()> {
    for namespace in &body.namespaces {
        let rules = &namespace.rules;
        nft::write(out, &rules.nf_tables, &rules.devices, true)?;
    }
    Ok(())
}
