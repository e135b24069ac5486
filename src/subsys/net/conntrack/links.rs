//! The links of all chains, out of the slabs that hold the connections.
//!
//! A hash puts neighbours of a chain anywhere in memory: where the table is larger than the cache
//! of pages, each step of a chain would unpack a page. The slabs are read once, in the order of
//! the file, and what each connection links to is kept. It is a copy and no judgement: objects
//! that are free are in it as well, and what is not in it is read where it lies.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::entry::EntryReader;
use super::lists;
use crate::addr::VirtAddr;
use crate::bytes::slice;
use crate::kernel::Kernel;
use crate::space::AddressSpace;
use crate::subsys::mm::slab::freelist::Geometry;
use crate::subsys::mm::slab::pages::Slab;
use crate::subsys::mm::slab::{NoProgress, SlabHeap};

/// What follows each node of the table. A node has a number: twice that of its object, and one more
/// for the reply direction.
#[derive(Debug)]
pub(super) struct Links {
    /// Of each block of so many pages that has slabs of connections, which of them is where.
    blocks: FxHashMap<u64, Box<[u32; BLOCK]>>,
    page_shift: u32,
    /// Where the first object of each slab is.
    slabs: Vec<VirtAddr>,
    /// From object to object, and from the first of a slab to that of the next in number: no slab
    /// has more.
    stride: u64,
    objects: u32,
    /// Offsets in a connection of its two nodes.
    nodes: [u64; 2],
    /// Of each node the number of the next, [`MARKER`] with a bucket, or [`UNKNOWN`].
    next: Vec<u32>,
}

/// Pages in a block.
const BLOCK: usize = 512;
/// How far chains are looked ahead; most are shorter.
const TOUCHED: usize = 16;
/// The end of a chain.
const MARKER: u32 = 1 << 31;
/// What has to be read where it lies.
const UNKNOWN: u32 = u32::MAX;

impl Links {
    /// Reads them; `None` if the slabs of connections can't be told, or are too many.
    pub(super) fn read(kernel: &Kernel, reader: &EntryReader) -> Option<Self> {
        // What is missing here is met again, and said, where a chain leads to it.
        let quiet = kernel.question();
        let heap = SlabHeap::read(&quiet, &NoProgress).ok()?;
        let caches = lists::caches(&heap);
        let of_these = |slab: &&Slab| caches.contains(&(slab.cache as usize));
        let slabs: Vec<&Slab> = heap.slabs().iter().filter(of_these).collect();
        let geometries: Option<Vec<Geometry>> =
            slabs.iter().map(|slab| heap.geometry(slab)).collect();
        let geometries = geometries?;
        let stride = geometries.first()?.stride();
        // Up to 4.6 a namespace has a cache of its own, of the same objects.
        if geometries.iter().any(|one| one.stride() != stride) {
            return None;
        }
        let page_shift = kernel.dump().page_shift();
        let objects = geometries.iter().map(Geometry::objects).max()?;
        let numbers = slabs.len() as u64 * u64::from(objects) * 2;
        let mut links = Self {
            blocks: FxHashMap::default(),
            page_shift,
            slabs: geometries.iter().map(|one| one.address_of(0)).collect(),
            stride: u64::from(stride),
            objects,
            nodes: [0, 1].map(|direction| reader.node_offset(direction)),
            next: Vec::new(),
        };
        if numbers >= u64::from(MARKER) {
            return None;
        }
        for ((slab, geometry), index) in slabs.iter().zip(&geometries).zip(0..) {
            let first = geometry.base().0 >> page_shift;
            for page in first..first + (1 << slab.order) {
                let block = links.blocks.entry(page / BLOCK as u64);
                let block = block.or_insert_with(|| Box::new([u32::MAX; BLOCK]));
                if let Some(page) = block.get_mut(page as usize % BLOCK) {
                    *page = index;
                }
            }
        }
        let space = quiet.space.quiet().in_passing();
        let mut next = vec![UNKNOWN; numbers as usize];
        next.par_chunks_mut(objects as usize * 2)
            .zip(&geometries)
            .for_each_init(Vec::new, |bytes, (next, geometry)| {
                links.fill(&space, reader, geometry, bytes, next);
            });
        links.next = next;
        Some(links)
    }

