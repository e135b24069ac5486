//! What an address is called.
//!
//! What the kernel itself would call it depends on the table's order: of several symbols at
//! one place the first is printed (kernel/kallsyms.c, `get_symbol_pos`).

use super::Kallsyms;
use super::tokens::ROOM;

/// A symbol that an address lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Bytes from its start to the address.
    pub offset: u64,
    /// Bytes up to the next symbol.
    pub size: u64,
}

impl Kallsyms {
    /// The symbol that `address` lies in: the last that starts at or before it. `None` before the
    /// first and behind the last.
    pub fn find(&self, address: u64) -> Option<Named> {
        let after = self.first_where(|at| at > address);
        let last = self.ordered(after.checked_sub(1)?)?;
        let next = self.ordered(after)?;
        let first = self.first_where(|at| at >= self.address(last));
        let mut room = ROOM;
        let (_, name) = self.spell(self.ordered(first)?, &mut room)?;
        Some(Named {
            name: String::from_utf8_lossy(name).into_owned(),
            offset: address - self.address(last),
            size: self.address(next) - self.address(last),
        })
    }

    /// The symbol at a place in the order of addresses.
    fn ordered(&self, place: usize) -> Option<u32> {
        match self.order() {
            Some(order) => order.get(place).copied(),
            None => (place < self.names.len()).then_some(place as u32),
        }
    }

    /// The first place in the order of addresses from which on `holds` is true of them.
    fn first_where(&self, holds: impl Fn(u64) -> bool) -> usize {
        let (mut low, mut high) = (0, self.names.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.ordered(middle) {
                Some(index) if !holds(self.address(index)) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }
}
