//! Members written into bytes that are not in memory yet.

use std::collections::HashMap;

use crate::ctypes::{Field, TypeTable};

/// A type table that remembers what it was asked: a million entries ask the same.
pub(super) struct Fields {
    types: TypeTable,
    known: HashMap<(&'static str, &'static str), Field>,
}

impl Fields {
    /// Over a copy of the table.
    pub(super) fn new(types: &TypeTable) -> Self {
        Self {
            types: types.clone(),
            known: HashMap::new(),
        }
    }

    /// `offsetof`.
    pub(super) fn offset(&mut self, tag: &'static str, path: &'static str) -> usize {
        self.field(tag, path).offset() as usize
    }

    /// `sizeof`.
    pub(super) fn sizeof(&self, tag: &str) -> usize {
        self.types.sizeof(tag) as usize
    }

    /// Whether the struct has the member.
    pub(super) fn has(&self, tag: &str, path: &str) -> bool {
        self.types.has(tag, path)
    }

    /// An enumerator.
    pub(super) fn constant(&self, name: &str) -> Option<usize> {
        self.types.enumerator(name).map(|value| value as usize)
    }

    fn field(&mut self, tag: &'static str, path: &'static str) -> Field {
        let types = &self.types;
        *self
            .known
            .entry((tag, path))
            .or_insert_with(|| types.field(tag, path))
    }

    /// Sets a member, truncating the value to its size.
    pub(super) fn put(
        &mut self,
        bytes: &mut [u8],
        tag: &'static str,
        path: &'static str,
        value: u64,
    ) {
        let field = self.field(tag, path);
        assert!((field.bit_offset | field.bits).is_multiple_of(8), "{path}");
        let (at, size) = (field.offset() as usize, (field.bits / 8) as usize);
        bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    /// Copies bytes to where a member begins.
    pub(super) fn copy(
        &mut self,
        bytes: &mut [u8],
        tag: &'static str,
        path: &'static str,
        data: &[u8],
    ) {
        let at = self.offset(tag, path);
        bytes[at..at + data.len()].copy_from_slice(data);
    }
}
