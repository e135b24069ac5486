//! What a page can be used for.

use serde::Serialize;

/// What a page is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum PageKind {
    /// Not RAM, or its structure is not in the dump or was never filled in.
    Unknown,
    /// With the buddy allocator.
    Free,
    /// On a CPU's list of free pages.
    CpuFree,
    /// Of the slab allocator.
    Slab,
    /// Of user processes: anonymous memory.
    User,
    /// Of the page cache.
    Cache,
    /// Of tmpfs and shared memory, which only swap can take.
    Shmem,
    /// A page table.
    Table,
    /// Compressed memory (zram, zswap), where the kernel marks it.
    Zsmalloc,
    /// Set apart for huge pages.
    Huge,
    /// Given back to the host, or not yet taken from it.
    Offline,
    /// Taken out of use as broken.
    Poisoned,
    /// Reserved at boot: the kernel image, early allocations, holes.
    Reserved,
    /// Of the kernel image, but no data: code, and tables about it.
    Code,
    /// Holds page structures, taken from the page allocator.
    Memmap,
    /// Holds page structures, and was set aside for them at boot: no part of MemTotal.
    BootMemmap,
    /// Part of a task's stack.
    Stack,
    /// Of an area of vmalloc.
    Vmalloc,
    /// Of a block that kmalloc() took straight from the page allocator, where the kernel marks
    /// them.
    LargeKmalloc,
    /// Anything else that the kernel allocated.
    Kernel,
}

impl PageKind {
    pub(super) const ALL: [Self; 20] = [
        Self::Unknown,
        Self::Free,
        Self::CpuFree,
        Self::Slab,
        Self::User,
        Self::Cache,
        Self::Shmem,
        Self::Table,
        Self::Zsmalloc,
        Self::Huge,
        Self::Offline,
        Self::Poisoned,
        Self::Reserved,
        Self::Code,
        Self::Memmap,
        Self::BootMemmap,
        Self::Stack,
        Self::Vmalloc,
        Self::LargeKmalloc,
        Self::Kernel,
    ];

    /// Whether the kernel may keep pointers in such a page at any place in it.
    pub fn holds_pointers(self) -> bool {
        matches!(
            self,
            Self::Reserved | Self::Vmalloc | Self::LargeKmalloc | Self::Kernel
        )
    }

    pub(super) fn from_byte(byte: u8) -> Self {
        let kind = Self::ALL.get(usize::from(byte));
        kind.copied().unwrap_or(Self::Unknown)
    }
}
