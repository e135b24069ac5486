//! What is asked about, and where that lies.

use super::search::Search;
use crate::addr::{Pfn, PhysAddr, VirtAddr};

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address of the kernel's. Where page structures lie, the page is told too.
    Address(VirtAddr),
    /// A physical address.
    Physical(PhysAddr),
    /// A page, by its number.
    Page(Pfn),
}

/// Where to look.
pub(super) struct Spot {
    pub(super) address: VirtAddr,
    /// The page that is told of.
    pub(super) pfn: Option<Pfn>,
    /// Whether the address is that of its structure.
    pub(super) structure: bool,
    /// Bytes that are looked at, if nothing else lies there.
    pub(super) len: u64,
}

impl Spot {
    pub(super) fn of(search: &Search<'_>, asked: Place) -> Self {
        let kernel = search.kernel;
        let shift = kernel.dump().page_shift();
        let (phys, len) = match asked {
            Place::Address(address) => return Self::of_address(search, address),
            Place::Physical(phys) => (phys, 8),
            Place::Page(pfn) => (pfn.start(shift), 1 << shift),
        };
        Self {
            address: kernel.space.direct_map_address(phys),
            pfn: Some(Pfn::containing(phys, shift)),
            structure: false,
            len,
        }
    }

    fn of_address(search: &Search<'_>, address: VirtAddr) -> Self {
        let kernel = search.kernel;
        if let Some(pfn) = search.memmap.page_of_structure(address) {
            return Self {
                address: search.memmap.page_address(pfn).unwrap_or(address),
                pfn: Some(pfn),
                structure: true,
                len: search.memmap.struct_page_size() as u64,
            };
        }
        let mapping = kernel.space.translate(address).ok();
        let shift = kernel.dump().page_shift();
        Self {
            address,
            pfn: mapping.map(|mapping| Pfn::containing(mapping.phys, shift)),
            structure: false,
            len: 8,
        }
    }
}
