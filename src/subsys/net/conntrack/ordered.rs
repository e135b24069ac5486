//! Connections of a table that is larger than the cache of pages, read in the order of the file.
//!
//! First what links all chains ([`Links`]), then the connections of so many buckets at a time as
//! there is memory for, with their extensions. Each page is unpacked once for each of these.

use super::Table;
use super::entry::{Entry, EntryReader, List};
use super::links::Links;
use super::table::Chained;
use crate::addr::VirtAddr;
use crate::kernel::layout::Layout;
use crate::space::{Gathered, gather};

/// About what a connection takes while it is gathered: some twenty words of it and its extensions,
/// their places, and the order in which they are read.
const GATHERED: u64 = 240;

/// How a large table is read.
pub(super) struct Ordered {
    pub(super) links: Links,
    /// How many buckets at a time.
    pub(super) buckets: usize,
}

impl Ordered {
    /// `None` where each connection is better read when its turn comes: the pages need not be
    /// unpacked, or there is room for all of them.
    pub(super) fn when_it_pays(table: &Table<'_>) -> Option<Self> {
        let dump = table.kernel.dump();
        let expected = table.expected?;
        let both = 2 * table.reader.conn.struct_size as u64;
        let fits = expected.saturating_mul(both) <= dump.cache_bytes();
        if dump.is_live() || !dump.unpacks() || fits {
            return None;
        }
        let links = Links::read(table.kernel, &table.reader)?;
        let room = dump.cache_bytes().saturating_sub(links.bytes());
        let most = room.max(dump.cache_bytes() / 4) / GATHERED;
        let buckets = table.buckets as u64 * most / expected;
        let buckets = usize::try_from(buckets).unwrap_or(usize::MAX);
        Some(Self {
            links,
            buckets: buckets.clamp(super::table::CHUNK, table.buckets.max(1)),
        })
    }
}

/// A connection that can't be read.
pub(super) struct Lost;

/// The bytes of connections, by their number.
pub(super) struct Records {
    conns: Gathered,
    extensions: Gathered,
}

/// For reuse from connection to connection.
#[derive(Default)]
pub(super) struct Scratch {
    record: Vec<u8>,
    block: Vec<u8>,
}

impl Records {
    /// Reads the connections of `chains`, and tells each the number of its first.
    pub(super) fn read(table: &Table<'_>, chains: &mut [Chained]) -> Self {
        let mut wanted = Vec::new();
        for chain in chains {
            chain.first = wanted.len();
            wanted.extend_from_slice(&chain.conns);
        }
        let space = &table.kernel.space;
        let reader = &table.reader;
        let looked_at = looked_at(reader);
        let (conns, blocks) = gather(space, &wanted, |space, at, out| {
            out.extend_from_slice(&space.span(at, reader.conn.struct_size)?);
            for (word, looked_at) in out.chunks_mut(8).zip(&looked_at) {
                if !looked_at {
                    word.fill(0);
                }
            }
            Ok(VirtAddr(reader.conn.ext.get(out)))
        });
        drop(wanted);
        let (extensions, _) = gather(space, &blocks, |space, at, out| {
            reader.ext.load(space, at, out)
        });
        Self { conns, extensions }
    }

    /// Has the memory at hand of the connections of `chain`.
    pub(super) fn touch(&self, chain: &Chained) {
        let indexes = chain.first..chain.first + chain.conns.len();
        self.conns.touch(indexes.clone());
        self.extensions.touch(indexes);
    }

    /// The connection with the number `index`, which is at `conn`.
    pub(super) fn entry(
        &self,
        table: &Table<'_>,
        index: usize,
        conn: VirtAddr,
        scratch: &mut Scratch,
    ) -> Result<Entry, Lost> {
        let Scratch { record, block } = scratch;
        self.conns.get(index, record).ok_or(Lost)?;
        let loaded = self.extensions.get(index, block);
        let block = loaded.map(|()| block.as_slice());
        let (reader, at) = (&table.reader, (conn, List::Hash));
        Ok(reader.parse(table.kernel, &table.namespaces, at, record, block))
    }
}

/// Which words of a connection tell of it: not those that link it, nor what is not read.
fn looked_at(reader: &EntryReader) -> Vec<bool> {
    let mut looked_at = vec![false; reader.conn.struct_size.div_ceil(8)];
    let mut mark = |start: usize, len: usize, value: bool| {
        let words = start / 8..(start + len).div_ceil(8);
        looked_at.get_mut(words).unwrap_or_default().fill(value);
    };
    for member in reader.conn.info().members {
        if let Some((offset, size)) = member.offset.zip(member.size) {
            mark(offset as usize, size as usize, true);
        }
    }
    for direction in [0, 1] {
        mark(reader.node_offset(direction) as usize, 16, false);
    }
    looked_at
}
