//! The areas of vmalloc that nothing points to.

use serde::Serialize;

use super::areas::Areas;
use super::bitmap::Bitmap;
use super::content::{self, Content};
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::symbolize::Symbolized;
use crate::kernel::variables::Variables;
use crate::subsys::mm::vmalloc::VmallocArea;

/// Bytes of an area that are looked at.
const LOOKED_AT: u32 = 512;

/// The reachable and the lost areas.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AreaReach {
    /// Areas that hold pages of their own.
    pub judged: u64,
    /// Of these, those that nothing points to, by address.
    pub lost: Vec<LostArea>,
    /// Those that only a few words into their middle point to, which may be stale.
    pub hardly_held: Vec<LostArea>,
    /// What they begin with, but for cached stacks.
    pub content: Content,
    /// Whether all areas are known.
    pub complete: bool,
}

/// One area that nothing points to.
#[derive(Clone, Debug, Serialize)]
pub struct LostArea {
    /// First address.
    pub start: VirtAddr,
    /// Bytes of memory that it holds.
    pub bytes: u64,
    /// Who asked for it.
    pub caller: Option<Symbolized>,
    /// Whether it is the stack of a task that is gone, kept for the next.
    pub cached_stack: bool,
}

impl AreaReach {
    pub(super) fn of(
        kernel: &Kernel,
        symbols: &Variables<'_>,
        areas: &Areas,
        marked: &Bitmap,
    ) -> Self {
        let page = kernel.dump().page_size() as u64;
        let one = |area: &VmallocArea| LostArea {
            start: area.start,
            bytes: area.pages.saturating_mul(page).min(area.bytes()),
            caller: area.caller.clone(),
            cached_stack: areas.is_cached_stack(area),
        };
        let holders = || areas.holders();
        let lost = holders().filter(|(number, _)| !marked.get(*number));
        let lost: Vec<LostArea> = lost.map(|(_, area)| one(area)).collect();
        let hardly =
            holders().filter(|(number, _)| marked.get(*number) && areas.is_hardly_held(*number));
        let starts = lost.iter().filter(|area| !area.cached_stack);
        let starts: Vec<VirtAddr> = starts.map(|area| area.start).collect();
        Self {
            judged: areas.holders().count() as u64,
            content: content::look(
                kernel,
                symbols,
                starts.iter().copied(),
                starts.len() as u64,
                LOOKED_AT,
            ),
            hardly_held: hardly.map(|(_, area)| one(area)).collect(),
            lost,
            complete: areas.complete,
        }
    }
}
