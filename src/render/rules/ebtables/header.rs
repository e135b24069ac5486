//! What a rule itself asks: the protocol of frames, addresses, interfaces (`struct ebt_entry`).

use super::super::iptables::info::Info;
use super::address::masked_mac;
use super::{names, not};

/// EBT_NOPROTO, EBT_802_3, EBT_SOURCEMAC, EBT_DESTMAC.
const NO_PROTOCOL: u32 = 2;
const LENGTH: u32 = 4;
const SOURCE: u32 = 8;
const DESTINATION: u32 = 0x10;

/// Each with a space behind it.
pub(super) fn text(bytes: &[u8]) -> String {
    words(Info(bytes)).unwrap_or_else(|| "# damaged ".to_owned())
}

fn words(info: Info<'_>) -> Option<String> {
    let (asked, inverted) = (info.u32(0)?, info.u32(4)?);
    let mut text = String::new();
    if asked & NO_PROTOCOL == 0 {
        let protocol = match asked & LENGTH {
            0 => names::ethertype(info.be16(8)?),
            _ => "Length".to_owned(),
        };
        text.push_str(&format!("-p {}{protocol} ", not(inverted & 1 != 0)));
    }
    for (name, bit, turned, at) in [("s", SOURCE, 8, 74), ("d", DESTINATION, 0x10, 86)] {
        if asked & bit != 0 {
            let address = masked_mac(info, at, at + 6)?;
            text.push_str(&format!(
                "-{name} {}{address} ",
                not(inverted & turned != 0)
            ));
        }
    }
    for (name, turned, at) in [
        ("-i", 2, 10),
        ("--logical-in", 0x20, 26),
        ("--logical-out", 0x40, 58),
        ("-o", 4, 42),
    ] {
        let device = info.text(at, 16)?;
        if !device.is_empty() {
            // What a name may go on with is marked by a byte that no name has.
            let device = device.replacen('\x01', "+", 1);
            text.push_str(&format!("{name} {}{device} ", not(inverted & turned != 0)));
        }
    }
    Some(text)
}
