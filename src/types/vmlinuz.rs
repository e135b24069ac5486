//! The kernel inside a `vmlinuz` that a boot loader loads: an x86 bzImage with a packed vmlinux.
//!
//! Input: the bytes of a file. Output: the packed part, which `wrapper` unpacks. What it holds has
//! no debug information, but the build-id and, where the kernel has it, BTF.

use crate::bytes;

/// Of the setup header (Documentation/arch/x86/boot.rst).
const SETUP_SECTS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR: usize = 512;
/// A header that says nothing of its sectors has four.
const OLD_SECTORS: u8 = 4;
/// The first version that says where the packed kernel lies.
const WITH_PAYLOAD: u16 = 0x208;

/// Whether `raw` begins as a bzImage does.
pub(crate) fn is_vmlinuz(raw: &[u8]) -> bool {
    bytes::slice(raw, MAGIC, 4) == Some(b"HdrS")
}

/// The packed kernel in a bzImage. Behind it the build puts its unpacked size in four bytes, but
/// for gzip, which ends in it by itself.
pub(super) fn payload(raw: &[u8]) -> Option<&[u8]> {
    if bytes::u16_at(raw, VERSION)? < WITH_PAYLOAD {
        return None;
    }
    let sectors = match *raw.get(SETUP_SECTS)? {
        0 => OLD_SECTORS,
        sectors => sectors,
    };
    let start = (usize::from(sectors) + 1) * SECTOR + bytes::u32_at(raw, PAYLOAD_OFFSET)? as usize;
    let all = bytes::slice(raw, start, bytes::u32_at(raw, PAYLOAD_LENGTH)? as usize)?;
    match all.starts_with(&[0x1f, 0x8b]) {
        true => Some(all),
        false => all.get(..all.len().checked_sub(4)?),
    }
}

/// How a kernel is packed that is not unpacked here.
pub(super) fn packed_with(payload: &[u8]) -> &'static str {
    const OTHERS: [(&[u8], &str); 3] = [
        (b"BZh", "bzip2"),
        (b"\x5d\x00\x00", "LZMA"),
        (b"\x89LZO", "LZO"),
    ];
    let found = OTHERS.iter().find(|(magic, _)| payload.starts_with(magic));
    found.map_or("an unknown compression", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage with one sector of setup and `payload` 16 bytes behind it.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 2 * SECTOR + 16];
        out[SETUP_SECTS] = 1;
        out[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        out[VERSION..VERSION + 2].copy_from_slice(&0x20f_u16.to_le_bytes());
        out[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&16_u32.to_le_bytes());
        let len = u32::try_from(payload.len()).unwrap();
        out[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&len.to_le_bytes());
        [&out, payload, b"behind"].concat()
    }

    #[test]
    fn the_payload_lies_where_the_header_says() {
        let plain = image(b"packed kernel\x01\0\0\0");
        assert!(is_vmlinuz(&plain));
        assert_eq!(payload(&plain), Some(&b"packed kernel"[..]));
        let gzip = image(b"\x1f\x8bpacked\x01\0\0\0");
        assert_eq!(payload(&gzip), Some(&b"\x1f\x8bpacked\x01\0\0\0"[..]));
    }

    #[test]
    fn a_header_that_lies_gives_nothing() {
        let good = image(b"packed kernel\x01\0\0\0");
        assert_eq!(payload(&good[..good.len() - 10]), None);
        let mut old = good.clone();
        old[VERSION] = 0x07;
        assert_eq!(payload(&old), None);
        let mut far = good;
        far[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 8].fill(0xff);
        assert_eq!(payload(&far), None);
        assert!(!is_vmlinuz(b"MZ"));
    }

    #[test]
    fn other_packers_are_named() {
        assert_eq!(packed_with(b"\x89LZO\0rest"), "LZO");
        assert_eq!(packed_with(b"rest"), "an unknown compression");
    }
}
