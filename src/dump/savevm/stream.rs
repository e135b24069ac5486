//! Reading a QEMU stream: big-endian numbers and names, from where the last one ended.

use std::borrow::Cow;

use super::super::DumpError;
use super::super::foreign::bad_header;
use super::super::storage::Bytes;

/// What begins with this byte belongs to the section before.
pub(super) const SUBSECTION: u8 = 5;

/// A place in the file.
pub(super) struct Stream<'b> {
    bytes: &'b Bytes,
    at: u64,
}

impl<'b> Stream<'b> {
    pub(super) fn new(bytes: &'b Bytes, at: u64) -> Self {
        Self { bytes, at }
    }

    /// Where the next byte lies.
    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    /// The next `len` bytes; `None` if the file ends before.
    pub(super) fn take(&mut self, len: u64) -> Option<Cow<'b, [u8]>> {
        let bytes = self.bytes.get(self.at, usize::try_from(len).ok()?)?;
        self.at = self.at.saturating_add(len);
        Some(bytes)
    }

    /// Passes over `len` bytes, whether the file has them or not.
    pub(super) fn skip(&mut self, len: u64) {
        self.at = self.at.saturating_add(len);
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at, 1)?.first().copied()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn be32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        Some(u32::from_be_bytes(bytes.as_ref().try_into().ok()?))
    }

    pub(super) fn be64(&mut self) -> Option<u64> {
        let bytes = self.take(8)?;
        Some(u64::from_be_bytes(bytes.as_ref().try_into().ok()?))
    }

    /// A name: its length in a byte, then the text.
    pub(super) fn name(&mut self) -> Option<String> {
        let len = self.byte()?;
        let name = self.take(u64::from(len))?;
        Some(String::from_utf8_lossy(&name).into_owned())
    }

    /// What is wrong here.
    pub(super) fn bad(&self, why: String) -> DumpError {
        bad_header(self.bytes, self.at, why)
    }

    pub(super) fn unsupported(&self, what: String) -> DumpError {
        DumpError::Unsupported {
            path: self.bytes.path().to_owned(),
            what,
        }
    }
}