    /// Fills `next` with what the objects of one slab link to.
    fn fill(
        &self,
        space: &AddressSpace,
        reader: &EntryReader,
        geometry: &Geometry,
        bytes: &mut Vec<u8>,
        next: &mut [u32],
    ) {
        let stride = self.stride as usize;
        bytes.resize(stride * geometry.objects() as usize, 0);
        if space.read(geometry.address_of(0), bytes).is_err() {
            return;
        }
        let record = reader.hash.struct_size;
        let hnnode = reader.hash.hnnode.offset as usize;
        for (object, links) in bytes.chunks_exact(stride).zip(next.chunks_exact_mut(2)) {
            for ((link, node), direction) in links.iter_mut().zip(self.nodes).zip(0..) {
                let record = slice(object, node as usize - hnnode, record);
                let (next, of) = reader.parse_node(record.unwrap_or_default());
                if of == direction {
                    *link = self.number(next);
                }
            }
        }
    }

    /// The number of what a link points to.
    fn number(&self, to: VirtAddr) -> u32 {
        match to.0 & 1 {
            1 if to.0 >> 1 < u64::from(MARKER) - 1 => MARKER | (to.0 >> 1) as u32,
            1 => UNKNOWN,
            _ => self.node(to).unwrap_or(UNKNOWN),
        }
    }

    fn node(&self, at: VirtAddr) -> Option<u32> {
        let page = at.0 >> self.page_shift;
        let block = self.blocks.get(&(page / BLOCK as u64))?;
        let slab = *block.get(page as usize % BLOCK)?;
        let offset = at.offset_from(*self.slabs.get(slab as usize)?)?;
        let (index, within) = (offset / self.stride, offset % self.stride);
        let direction = self.nodes.iter().position(|offset| *offset == within)?;
        let is_in = index < u64::from(self.objects);
        is_in.then_some((slab * self.objects + index as u32) * 2 + direction as u32)
    }

    fn address(&self, number: u32) -> Option<VirtAddr> {
        let (object, direction) = (number / 2, number % 2);
        let slab = self.slabs.get((object / self.objects) as usize)?;
        let within = u64::from(object % self.objects) * self.stride;
        Some(slab.plus(within + self.nodes.get(direction as usize)?))
    }

    /// How much memory they take.
    pub(super) fn bytes(&self) -> u64 {
        let blocks = self.blocks.len() * BLOCK * size_of::<u32>();
        (size_of_val(self.next.as_slice()) + size_of_val(self.slabs.as_slice()) + blocks) as u64
    }

    /// Has the memory at hand that the chains from `heads` on lead through. Links lie anywhere:
    /// chain by chain, each would be waited for; side by side, many are on their way at a time.
    pub(super) fn touch(&self, heads: &[VirtAddr]) {
        let mut numbers: Vec<u32> = heads.iter().filter_map(|head| self.node(*head)).collect();
        for _ in 0..TOUCHED {
            numbers.retain_mut(|number| {
                let next = self.next.get(*number as usize).copied();
                *number = next.unwrap_or(UNKNOWN);
                *number < MARKER
            });
        }
    }
}

/// Where in the links a walk along a chain is.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    links: &'a Links,
    number: u32,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(links: &'a Links) -> Self {
        let number = UNKNOWN;
        Self { links, number }
    }

    /// What follows `node`, and the direction that it is of; `None` if it has to be read.
    pub(super) fn next(&mut self, node: VirtAddr) -> Option<(VirtAddr, u8)> {
        let links = self.links;
        if self.number >= MARKER || links.address(self.number) != Some(node) {
            self.number = links.node(node)?;
        }
        let direction = (self.number % 2) as u8;
        self.number = *links.next.get(self.number as usize)?;
        match self.number {
            UNKNOWN => None,
            end if end >= MARKER => Some((VirtAddr(u64::from(end - MARKER) << 1 | 1), direction)),
            number => Some((links.address(number)?, direction)),
        }
    }
}
