//! Offsets, sizes and enumerators by name.

use super::{Aggregate, BASE_TYPES, CType, TypeTable};

/// Where a member lies in the struct that it was looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// From the start of the struct, in bits.
    pub bit_offset: u64,
    /// In bits.
    pub bits: u64,
}

impl Field {
    /// From the start of the struct, in bytes.
    pub fn offset(self) -> u64 {
        self.bit_offset / 8
    }
}

impl TypeTable {
    /// `sizeof(struct tag)`.
    pub fn sizeof(&self, tag: &str) -> u64 {
        self.aggregates
            .get(tag)
            .unwrap_or_else(|| panic!("no struct {tag}"))
            .size
    }

    /// `offsetof(struct tag, path)`, in bytes.
    pub fn offset(&self, tag: &str, path: &str) -> u64 {
        self.field(tag, path).offset()
    }

    /// The member at `path` (`kobj.sd`), anonymous ones in between left out.
    pub fn field(&self, tag: &str, path: &str) -> Field {
        self.find(tag, path)
            .unwrap_or_else(|| panic!("no {tag}.{path}"))
    }

    /// Whether this kernel's struct has the member.
    pub fn has(&self, tag: &str, path: &str) -> bool {
        self.find(tag, path).is_some()
    }

    fn find(&self, tag: &str, path: &str) -> Option<Field> {
        let mut aggregate = self.aggregates.get(tag)?;
        let mut found = Field {
            bit_offset: 0,
            bits: 0,
        };
        let mut steps = path.split('.').peekable();
        while let Some(step) = steps.next() {
            let (bit, bits, ctype) = self.member(aggregate, step)?;
            found.bit_offset += bit;
            found.bits = bits.unwrap_or_else(|| self.size_of(ctype) * 8);
            if steps.peek().is_some() {
                aggregate = self.aggregate(ctype)?;
            }
        }
        Some(found)
    }

    fn member<'a>(
        &'a self,
        aggregate: &'a Aggregate,
        name: &str,
    ) -> Option<(u64, Option<u64>, &'a CType)> {
        aggregate.members.iter().find_map(|member| {
            if member.name.as_deref() == Some(name) {
                return Some((member.bit_offset, member.bits, &member.ctype));
            }
            if member.name.is_some() {
                return None;
            }
            let inner = self.aggregate(&member.ctype)?;
            let (bit, bits, ctype) = self.member(inner, name)?;
            Some((member.bit_offset + bit, bits, ctype))
        })
    }

    fn aggregate<'a>(&'a self, ctype: &'a CType) -> Option<&'a Aggregate> {
        match ctype {
            CType::Tagged(tag) => self.aggregates.get(tag),
            CType::Nameless(inner) => Some(inner),
            CType::Named(name) => self.aggregate(self.typedefs.get(name)?),
            CType::Const(inner) => self.aggregate(inner),
            _ => None,
        }
    }

    /// `sizeof` of any type.
    pub fn size_of(&self, ctype: &CType) -> u64 {
        match ctype {
            CType::Void | CType::Function => 0,
            CType::Pointer(_) => 8,
            CType::Tagged(tag) => self.sizeof(tag),
            CType::Nameless(inner) => inner.size,
            CType::Const(inner) => self.size_of(inner),
            CType::Array(inner, count) => self.size_of(inner) * count,
            CType::Enum(tag) => self.enum_size(tag),
            CType::Named(name) => {
                let base = BASE_TYPES.iter().find(|base| base.0 == name);
                match (base, self.typedefs.get(name)) {
                    (Some(base), _) => base.1,
                    (None, Some(target)) => self.size_of(target),
                    (None, None) => panic!("no type {name}"),
                }
            }
        }
    }

    fn enum_size(&self, tag: &str) -> u64 {
        let named = self
            .enums
            .iter()
            .find(|each| each.tag.as_deref() == Some(tag));
        named.map_or(4, |each| each.size)
    }

    /// An enumerator of any enum.
    pub fn enumerator(&self, name: &str) -> Option<i64> {
        let all = self.enums.iter().flat_map(|each| &each.enumerators);
        all.into_iter()
            .find(|each| each.0 == name)
            .map(|each| each.1)
    }

    /// An enumerator that this kernel surely has.
    pub fn constant(&self, name: &str) -> u64 {
        let value = self.enumerator(name);
        value.unwrap_or_else(|| panic!("no enumerator {name}")) as u64
    }

    /// Takes a member away, as another kernel configuration would.
    pub fn drop_member(&mut self, tag: &str, name: &str) {
        let aggregate = self.aggregates.get_mut(tag).expect("struct");
        aggregate
            .members
            .retain(|member| member.name.as_deref() != Some(name));
    }

    /// Makes `struct page` larger or smaller at its end, and with it the slab's descriptor, and
    /// a folio, which lies over several of them.
    pub fn resize_page(&mut self, size: u64) {
        let old = self.sizeof("page");
        if size == old {
            return;
        }
        for tag in ["page", "slab", "folio"] {
            let Some(aggregate) = self.aggregates.get_mut(tag) else {
                continue;
            };
            for member in &mut aggregate.members {
                let page = member.bit_offset / (old * 8);
                member.bit_offset = member.bit_offset - page * old * 8 + page * size * 8;
            }
            let first = |bit: u64| bit < size * 8 || tag == "folio";
            aggregate.members.retain(|member| first(member.bit_offset));
            aggregate.size = aggregate.size / old * size;
        }
    }

    /// The type of a variable, if this kernel has it.
    pub fn variable(&self, name: &str) -> Option<&CType> {
        let found = self.variables.iter().find(|each| each.0 == name);
        found.map(|each| &each.1)
    }

    /// How many elements an array variable or member type has.
    pub fn length(ctype: &CType) -> u64 {
        match ctype {
            CType::Array(_, count) => *count,
            _ => 1,
        }
    }
}
