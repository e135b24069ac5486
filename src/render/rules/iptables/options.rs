//! The options of a match or target as they are put together.

use std::fmt::{Display, Write};

use super::info::{Info, not};

/// Every option with the space before it.
#[derive(Debug, Default)]
pub(super) struct Options(String);

impl Options {
    /// One without a value; `inverted` puts a `!` before it.
    pub(super) fn flag(&mut self, name: &str, inverted: bool) {
        let _ = write!(self.0, "{} --{name}", not(inverted));
    }

    /// One with a value.
    pub(super) fn value(&mut self, name: &str, inverted: bool, value: impl Display) {
        let _ = write!(self.0, "{} --{name} {value}", not(inverted));
    }

    /// One whose value is given only by the bits that are set.
    pub(super) fn flags(&mut self, set: u32, names: &[(u32, &str)]) {
        for (_, name) in names.iter().filter(|(bit, _)| set & bit != 0) {
            self.flag(name, false);
        }
    }

    /// A range; all there is (`most` at its end) needs no option.
    pub(super) fn range(&mut self, name: &str, inverted: bool, ends: (u32, u32), most: u32) {
        if ends != (0, most) || inverted {
            self.value(name, inverted, span(ends.0, ends.1));
        }
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

/// `None` where a bit is set that is not known here: what it means can't be told.
pub(super) fn only(set: u32, known: u32) -> Option<()> {
    (set & !known == 0).then_some(())
}

/// A value or two.
pub(super) fn span(min: impl Display + PartialEq, max: impl Display + PartialEq) -> String {
    let (min, max) = (min.to_string(), max.to_string());
    if min == max {
        min
    } else {
        format!("{min}:{max}")
    }
}

/// A value with its mask, unless that is all of it (`xtables_print_val_mask`).
pub(super) fn masked(value: u32, mask: u32) -> String {
    match mask {
        u32::MAX => format!("{value:#x}"),
        mask => format!("{value:#x}/{mask:#x}"),
    }
}

/// An address of a union of both kinds with its mask, unless that is all of it.
pub(super) fn network(info: Info<'_>, family: u8, at: usize, mask: usize) -> Option<String> {
    let address = info.address(family, at)?;
    let len = if family == 10 { 16 } else { 4 };
    let bits = info.0.get(mask..mask.checked_add(len)?)?;
    Some(match super::info::prefix(bits) {
        Some(bits) if bits as usize == len * 8 => address.to_string(),
        Some(bits) => format!("{address}/{bits}"),
        None => format!("{address}/{}", info.address(family, mask)?),
    })
}
