//! What userland keeps with its tables, sets, rules and elements: type, length, value each
//! (libnftnl, include/libnftnl/udata.h).

use crate::bytes::{c_string, u32_at};

/// The attributes in `bytes`, as far as they make sense.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (kind, len) = (*bytes.first()?, usize::from(*bytes.get(1)?));
        let value = bytes.get(2..2 + len)?;
        bytes = bytes.get(2 + len..)?;
        Some((kind, value))
    })
}

/// The attribute of that type.
pub fn attribute(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut all = attributes(bytes);
    all.find_map(|(kind, value)| (kind == wanted).then_some(value))
}

/// Of all but sets, the first is a comment, with its NUL.
pub fn comment(bytes: &[u8]) -> Option<String> {
    attribute(bytes, 0).map(c_string)
}

/// A number.
pub fn number(bytes: &[u8], wanted: u8) -> Option<u32> {
    u32_at(attribute(bytes, wanted)?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_the_attributes() {
        let whole = [0, 3, b'h', b'i', 0, 1, 4, 2, 0, 0, 0];
        assert_eq!(comment(&whole), Some("hi".to_owned()));
        assert_eq!(number(&whole, 1), Some(2));
        assert_eq!(number(&whole[..8], 1), None);
        assert_eq!(attributes(&[0, 200, 1]).count(), 0);
        assert_eq!(attributes(&[7]).count(), 0);
    }
}
