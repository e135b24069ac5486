//! Variables of the kernel by name, where a missing symbol and missing memory are two things.

use std::cell::Cell;

use crate::kernel::layout::{Layout, LayoutError};
use crate::kernel::{Kernel, KernelError, Known};
use crate::space::MemFault;

/// Reads variables and remembers whether memory was missing.
#[derive(Debug)]
pub(super) struct Reader<'k> {
    pub(super) kernel: &'k Kernel,
    lost: Cell<bool>,
}

impl<'k> Reader<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Self {
        Self {
            kernel,
            lost: Cell::new(false),
        }
    }

    /// Says that `what` is left out, because its memory is not there or makes no sense.
    pub(super) fn lose(&self, what: &str) {
        self.lost.set(true);
        self.kernel.diag.warn(
            "meminfo-unreadable",
            format!("{what} can't be read, and what is made of it is left out: take the dump with kernel pages included, and to its end"),
        );
    }

    /// A layout without which only `what` is missing; `None` and a warning if the types lack it.
    pub(super) fn layout<L: Layout>(&self, what: &str) -> Result<Option<L>, KernelError> {
        match self.kernel.layout() {
            Ok(layout) => Ok(Some(layout)),
            Err(error @ LayoutError::Types(_)) => Err(error.into()),
            Err(error) => {
                self.lost.set(true);
                self.kernel.diag.note(
                    "meminfo-no-types",
                    format!("{what}, and what is made of it, is left out: {error}"),
                );
                Ok(None)
            }
        }
    }

    /// Whether anything was lost.
    pub(super) fn has_lost(&self) -> bool {
        self.lost.get()
    }

    /// The variable, or `None` and a word of what is left out if it can't be read.
    fn variable<T>(&self, name: &str, known: Known<T>) -> Option<T> {
        if matches!(known, Known::Missing(_)) {
            self.lose(name);
        }
        known.value()
    }

    /// The value, or `None` and a warning that `what` is missing.
    pub(super) fn keep<T>(&self, what: &str, value: Result<T, MemFault>) -> Option<T> {
        if value.is_err() {
            self.lose(what);
        }
        value.ok()
    }

    /// A `long` or `unsigned long`; `None` if this kernel has no such variable.
    pub(super) fn long(&self, name: &str) -> Option<u64> {
        self.variable(name, self.kernel.u64_of(name))
    }

    /// A counter that may be below zero for a moment, as `long` printed from zero up.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.long(name)
            .map(|value| u64::try_from(value.cast_signed()).unwrap_or(0))
    }

    /// An `int`.
    pub(super) fn int(&self, name: &str) -> Option<u32> {
        self.variable(name, self.kernel.u32_of(name))
    }

    /// A `bool`.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.variable(name, self.kernel.bool_of(name))
    }
}
