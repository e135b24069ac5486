//! Bytes as they lie in memory, for documents.

use serde::{Serialize, Serializer};

/// Bytes; in documents two digits each, in the order of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex(pub Vec<u8>);

impl Hex {
    /// Of a part of `bytes`; what they lack is left out.
    pub(crate) fn part(bytes: &[u8], offset: usize, len: usize) -> Self {
        let rest = bytes.get(offset..).unwrap_or_default();
        Self(rest.get(..len).unwrap_or(rest).to_vec())
    }

    /// All digits.
    pub fn digits(&self) -> String {
        use std::fmt::Write;
        let mut text = String::with_capacity(self.0.len() * 2);
        for byte in &self.0 {
            // A String takes whatever is written.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.digits())
    }
}
