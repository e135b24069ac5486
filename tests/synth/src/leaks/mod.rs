//! Objects that point to each other, some of them lost: what a search for leaks should find.
//!
//! `scenario` has the caches, `web` takes objects from them and remembers what became of
//! them; `kept`, `lost` and `stale` write the words: those that keep objects, those among
//! objects that nothing keeps, and those that must not count; `unused` those of members that
//! hold nothing. `tasks` and `areas` lay
//! stacks and areas of vmalloc. Nothing else in memory points to an object, so that each is
//! kept or lost by what is written here.

mod aged;
mod areas;
mod blocks;
mod kept;
mod lost;
mod scenario;
mod stale;
mod tasks;
mod unused;
mod web;

use std::collections::BTreeMap;

use crate::machine::Kernel;
use crate::machine::cpus::PerCpu;
use crate::machine::depot::LaidDepot;
use crate::slub::lay::LaidSlub;
use crate::slub::truth::Truth;
use web::Web;

/// What is lost, by the writer.
#[derive(Debug, Clone, Default)]
pub struct LeaksTruth {
    /// By cache; those of which nothing is lost are there too.
    pub caches: BTreeMap<String, LostOf>,
    /// Areas of vmalloc that hold pages.
    pub areas: u64,
    /// Of these, where those start that nothing points to, in order; but for cached stacks.
    pub lost_areas: Vec<u64>,
    /// Those that nothing points to because they are stacks for the next tasks.
    pub cached_stacks: u64,
    /// Blocks of large kmalloc that are marked, and their pages.
    pub blocks: u64,
    pub block_pages: u64,
    /// Of these, where those start that nothing points to, in order.
    pub lost_blocks: Vec<u64>,
    /// Areas in use, those without pages too.
    pub listed_areas: u64,
    /// Areas that were freed and are still mapped.
    pub unpurged: u64,
    /// Free objects that words were made to point to; others may be.
    pub free_pointed_to: u64,
    /// Threads that the kernel counts: idle ones and the first task are not among them.
    pub threads: u64,
}

/// What is lost of one cache.
#[derive(Debug, Clone, Default)]
pub struct LostOf {
    /// Addresses, in order.
    pub objects: Vec<u64>,
    /// How many of them no others lead to; a ring counts once.
    pub sources: u64,
    /// The module whose function most of them point to.
    pub module: Option<&'static str>,
    /// Where they hold the time they were made at, and by which clock.
    pub times: Vec<(u64, &'static str)>,
}

/// Lays all of it over the slabs.
pub(crate) fn lay(
    kernel: &mut Kernel,
    percpu: &mut PerCpu,
    slub: &LaidSlub,
    slabs: &Truth,
    depot: Option<&LaidDepot>,
) -> LeaksTruth {
    let mut web = Web::new(kernel, percpu, slub, slabs);
    let areas = areas::lay(&mut web);
    let tasks = tasks::lay(&mut web);
    areas::link(&mut web, &areas, &tasks);
    lost::lay_alone(&mut web);
    kept::lay(&mut web, &areas);
    lost::lay(&mut web, &areas);
    aged::lay(&mut web);
    let waiting = blocks::lay(&mut web);
    stale::lay(&mut web, &areas, &tasks, waiting);
    unused::lay(&mut web, depot);
    kept::keep_the_rest(&mut web);
    web.finish()
}
