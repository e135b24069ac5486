//! The kernel's own string literals: which of several texts it would have printed is read from
//! its code's constants, not told by its version.

use memchr::memmem::Finder;

use super::Kernel;
use crate::addr::VirtAddr;

/// Read at once.
const STEP: u64 = 1 << 16;
/// No needle is longer.
const OVERLAP: u64 = 64;
/// More than any kernel's read-only data.
const MAX_SIZE: u64 = 1 << 28;
/// Of a literal, so much is kept; all of /proc/meminfo is one up to 4.8.
const MAX_LITERAL: usize = 2048;

/// Whether the kernel has a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    /// From the place that was looked for up to its end.
    Found(String),
    /// There is none.
    Absent,
    /// The constants can't be read as a whole.
    Unknown,
}

impl Literal {
    /// Whether it is there; `None` if that can't be told.
    pub(crate) fn is_there(&self) -> Option<bool> {
        match self {
            Self::Found(_) => Some(true),
            Self::Absent => Some(false),
            Self::Unknown => None,
        }
    }
}

/// Looks for each of `needles` anywhere in the kernel's literals.
pub(crate) fn find<const N: usize>(kernel: &Kernel, needles: [&str; N]) -> [Literal; N] {
    let finders = needles.map(|needle| Finder::new(needle.as_bytes()).into_owned());
    let mut found = [const { Literal::Absent }; N];
    let (Some(start), Some(end)) = (
        kernel.symbol("__start_rodata"),
        kernel.symbol("__end_rodata"),
    ) else {
        return found.map(|_| Literal::Unknown);
    };
    let size = end.offset_from(start).unwrap_or(0).min(MAX_SIZE);
    let mut gaps = size == 0;
    let mut at = 0;
    while at < size && found.contains(&Literal::Absent) {
        let len = (STEP + OVERLAP).min(size - at);
        let base = start.plus(at);
        at += STEP;
        let Ok(bytes) = kernel.space.read_bytes(base, len as usize) else {
            gaps = true;
            continue;
        };
        for (literal, finder) in found.iter_mut().zip(&finders) {
            if *literal == Literal::Absent
                && let Some(within) = finder.find(&bytes)
            {
                *literal = read(kernel, base.plus(within as u64));
            }
        }
    }
    found.map(|literal| match literal {
        Literal::Absent if gaps => Literal::Unknown,
        other => other,
    })
}

fn read(kernel: &Kernel, at: VirtAddr) -> Literal {
    match kernel.space.read_c_string(at, MAX_LITERAL) {
        Ok(text) => Literal::Found(text),
        Err(_) => Literal::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario, damage};

    use super::*;
    use crate::kernel::synthetic;

    #[test]
    fn a_literal_is_found_across_pieces_and_is_not_absent_where_some_are_lost() {
        let mut m = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
        let start = m.kernel.alloc(3 * STEP, 4096);
        m.kernel.write(start + STEP - 3, b"needle and thread\0");
        let symbols = [
            ("__start_rodata", start),
            ("__end_rodata", start + 3 * STEP),
        ];
        let both = |m: &Machine| find(&synthetic::kernel_with(m, &symbols), ["needle", "hay"]);
        let needle = Literal::Found("needle and thread".to_owned());
        assert_eq!(both(&m), [needle.clone(), Literal::Absent]);
        damage::exclude_address(&mut m, start + 2 * STEP);
        assert_eq!(both(&m), [needle, Literal::Unknown]);
    }
}
