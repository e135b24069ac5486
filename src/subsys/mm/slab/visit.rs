//! A look at every slab while its objects are counted: for those who need the state of
//! each object, so that no free chain is walked twice.

use super::cache::Cache;
use super::freelist::Geometry;
use super::pages::Slab;
use super::places::Marks;

/// Sees all slabs, batch by batch on all cores.
pub trait SlabVisitor: Sync {
    /// What is gathered of one batch.
    type Batch: Send;

    /// A batch of neighbouring slabs begins.
    fn begin(&self) -> Self::Batch;

    /// One slab that is in use.
    fn slab(&self, batch: &mut Self::Batch, view: &SlabView<'_>);

    /// The batch is done.
    fn end(&self, batch: Self::Batch);
}

impl SlabVisitor for () {
    type Batch = ();

    fn begin(&self) {}

    fn slab(&self, (): &mut (), _: &SlabView<'_>) {}

    fn end(&self, (): ()) {}
}

/// One slab and what is known of its objects.
#[derive(Debug)]
pub struct SlabView<'a> {
    /// Its index among all slabs.
    pub index: usize,
    /// The slab.
    pub slab: &'a Slab,
    /// Its cache.
    pub cache: &'a Cache,
    /// Where its objects lie.
    pub geometry: &'a Geometry,
    pub(super) marks: &'a Marks,
    /// Whether its free chains are whole and as long as its counters say.
    pub trusted: bool,
}

impl SlabView<'_> {
    /// Whether an object is free.
    pub fn is_free(&self, object: u32) -> bool {
        self.marks.is_free(object)
    }

    /// Whether an object was freed, but still waits for RCU.
    pub fn is_pending(&self, object: u32) -> bool {
        self.marks.is_pending(object)
    }
}
