//! How ebtables writes addresses with their masks.

use super::super::iptables::info::{Info, prefix};

/// Without zeros before each byte.
pub(super) fn mac(bytes: &[u8]) -> String {
    let parts: Vec<String> = bytes.iter().map(|byte| format!("{byte:x}")).collect();
    parts.join(":")
}

/// Kinds of addresses that have a word: address and mask.
const KINDS: [(&str, [u8; 6], [u8; 6]); 4] = [
    ("Unicast", [0; 6], [1, 0, 0, 0, 0, 0]),
    ("Multicast", [1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]),
    ("Broadcast", [0xff; 6], [0xff; 6]),
    ("BGA", [1, 0x80, 0xc2, 0, 0, 0], [0xff; 6]),
];

/// An address at `at` and a mask at `mask`.
pub(super) fn masked_mac(info: Info<'_>, at: usize, mask: usize) -> Option<String> {
    let (address, mask) = (info.0.get(at..at + 6)?, info.0.get(mask..mask + 6)?);
    let kind = KINDS
        .iter()
        .find(|(_, of, with)| address == of && mask == with);
    Some(match kind {
        Some((word, ..)) => (*word).to_owned(),
        None if mask == [0xff; 6] => mac(address),
        None => format!("{}/{}", mac(address), mac(mask)),
    })
}

/// An address of IPv4 (`len` 4) or IPv6 (16) and its mask, which is not told where it is all ones.
pub(super) fn ip(info: Info<'_>, len: usize, at: usize, mask: usize) -> Option<String> {
    let family = if len == 16 { 10 } else { 2 };
    let bits = info.0.get(mask..mask + len)?;
    let mask = match prefix(bits) {
        Some(bits) if bits as usize == len * 8 => String::new(),
        // No mask at all is not told of IPv4.
        Some(0) if len == 4 => String::new(),
        Some(bits) => format!("/{bits}"),
        None => format!("/{}", info.address(family, mask)?),
    };
    Some(format!("{}{mask}", info.address(family, at)?))
}
