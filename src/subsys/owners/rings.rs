//! Rings that processes share with the kernel: io_uring's, and perf's.

use super::{Claims, Owner};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::Kernel;
use crate::kernel::layout::{Field, layout};
use crate::subsys::fs::descriptors::Open;

layout! {
    /// include/linux/io_uring_types.h; io_uring.c before 6.0
    struct ContextLayout = "io_ring_ctx" in "io_uring/io_uring.c" | "fs/io_uring.c" {
        need rings = "rings",
        need requests = "sq_sqes",
        /// Structures of their pages: 6.8 and later.
        maybe ring_region = "ring_region.pages",
        maybe ring_count = "ring_region.nr_pages",
        maybe request_region = "sq_region.pages",
        maybe request_count = "sq_region.nr_pages",
        maybe ring_pages = "ring_pages",
        maybe ring_pages_count = "n_ring_pages",
        maybe request_pages = "sqe_pages",
        maybe request_pages_count = "n_sqe_pages",
    }
}

layout! {
    /// include/linux/perf_event.h
    struct EventLayout = "perf_event" in "kernel/events/core.c" {
        need buffer = "rb",
    }
}

layout! {
    /// kernel/events/internal.h, 5.5 and later
    struct BufferLayout = "perf_buffer" in "kernel/events/core.c" {
        need count = "nr_pages",
        need user = "user_page",
        need pages = "data_pages",
        need aux_count = "aux_nr_pages",
        need aux = "aux_pages",
    }
}

/// More than a process may lock by far.
const MAX_PAGES: u64 = 1 << 24;

pub(super) struct Rings<'k> {
    kernel: &'k Kernel,
    context: Option<ContextLayout>,
    perf: Option<(EventLayout, BufferLayout)>,
}

impl<'k> Rings<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Self {
        let event = kernel.layout().ok();
        Self {
            context: kernel.layout().ok(),
            perf: event.zip(kernel.layout().ok()),
            kernel,
        }
    }

    /// The rings of one io_uring.
    pub(super) fn io_uring(&self, open: &Open, claims: &mut Claims) -> Option<()> {
        let layout = self.context.as_ref()?;
        let record = self.kernel.space.read_bytes(open.data, layout.len).ok()?;
        let owner = owner("io_uring", open, claims);
        for field in [&layout.rings, &layout.requests] {
            claims.block(owner, VirtAddr(field.get(&record)));
        }
        for (pages, count) in [
            (&layout.ring_region, &layout.ring_count),
            (&layout.request_region, &layout.request_count),
            (&layout.ring_pages, &layout.ring_pages_count),
            (&layout.request_pages, &layout.request_pages_count),
        ] {
            if let (Some(pages), Some(count)) = (pages, count) {
                self.array(&record, (pages, count), owner, claims);
            }
        }
        Some(())
    }

    /// Claims what an array of pointers points to, and the array.
    fn array(
        &self,
        record: &[u8],
        (pages, count): (&Field, &Field),
        owner: u32,
        claims: &mut Claims,
    ) -> Option<()> {
        let array = VirtAddr(pages.get(record));
        let count = count.get(record).min(MAX_PAGES) as usize;
        if array.is_null() || count == 0 {
            return None;
        }
        claims.kmalloc(owner, array);
        let words = self.kernel.space.read_bytes(array, count * 8).ok()?;
        for index in 0..count {
            claims.block(owner, VirtAddr(u64_at(&words, index * 8)?));
        }
        Some(())
    }

    /// The buffer of one event.
    pub(super) fn perf(&self, open: &Open, claims: &mut Claims) -> Option<()> {
        let (event, buffer) = self.perf.as_ref()?;
        let space = &self.kernel.space;
        let at = open.data.plus(u64::from(event.buffer.offset));
        let at = space.read_ptr(at).ok().filter(|at| !at.is_null())?;
        let record = space.read_bytes(at, buffer.struct_size).ok()?;
        let owner = owner("perf_buffer", open, claims);
        claims.block(owner, VirtAddr(buffer.user.get(&record)));
        let count = buffer.count.get(&record).min(MAX_PAGES);
        for index in 0..count {
            // The pointers lie behind the structure.
            let word = at.plus(u64::from(buffer.pages.offset) + index * 8);
            claims.block(owner, space.read_ptr(word).ok()?);
        }
        self.array(&record, (&buffer.aux, &buffer.aux_count), owner, claims);
        Some(())
    }
}

fn owner(kind: &'static str, open: &Open, claims: &mut Claims) -> u32 {
    claims.owner(Owner {
        kind,
        name: String::new(),
        pid: Some(open.pid),
        comm: Some(open.comm.clone()),
    })
}
