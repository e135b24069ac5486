//! Ranges that are translated by arithmetic.

use super::Mapping;
use crate::addr::{PhysAddr, VirtAddr};

/// A virtual range that maps to physical memory at a fixed distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearRegion {
    /// First address.
    pub start: VirtAddr,
    /// One past the last address.
    pub end: VirtAddr,
    /// Physical address of `start`.
    pub phys: PhysAddr,
}

impl LinearRegion {
    /// Where an address lies, and how far the translation holds.
    pub(super) fn translate(&self, va: VirtAddr) -> Option<Mapping> {
        (self.start <= va && va < self.end).then(|| Mapping {
            phys: self.phys.plus(va.0 - self.start.0),
            len: self.end.0 - va.0,
        })
    }
}
