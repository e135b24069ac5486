//! Which protocols /proc/net/nf_conntrack has names for.
//!
//! From 4.14 to 5.9 the file's own table of names (net/netfilter/nf_conntrack_standalone.c,
//! l4proto_name) lacks ICMPv6, whose entries are "unknown" there. Distributors gave the name back
//! to kernels of earlier releases (RHEL 8.6), so the module's own literals are asked.

use super::Symbols;
use super::tuple::proto;

/// Protocols by the table's literals.
const NAMES: [(u8, &str); 2] = [(proto::ICMPV6, "icmpv6"), (proto::UDPLITE, "udplite")];

/// The protocols that are tracked, but have no name.
pub(super) fn nameless(symbols: &dyn Symbols) -> Vec<u8> {
    let has = |name| symbols.has_literal("nf_conntrack_hash", name);
    let found = NAMES.map(|(number, name)| (number, has(name)));
    // Where nothing of the table is seen, nothing is said of it.
    if found.iter().all(|(_, found)| *found != Some(true)) {
        return Vec::new();
    }
    let lacking = found.into_iter().filter(|(_, found)| *found == Some(false));
    lacking.map(|(number, _)| number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::VirtAddr;

    struct Literals(&'static [&'static str]);

    impl Symbols for Literals {
        fn address(&self, _: &str) -> Option<VirtAddr> {
            None
        }

        fn has_literal(&self, _: &str, text: &str) -> Option<bool> {
            (self.0 != ["?"]).then(|| self.0.contains(&text))
        }
    }

    const NONE: [u8; 0] = [];

    #[test]
    fn a_table_without_a_name_is_told_from_none() {
        let of = |literals| nameless(&Literals(literals));
        assert_eq!(of(&["udplite", "sctp"]), [proto::ICMPV6]);
        assert_eq!(of(&["udplite", "icmpv6"]), NONE);
        assert_eq!(of(&["icmpv6"]), [proto::UDPLITE]);
        assert_eq!(of(&[]), NONE, "no table");
        assert_eq!(of(&["?"]), NONE, "not known");
    }
}
