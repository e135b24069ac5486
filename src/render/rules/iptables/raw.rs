//! What is not known is shown as its bytes, but for those that are the kernel's own.

use crate::subsys::net::rules::Hex;
use crate::subsys::net::rules::xt::Extension;

/// Name, revision, and how many bytes are the user's: behind them the kernel keeps pointers, which
/// say nothing of the rule and much of its memory.
const SIZES: [(&str, u8, usize); 27] = [
    ("CLUSTERIP", 0, 56),
    ("CT", 0, 28),
    ("CT", 1, 60),
    ("CT", 2, 60),
    ("IDLETIMER", 0, 32),
    ("IDLETIMER", 1, 34),
    ("LED", 0, 32),
    ("RATEEST", 0, 18),
    ("TEE", 1, 32),
    ("bpf", 0, 516),
    ("bpf", 1, 520),
    ("cgroup", 1, 4104),
    ("cgroup", 2, 516),
    ("connlimit", 0, 24),
    ("connlimit", 1, 24),
    ("hashlimit", 0, 44),
    ("hashlimit", 1, 46),
    ("hashlimit", 2, 294),
    ("hashlimit", 3, 298),
    ("limit", 0, 8),
    ("nfacct", 0, 32),
    ("nfacct", 1, 32),
    ("quota", 0, 16),
    ("rateest", 0, 52),
    ("statistic", 0, 16),
    ("string", 0, 149),
    ("string", 1, 150),
];

/// The name with its revision, and bytes.
pub(super) fn text(one: &Extension) -> String {
    let bytes = &one.info.0;
    let len = SIZES
        .iter()
        .find(|(name, revision, _)| (*name, *revision) == (one.name.as_str(), one.revision))
        .map_or(bytes.len(), |(.., len)| *len);
    let user = Hex::part(bytes, 0, len);
    format!("{}.{} 0x{}", one.name, one.revision, user.digits())
}
