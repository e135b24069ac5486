//! Stack traces of kmemleak's entries, each kept once.

use rustc_hash::FxHashMap;

use super::Frame;
use super::list::KmemleakObjectLayout;
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::stack_depot::StackDepot;
use crate::kernel::symbolize::Symbolizer;
use crate::kernel::{Kernel, KernelError};

/// Gathers traces.
#[derive(Debug)]
pub(super) struct Traces<'k> {
    names: &'k Symbolizer<'k>,
    /// `None` where traces are in the entries.
    depot: Option<StackDepot<'k>>,
    by_handle: FxHashMap<u32, Option<usize>>,
    by_frames: FxHashMap<Vec<u64>, usize>,
    stacks: Vec<Vec<Frame>>,
    lost: u64,
}

impl<'k> Traces<'k> {
    pub(super) fn new(
        kernel: &'k Kernel,
        names: &'k Symbolizer<'k>,
        layout: &KmemleakObjectLayout,
    ) -> Result<Self, KernelError> {
        Ok(Self {
            names,
            depot: match layout.handle {
                Some(_) => StackDepot::open(kernel)?,
                None => None,
            },
            by_handle: FxHashMap::default(),
            by_frames: FxHashMap::default(),
            stacks: Vec::new(),
            lost: 0,
        })
    }

    /// The place of an entry's trace; `None` if it can't be read.
    pub(super) fn place(&mut self, layout: &KmemleakObjectLayout, record: &[u8]) -> Option<usize> {
        let place = match layout.handle {
            Some(field) => self.of_handle(field.get(record) as u32),
            None => own(layout, record).map(|frames| self.of_frames(frames)),
        };
        self.lost += u64::from(place.is_none());
        place
    }

    fn of_handle(&mut self, handle: u32) -> Option<usize> {
        if let Some(known) = self.by_handle.get(&handle) {
            return *known;
        }
        let frames = match &self.depot {
            Some(depot) => depot.fetch(handle).ok(),
            None => None,
        };
        let place = frames.map(|frames| self.of_frames(frames));
        self.by_handle.insert(handle, place);
        place
    }

    fn of_frames(&mut self, frames: Vec<u64>) -> usize {
        if let Some(place) = self.by_frames.get(&frames) {
            return *place;
        }
        let place = self.stacks.len();
        let named = frames.iter().map(|address| Frame {
            address: VirtAddr(*address),
            symbol: self.names.find(VirtAddr(*address)),
        });
        self.stacks.push(named.collect());
        self.by_frames.insert(frames, place);
        place
    }

    /// Entries without a trace that should have one.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn into_stacks(self) -> Vec<Vec<Frame>> {
        self.stacks
    }
}

/// The trace in an entry itself.
fn own(layout: &KmemleakObjectLayout, record: &[u8]) -> Option<Vec<u64>> {
    let (trace, len) = (layout.trace?, layout.trace_len?);
    let len = len.get(record).min(u64::from(trace.size) / 8) as usize;
    let start = trace.offset as usize;
    (0..len).map(|n| u64_at(record, start + n * 8)).collect()
}
