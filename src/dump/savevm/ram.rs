//! The records of a QEMU stream's section "ram": pages, each with its place in a block of memory.
//!
//! A record is a word, whose lower bits say what follows; a page of one byte is that byte.
//! Source: migration/ram.c, `RAM_SAVE_FLAG_*`.

use std::collections::BTreeMap;

use super::super::DumpError;
use super::super::piece::{Kind, Piece, Pieces};
use super::machine::Layout;
use super::stream::Stream;
use crate::addr::SMALLEST_PAGE;

/// Of the section; older ones are of before 2012.
pub(super) const VERSION: u32 = 4;

const PAGE: u64 = SMALLEST_PAGE as u64;
const FLAGS: u64 = PAGE - 1;
const ZERO: u64 = 0x02;
const MEM_SIZE: u64 = 0x04;
const WHOLE_PAGE: u64 = 0x08;
const EOS: u64 = 0x10;
const CONTINUE: u64 = 0x20;
const COMPRESSED: u64 = 0x100;
const MULTIFD_FLUSH: u64 = 0x200;
/// A machine has some dozens.
const MOST_BLOCKS: usize = 4 << 10;
/// What is smaller is a device's: the guest's memory comes in larger blocks.
const LEAST_MEMORY: u64 = 128 << 20;

/// What a machine's own memory is called, with what stands before the number of a node.
const MEMORY: [&str; 3] = ["pc.ram", "mach-virt.ram", "microvm.ram"];
const NODE: &str = "ram-node";

/// A block of memory, of the guest or of a device.
#[derive(Clone, Debug)]
struct Block {
    size: u64,
    /// Bytes of the guest's memory before it, of what is the guest's memory.
    base: Option<u64>,
}

/// The guest's memory as far as it was read.
#[derive(Default)]
pub(super) struct Ram {
    blocks: BTreeMap<String, Block>,
    /// Pages by their place in the guest's memory, without regard to where a machine has it.
    pieces: Pieces,
    /// The block of the last record.
    current: Option<Block>,
    ended: bool,
}

impl Ram {
    /// Bytes of the guest's memory.
    pub(super) fn size(&self) -> u64 {
        let own = self.blocks.values().filter(|block| block.base.is_some());
        own.map(|block| block.size).fold(0, u64::saturating_add)
    }

    /// Whether the section came to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.ended
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether there is memory of which it is not known where the guest has it: plugged in later.
    pub(super) fn lacks_blocks(&self) -> bool {
        let others = self.blocks.iter().filter(|(_, block)| block.base.is_none());
        let video = |name: &str| name.contains("vram") || name.contains("vga");
        others
            .into_iter()
            .any(|(name, block)| block.size >= LEAST_MEMORY && !video(name))
    }

    /// Reads records up to the end of a part; `None` if the file ends before.
    pub(super) fn records(&mut self, stream: &mut Stream<'_>) -> Result<Option<()>, DumpError> {
        loop {
            let Some(word) = stream.be64() else {
                return Ok(None);
            };
            let (place, flags) = (word & !FLAGS, word & FLAGS);
            if flags & EOS != 0 {
                return Ok(Some(()));
            }
            let done = match flags & !CONTINUE {
                MEM_SIZE => self.blocks(stream, place)?,
                ZERO | WHOLE_PAGE | COMPRESSED => self.page(stream, place, flags)?,
                MULTIFD_FLUSH => Some(()),
                other => {
                    return Err(stream.unsupported(format!(
                        "a guest whose memory was saved in a way that vmleak does not read (flags {other:#x}: XBZRLE, RDMA or multifd?); load it in QEMU (-incoming) and use `dump-guest-memory -z FILE`"
                    )));
                }
            };
            if done.is_none() {
                return Ok(None);
            }
        }
    }

    /// The list of blocks, `total` bytes in all.
    fn blocks(&mut self, stream: &mut Stream<'_>, total: u64) -> Result<Option<()>, DumpError> {
        let mut known = 0u64;
        while known < total {
            let (Some(name), Some(size)) = (stream.name(), stream.be64()) else {
                return Ok(None);
            };
            known = match known
                .checked_add(size)
                .filter(|_| self.blocks.len() < MOST_BLOCKS)
            {
                Some(known) if size > 0 && known <= total => known,
                _ => {
                    return Err(stream.bad(
                        "the list of memory blocks contradicts itself: the file is damaged".into(),
                    ));
                }
            };
            self.blocks.insert(name, Block { size, base: None });
        }
        let mut names: Vec<String> = self.blocks.keys().cloned().collect();
        names.sort_by_key(|name| node(name));
        let mut base = 0u64;
        for name in names {
            if let (Some(_), Some(block)) = (node(&name), self.blocks.get_mut(&name)) {
                block.base = Some(base);
                base = base.saturating_add(block.size);
            }
        }
        if base == 0 {
            let names: Vec<&str> = self.blocks.keys().map(String::as_str).collect();
            return Err(stream.unsupported(format!(
                "a guest none of whose memory blocks is known to be its memory ({}); load it in QEMU (-incoming) and use `dump-guest-memory -z FILE`",
                names.join(", ").escape_debug()
            )));
        }
        Ok(Some(()))
    }

    /// One page at `place` of its block.
    fn page(
        &mut self,
        stream: &mut Stream<'_>,
        place: u64,
        flags: u64,
    ) -> Result<Option<()>, DumpError> {
        if flags & CONTINUE == 0 {
            let Some(name) = stream.name() else {
                return Ok(None);
            };
            self.current = self.blocks.get(&name).cloned();
        }
        let (kind, offset) = if flags & ZERO != 0 {
            let Some(byte) = stream.byte() else {
                return Ok(None);
            };
            (Kind::Fill(byte), 0)
        } else if flags & COMPRESSED != 0 {
            let Some(len) = stream.be32() else {
                return Ok(None);
            };
            let offset = stream.offset();
            stream.skip(u64::from(len));
            let (stored, skip) = (len, 0);
            (Kind::Frame { stored, skip }, offset)
        } else {
            let offset = stream.offset();
            stream.skip(PAGE);
            let stride = SMALLEST_PAGE;
            (Kind::Pages { stride }, offset)
        };
        let Some(block) = &self.current else {
            return Err(
                stream.bad("a page of a block that the list lacks: the file is damaged".into())
            );
        };
        if place.checked_add(PAGE).is_none_or(|end| end > block.size) {
            return Err(stream.bad("a page beyond its block of memory: the file is damaged".into()));
        }
        if let Some(base) = block.base {
            self.pieces.add(Piece {
                start: base.saturating_add(place),
                len: PAGE,
                offset,
                kind,
            });
        }
        Ok(Some(()))
    }

    /// The pages where the machine has them.
    pub(super) fn placed(self, layout: &Layout) -> Pieces {
        let mut placed = Pieces::default();
        for piece in self.pieces.into_sorted() {
            for range in layout.ranges() {
                if let Some(part) = piece.within(&range.memory) {
                    let start = range.start.saturating_add(part.start - range.memory.start);
                    placed.add(Piece { start, ..part });
                }
            }
        }
        placed
    }
}

/// Where a block comes among those of the guest's memory; `None` for a device's.
fn node(name: &str) -> Option<u64> {
    let name = name.strip_prefix("/objects/").unwrap_or(name);
    match name.strip_prefix(NODE) {
        Some(number) => number.parse().ok(),
        None => MEMORY.contains(&name).then_some(0),
    }
}
