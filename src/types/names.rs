//! The kernel's symbols by address, in the order of its own table.
//!
//! What the kernel itself would call an address depends on that order: of several symbols at
//! one place the first of the table is printed (kernel/kallsyms.c, `get_symbol_pos`).

use super::kallsyms::{KallsymsError, KallsymsTables, decode_into};

/// A symbol that an address lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// Its name.
    pub name: &'a str,
    /// Bytes from its start to the address.
    pub offset: u64,
    /// Bytes up to the next symbol.
    pub size: u64,
}

/// Names and run-time addresses of all symbols of the kernel itself.
#[derive(Debug, Default)]
pub struct SymbolNames {
    /// Address, and where in `text` the name ends; it begins where the one before ends.
    all: Vec<(u64, u32)>,
    text: String,
    /// Indices into `all`, by address, then by place in the table.
    order: Vec<u32>,
}

impl SymbolNames {
    /// Decodes kallsyms.
    ///
    /// # Errors
    /// If no encoding makes sense of the tables.
    pub fn decode(tables: &KallsymsTables) -> Result<Self, KallsymsError> {
        let new = |count| Self {
            all: Vec::with_capacity(count),
            ..Self::default()
        };
        let (mut names, _) = decode_into(tables, new, |names: &mut Self, name, address, _| {
            names.text.push_str(&String::from_utf8_lossy(name));
            names.all.push((address, names.text.len() as u32));
        })?;
        names.sort();
        Ok(names)
    }

    fn sort(&mut self) {
        let mut order: Vec<u32> = (0..self.all.len() as u32).collect();
        order.sort_by_key(|index| self.address(*index));
        self.order = order;
    }

    fn address(&self, index: u32) -> u64 {
        self.all.get(index as usize).map_or(0, |(at, _)| *at)
    }

    fn name(&self, index: u32) -> &str {
        let index = index as usize;
        let end = |index: usize| self.all.get(index).map_or(0, |(_, end)| *end as usize);
        let start = index.checked_sub(1).map_or(0, end);
        self.text.get(start..end(index)).unwrap_or_default()
    }

    /// The symbol that `address` lies in: the last that starts at or before it. `None` before the
    /// first and behind the last.
    pub fn find(&self, address: u64) -> Option<Named<'_>> {
        let after = self.order.partition_point(|i| self.address(*i) <= address);
        let last = self.address(*self.order.get(after.checked_sub(1)?)?);
        let next = self.address(*self.order.get(after)?);
        let first = self.order.partition_point(|i| self.address(*i) < last);
        Some(Named {
            name: self.name(*self.order.get(first)?),
            offset: address - last,
            size: next - last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_names_at_a_place() {
        let mut names = SymbolNames::default();
        for (name, at) in [
            ("percpu", 8),
            ("one", 100),
            ("alias", 100),
            ("two", 150),
            ("_end", 200),
        ] {
            names.text.push_str(name);
            names.all.push((at, names.text.len() as u32));
        }
        names.sort();
        let find = |at| names.find(at).map(|n| (n.name, n.offset, n.size));
        assert_eq!(find(100), Some(("one", 0, 50)));
        assert_eq!(find(149), Some(("one", 49, 50)));
        assert_eq!(find(199), Some(("two", 49, 50)));
        assert_eq!(find(7), None);
        assert_eq!(find(200), None);
    }
}
