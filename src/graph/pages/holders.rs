//! What to call that which points to a block.

use std::collections::BTreeMap;

use super::super::holders::{Source, describe};
use super::super::search::Search;
use super::super::typed::Structures;
use super::PointedTo;
use super::watch::PageWatch;
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::kernel::page_kinds::PageKind;
use crate::kernel::variables::Variables;

/// Places in objects of one cache are told one by one up to so many.
const PLACES: usize = 4;
/// A block that another block points to is named by who points to that, so many times.
const HOPS: u32 = 16;

/// What points to blocks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    text: String,
    /// The cache, if it is an object.
    cache: Option<String>,
}

impl Holder {
    fn of(text: String) -> Self {
        Self { text, cache: None }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// Sums of pages by what points to them.
#[derive(Debug, Default)]
pub(super) struct Pointed(BTreeMap<Holder, PointedTo>);

impl Pointed {
    pub(super) fn add(&mut self, holder: Holder, pages: u64) {
        let name = holder.text.clone();
        let entry = self.0.entry(holder).or_insert(PointedTo {
            holder: name,
            pages: 0,
            blocks: 0,
            largest: 0,
        });
        entry.pages += pages;
        entry.blocks += 1;
        entry.largest = entry.largest.max(pages);
    }

    /// Most pages first. Many places in objects of one cache, as in an array of pointers, are one.
    pub(super) fn into_rows(self) -> Vec<PointedTo> {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for cache in self.0.keys().filter_map(|holder| holder.cache.clone()) {
            *places.entry(cache).or_default() += 1;
        }
        let mut rows: BTreeMap<String, PointedTo> = BTreeMap::new();
        for (holder, one) in self.0 {
            let many = holder.cache.as_ref();
            let many = many.and_then(|cache| Some((cache, *places.get(cache)?)));
            let name = match many {
                Some((cache, count)) if count > PLACES && cache.contains("kmalloc") => {
                    format!("{cache} ({count} places in its objects)")
                }
                _ => holder.text,
            };
            let row = rows.entry(name.clone()).or_insert(PointedTo {
                holder: name,
                pages: 0,
                blocks: 0,
                largest: 0,
            });
            row.pages += one.pages;
            row.blocks += one.blocks;
            row.largest = row.largest.max(one.largest);
        }
        let mut rows: Vec<PointedTo> = rows.into_values().collect();
        rows.sort_by(|a, b| (b.pages, &a.holder).cmp(&(a.pages, &b.holder)));
        rows
    }
}

/// Names what points to blocks.
pub(super) struct Holders<'s, 'k> {
    search: &'s Search<'k>,
    symbols: &'s Variables<'k>,
    watch: &'s PageWatch,
    structures: Structures<'s>,
}

impl<'s, 'k> Holders<'s, 'k> {
    pub(super) fn new(
        search: &'s Search<'k>,
        symbols: &'s Variables<'k>,
        watch: &'s PageWatch,
    ) -> Self {
        Self {
            structures: Structures::new(search.kernel, search.heap.caches()),
            search,
            symbols,
            watch,
        }
    }

    /// Of a block that something points to. Blocks that only blocks point to are told so.
    pub(super) fn name(&self, number: u32) -> Holder {
        let mut number = number;
        for _ in 0..HOPS {
            let Some(at) = self.watch.best(number) else {
                break;
            };
            match self.block_at(at) {
                Some(next) if next != number => number = next,
                _ => return self.place(at),
            }
        }
        Holder::of("other kernel pages".to_owned())
    }

    /// The block that a reference lies in, or that lies in a block's structure.
    fn block_at(&self, at: VirtAddr) -> Option<u32> {
        let (pfn, _) = self.watch.addresses.page(at.0)?;
        self.watch.blocks.at(pfn)
    }

    /// Of a block that only a physical address means.
    pub(super) fn by_device() -> Holder {
        Holder::of("tables and rings of devices, by physical address".to_owned())
    }

    /// Whether what points to a block is a variable of the kernel or of a module.
    pub(super) fn is_variable(&self, number: u32) -> bool {
        let at = self.watch.best(number);
        let phys = at.and_then(|at| self.search.targets.physical(at.0));
        phys.is_some_and(|phys| self.symbols.variable(phys).is_some())
    }

    fn place(&self, at: VirtAddr) -> Holder {
        let (search, caches) = (self.search, self.search.heap.caches());
        if let Some((object, cache)) = search.targets.object(at.0) {
            let start = search.targets.address(object);
            let offset = start.and_then(|(start, _)| at.offset_from(start));
            let offset = offset.unwrap_or(0) as u32;
            let member = self.structures.member(cache, offset);
            let text = member.map_or_else(
                || describe(Source::Object(cache, offset), self.symbols, caches).text,
                |member| member.path,
            );
            let cache = caches.get(cache as usize).map(|cache| cache.name.clone());
            return Holder { text, cache };
        }
        Holder::of(self.memory(at))
    }

    fn memory(&self, at: VirtAddr) -> String {
        let (search, caches) = (self.search, self.search.heap.caches());
        if !self.watch.addresses.is_direct(at) {
            return "stacks".to_owned();
        }
        let Some(phys) = search.targets.physical(at.0) else {
            return "kernel memory".to_owned();
        };
        let pfn = Pfn::containing(phys, search.kernel.dump().page_shift());
        match search.kinds.get(pfn) {
            PageKind::Vmalloc => self.area_of(phys),
            PageKind::Reserved => match self.symbols.variable(phys) {
                Some(place) => place.symbol(),
                None => "memory of the boot".to_owned(),
            },
            _ => describe(Source::Root(phys), self.symbols, caches).text,
        }
    }

    fn area_of(&self, phys: PhysAddr) -> String {
        let pfn = Pfn::containing(phys, self.search.kernel.dump().page_shift());
        if self.symbols.is_of_module(pfn)
            && let Some(place) = self.symbols.variable(phys)
        {
            return place.symbol();
        }
        let areas = &self.search.areas;
        let number = areas.of_page(pfn);
        let area = number.and_then(|number| areas.holders().find(|(of, _)| *of == number));
        match area.and_then(|(_, area)| area.caller.as_ref()) {
            Some(caller) => format!("vmalloc area of {}", caller.symbol()),
            None => "vmalloc area".to_owned(),
        }
    }
}
