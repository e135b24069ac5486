//! Pages in pipes (fs/pipe.c).

use super::{Claims, Owner};
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::fs::descriptors::Open;

layout! {
    /// include/linux/pipe_fs_i.h
    struct PipeLayout = "pipe_inode_info" in "fs/pipe.c" {
        need bufs = "bufs",
        /// Slots; `buffers` up to 5.4.
        need slots = "ring_size" | "buffers",
        /// 5.5 and later (commit 8cefc107ca54).
        maybe head = "head",
        maybe tail = "tail",
        /// Before.
        maybe first = "curbuf",
        maybe count = "nrbufs",
        /// Pages that the next write takes: one, two since 6.15.
        maybe spare = "tmp_page",
    }
}

layout! {
    /// include/linux/pipe_fs_i.h
    struct BufferLayout = "pipe_buffer" in "fs/pipe.c" {
        need page = "page",
    }
}

/// More than F_SETPIPE_SZ gives to root by default, by far.
const MAX_SLOTS: u64 = 1 << 20;

pub(super) struct Pipes<'k> {
    kernel: &'k Kernel,
    pipe: PipeLayout,
    buffer: BufferLayout,
}

impl<'k> Pipes<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            pipe: kernel.layout()?,
            buffer: kernel.layout()?,
            kernel,
        })
    }

    /// The pages of one pipe.
    pub(super) fn claim(&self, open: &Open, claims: &mut Claims) -> Option<()> {
        let space = &self.kernel.space;
        let record = space.read_bytes(open.data, self.pipe.len).ok()?;
        let of = |field: &crate::kernel::layout::Field| field.get(&record);
        let slots = of(&self.pipe.slots).min(MAX_SLOTS);
        let (first, count) = match (&self.pipe.head, &self.pipe.tail) {
            (Some(head), Some(tail)) => {
                let (head, tail) = (of(head) as u32, of(tail) as u32);
                (u64::from(tail), u64::from(head.wrapping_sub(tail)))
            }
            _ => (
                self.pipe.first.as_ref().map_or(0, of),
                self.pipe.count.as_ref().map_or(0, of),
            ),
        };
        let owner = claims.owner(Owner {
            kind: "pipe",
            name: String::new(),
            pid: Some(open.pid),
            comm: Some(open.comm.clone()),
        });
        if let Some(spare) = &self.pipe.spare {
            for word in 0..u64::from(spare.size / 8) {
                let at = open.data.plus(u64::from(spare.offset) + word * 8);
                claims.block(owner, space.read_ptr(at).ok()?);
            }
        }
        let bufs = VirtAddr(of(&self.pipe.bufs));
        claims.kmalloc(owner, bufs);
        let size = self.buffer.struct_size as u64;
        for slot in 0..count.min(slots) {
            // Slots are a power of two.
            let at = bufs.plus(((first + slot) & (slots - 1)) * size);
            let page = space.read_ptr(at.plus(u64::from(self.buffer.page.offset)));
            claims.block(owner, page.ok()?);
        }
        Some(())
    }
}
