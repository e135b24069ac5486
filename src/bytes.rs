//! Bounds-checked little-endian reads from byte slices.
//!
//! Layer: vocabulary. Every parser of dump bytes goes through these, so that no
//! offset taken from a file can index out of a slice.

/// The `len` bytes at `offset`, or `None` if the slice ends before.
pub(crate) fn slice(bytes: &[u8], offset: usize, len: usize) -> Option<&[u8]> {
    bytes.get(offset..offset.checked_add(len)?)
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    slice(bytes, offset, N)?.try_into().ok()
}

/// A little-endian `u16` at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}

/// A little-endian `u32` at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

/// A little-endian `u64` at `offset`.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_le_bytes)
}

/// A big-endian `i64` at `offset` (the flattened format's record headers).
pub(crate) fn i64_be_at(bytes: &[u8], offset: usize) -> Option<i64> {
    array(bytes, offset).map(i64::from_be_bytes)
}

/// A little-endian unsigned integer of `size` bytes (1 to 8) at `offset`.
pub(crate) fn uint_at(bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
    if size > 8 {
        return None;
    }
    let mut word = [0; 8];
    word.get_mut(..size)?
        .copy_from_slice(slice(bytes, offset, size)?);
    Some(u64::from_le_bytes(word))
}

/// The text up to the first NUL (or the end), with invalid UTF-8 replaced.
pub(crate) fn c_string(bytes: &[u8]) -> String {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_past_the_end_are_none() {
        assert_eq!(u32_at(&[1, 2, 3], 0), None);
        assert_eq!(slice(&[1], usize::MAX, 2), None);
        assert_eq!(uint_at(&[1, 2, 3], 0, 3), Some(0x030201));
        assert_eq!(uint_at(&[0; 16], 0, 9), None);
    }

    #[test]
    fn strings_end_at_nul() {
        assert_eq!(c_string(b"kmalloc-64\0junk"), "kmalloc-64");
        assert_eq!(c_string(b"no end"), "no end");
    }
}
