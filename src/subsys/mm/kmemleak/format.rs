//! In which of its forms a kernel prints kmemleak's file: told by the literals in its code.

use crate::kernel::Kernel;
use crate::kernel::literals::{self, Literal};
use crate::kernel::pointers::Pointers;

/// How a frame is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// `[<%p>] %pS`, up to 6.2.
    Hashed(Pointers),
    /// `%pS`, 6.9 and later.
    Bare,
}

/// The differences between kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// `(phys)` and `(percpu)` behind `object` (6.18 and later).
    pub kind: bool,
    /// `(age 1.234s)` behind the jiffies (up to 6.7).
    pub age: bool,
    /// The checksum behind `backtrace` (6.8 and later).
    pub checksum: bool,
    /// How frames are printed.
    pub frames: Frames,
}

/// Reads the kernel's own literals.
pub(super) fn form(kernel: &Kernel) -> Form {
    let found = literals::find(
        kernel,
        [
            "unreferenced object%s",
            "(age %d.%03ds)",
            "  backtrace (crc %x)",
            "    [<%pK>] %pS",
        ],
    );
    if found.contains(&Literal::Unknown) {
        kernel.diag.assume(
            "kmemleak_form",
            "as 6.12",
            "the kernel's own literals can't be read; only --format proc depends on it",
        );
    }
    let is = |literal: &Literal, otherwise| literal.is_there().unwrap_or(otherwise);
    let [kind, age, checksum, restricted] = &found;
    let checksum = is(checksum, true);
    Form {
        kind: is(kind, false),
        age: is(age, false),
        checksum,
        frames: match (is(restricted, false), checksum) {
            (true, _) => Frames::Hashed(Pointers::restricted(kernel).unwrap_or(Pointers::Real)),
            (false, false) => Frames::Hashed(Pointers::plain(kernel).unwrap_or(Pointers::Real)),
            (false, true) => Frames::Bare,
        },
    }
}
