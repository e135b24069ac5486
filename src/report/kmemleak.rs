//! The part of `kmemleak`: what the kernel itself found lost.

use serde::Serialize;

use crate::analysis::kmemleak::{StackGroup, by_stack};
use crate::subsys::mm::kmemleak::{Form, KmemleakFacts, KmemleakState, Tracked, Unreferenced};

/// Over all objects reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KmemleakTotals {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The part of `kmemleak`.
#[derive(Clone, Debug, Serialize)]
pub struct KmemleakReport {
    /// How kmemleak was doing.
    pub state: KmemleakState,
    /// All that it watches over.
    pub tracked: Tracked,
    /// Over what it reports.
    pub totals: KmemleakTotals,
    /// By who allocated them, the most bytes first.
    pub stacks: Vec<StackGroup>,
    /// Each object, in kmemleak's order; `stack` is its place among `stacks`.
    pub unreferenced: Vec<Unreferenced>,
    /// How this kernel printed them.
    #[serde(skip)]
    pub form: Form,
}

impl KmemleakReport {
    /// Sums up.
    pub fn new(mut facts: KmemleakFacts) -> Self {
        let mut totals = KmemleakTotals::default();
        for object in &facts.unreferenced {
            totals.objects += 1;
            totals.bytes = totals.bytes.saturating_add(object.size);
        }
        Self {
            state: facts.state,
            tracked: facts.tracked,
            totals,
            stacks: by_stack(&mut facts.unreferenced, facts.stacks),
            unreferenced: facts.unreferenced,
            form: facts.form,
        }
    }
}
