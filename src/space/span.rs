//! Bytes of memory without a copy, where that can be.

use crate::bytes;
use crate::dump::Page;

/// Some bytes of memory, borrowed from their page where they lie in one.
#[derive(Debug)]
pub enum Span<'a> {
    /// Part of a page.
    Page {
        /// The page.
        page: Page<'a>,
        /// Where in it they start.
        start: usize,
        /// How many there are.
        len: usize,
    },
    /// Put together from several pages.
    Copied(Vec<u8>),
}

impl std::ops::Deref for Span<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Span::Page { page, start, len } => bytes::slice(page, *start, *len).unwrap_or_default(),
            Span::Copied(bytes) => bytes,
        }
    }
}
