//! The places where buffers were found.

use rustc_hash::FxHashMap;

use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, walk};
use crate::partial::Partial;

layout! {
    /// include/linux/skbuff.h
    struct DataLayout = "sk_buff" in "net/core/skbuff.c" {
        need data_bytes = "data_len",
        need head = "head",
        need end = "end",
    }
}

layout! {
    /// include/linux/skbuff.h
    struct SharedLayout = "skb_shared_info" in "net/core/skbuff.c" {
        need fragments = "frag_list",
    }
}

/// More buffers than any queue has.
pub(super) const MAX_SKBS: u64 = 1 << 24;
/// More than any packet is made of.
const MAX_FRAGMENTS: u64 = 1 << 16;

/// Which buffer is where.
pub(super) struct Places<'k> {
    pub(super) kernel: &'k Kernel,
    data: DataLayout,
    shared: SharedLayout,
    names: Vec<String>,
    found: FxHashMap<VirtAddr, u32>,
    pub(super) complete: bool,
}

impl<'k> Places<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            data: kernel.layout()?,
            shared: kernel.layout()?,
            names: Vec::new(),
            found: FxHashMap::default(),
            complete: true,
            kernel,
        })
    }

    /// A buffer at a place; where it was found first counts.
    pub(super) fn add(&mut self, at: VirtAddr, place: &str) {
        let known = self.names.iter().position(|name| name == place);
        let index = known.unwrap_or_else(|| {
            self.names.push(place.to_owned());
            self.names.len() - 1
        });
        self.found.entry(at).or_insert(index as u32);
    }

    /// All that a walk found.
    pub(super) fn add_walk(&mut self, walk: Partial<Vec<VirtAddr>>, place: &str) {
        self.complete &= walk.end.is_complete();
        for at in walk.value {
            self.add(at, place);
        }
    }

    /// The `sk_buff_head` at an address; one that was never made is all zeros.
    pub(super) fn add_list(&mut self, head: VirtAddr, place: &str) {
        let space = &self.kernel.space;
        match space.read_ptr(head) {
            Ok(first) if first.is_null() => {}
            Ok(_) => {
                let list = walk::list(space, head, MAX_SKBS);
                self.add_walk(list, place);
            }
            Err(_) => self.complete = false,
        }
    }

    /// The chain that the pointer at an address begins, by the word that buffers begin with.
    pub(super) fn add_chain(&mut self, pointer: VirtAddr, place: &str) {
        let space = &self.kernel.space;
        match space.read_ptr(pointer) {
            Ok(first) => {
                let chain = walk::chain(space, first, 0, MAX_SKBS);
                self.add_walk(chain, place);
            }
            Err(_) => self.complete = false,
        }
    }

    /// The tree whose root lies at an address.
    pub(super) fn add_tree(&mut self, root: VirtAddr, place: &str) {
        let tree = walk::rbtree(&self.kernel.space, root, MAX_SKBS as usize);
        self.add_walk(tree, place);
    }

    /// A queueing discipline whose own queues are not known.
    pub(super) fn unknown(&mut self, kind: &str) {
        self.complete = false;
        self.kernel.diag.warn(
            "qdisc-unknown",
            format!("how {kind} keeps packets is not known, or its module's types are missing"),
        );
    }

    pub(super) fn of(&self, at: VirtAddr) -> Option<&str> {
        let index = self.found.get(&at)?;
        self.names.get(*index as usize).map(String::as_str)
    }

    /// The buffers that hang on those found, as parts of one packet (`frag_list`).
    pub(super) fn add_fragments_of_all(&mut self) {
        let mut all: Vec<VirtAddr> = self.found.keys().copied().collect();
        while let Some(at) = all.pop() {
            for part in self.parts_of(at) {
                if self.of(part).is_none() {
                    self.add(part, "parts of other buffers");
                    all.push(part);
                }
            }
        }
    }

    fn parts_of(&self, at: VirtAddr) -> Vec<VirtAddr> {
        let space = &self.kernel.space;
        let Ok(record) = space.span(at, self.data.len) else {
            return Vec::new();
        };
        // Without data outside of the head there are none.
        if self.data.data_bytes.get(&record) == 0 {
            return Vec::new();
        }
        // An offset on machines of 64 bits.
        let shared = VirtAddr(self.data.head.get(&record)).plus(self.data.end.get(&record));
        let first = space.read_ptr(shared.plus(u64::from(self.shared.fragments.offset)));
        let first = first.unwrap_or_default();
        walk::chain(space, first, 0, MAX_FRAGMENTS).value
    }
}
