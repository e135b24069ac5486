//! The notation of `layouts/*.types`.
//!
//! ```text
//! struct page 64 {                  tag and sizeof
//!     0 unsigned long flags         offset from the start of `page`, type, name
//!     8 union 40 {                  anonymous; offsets inside still count from `page`
//!         42.0:15 unsigned int objects      byte.bit:width
//!     }
//! }
//! enum pagetype 4 {                 `@` for an enum without a tag
//!     PGTY_slab 245
//! }
//! typedef u8 __u8
//! typedef atomic_t struct 4 {
//!     0 int counter
//! }
//! var slab_caches struct list_head
//! var tk_core struct 288 {
//!     8 struct timekeeper timekeeper
//! }
//! ```
//!
//! The tables belong to the crate, so a mistake in one is a panic with its line.

use super::{Aggregate, CType, Enumeration, Member, TypeTable};

/// Lines still to be read.
struct Lines<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next_words(&mut self) -> Option<Vec<&'a str>> {
        loop {
            let (number, line) = self.lines.next()?;
            self.number = number + 1;
            let words: Vec<_> = line.split_whitespace().collect();
            if words.first().is_some_and(|word| !word.starts_with('#')) {
                return Some(words);
            }
        }
    }

    fn number_of(&self, word: &str) -> u64 {
        word.parse()
            .unwrap_or_else(|_| panic!("line {}: {word:?} is no number", self.number))
    }
}

impl TypeTable {
    /// Reads a table, on top of what is already known.
    pub fn parse(&mut self, text: &str) {
        let mut lines = Lines {
            lines: text.lines().enumerate(),
            number: 0,
        };
        while let Some(words) = lines.next_words() {
            match words.as_slice() {
                ["struct" | "union", tag, size, "{"] => {
                    let size = lines.number_of(size);
                    let aggregate = aggregate(&mut lines, words[0] == "union", size, 0);
                    self.aggregates.insert((*tag).into(), aggregate);
                }
                ["typedef", name, kind @ ("struct" | "union"), size, "{"] => {
                    let size = lines.number_of(size);
                    let body = aggregate(&mut lines, *kind == "union", size, 0);
                    self.typedefs
                        .insert((*name).into(), CType::Nameless(Box::new(body)));
                }
                ["typedef", name, rest @ ..] => {
                    self.typedefs.insert((*name).into(), ctype(rest));
                }
                ["enum", tag, size, "{"] => {
                    let size = lines.number_of(size);
                    let enumerators = enumerators(&mut lines);
                    self.enums
                        .retain(|known| known.tag.as_deref() != Some(*tag));
                    self.enums.push(Enumeration {
                        tag: (*tag != "@").then(|| (*tag).into()),
                        size,
                        enumerators,
                    });
                }
                ["var", name, kind @ ("struct" | "union"), size, "{"] => {
                    let size = lines.number_of(size);
                    let body = aggregate(&mut lines, *kind == "union", size, 0);
                    self.define(name, CType::Nameless(Box::new(body)));
                }
                ["var", name, rest @ ..] => self.define(name, ctype(rest)),
                _ => panic!("line {}: {words:?}", lines.number),
            }
        }
    }
}

impl TypeTable {
    /// A variable, in the place of one that is known by its name.
    fn define(&mut self, name: &str, ctype: CType) {
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = ctype,
            None => self.variables.push((name.into(), ctype)),
        }
    }
}

fn enumerators(lines: &mut Lines<'_>) -> Vec<(String, i64)> {
    let mut found = Vec::new();
    while let Some(words) = lines.next_words() {
        match words.as_slice() {
            ["}"] => break,
            [name, value] => found.push(((*name).into(), value.parse().expect("enumerator"))),
            _ => panic!("line {}: {words:?}", lines.number),
        }
    }
    found
}

/// Members up to the closing brace. `base` is where the aggregate starts in the
/// outermost one, which the offsets in the table count from.
fn aggregate(lines: &mut Lines<'_>, union: bool, size: u64, base: u64) -> Aggregate {
    let mut members = Vec::new();
    while let Some(words) = lines.next_words() {
        if words == ["}"] {
            break;
        }
        let (bit, width) = place(lines, words[0]);
        let (name, ctype) = match &words[1..] {
            [kind @ ("struct" | "union"), size, name @ .., "{"] => {
                let size = lines.number_of(size);
                let inner = aggregate(lines, *kind == "union", size, bit);
                let name = name.first().map(|name| (*name).to_string());
                (name, CType::Nameless(Box::new(inner)))
            }
            [spelling @ .., "@"] => (None, ctype(spelling)),
            [spelling @ .., name] => (Some((*name).to_string()), ctype(spelling)),
            [] => panic!("line {}: {words:?}", lines.number),
        };
        members.push(Member {
            name,
            bit_offset: bit - base,
            bits: width,
            ctype,
        });
    }
    Aggregate {
        union,
        size,
        members,
    }
}

/// `24` or `42.0:15`: offset in bits and width of a bit-field.
fn place(lines: &Lines<'_>, word: &str) -> (u64, Option<u64>) {
    match word.split_once('.') {
        None => (lines.number_of(word) * 8, None),
        Some((byte, rest)) => {
            let (bit, width) = rest.split_once(':').expect("byte.bit:width");
            let bit = lines.number_of(byte) * 8 + lines.number_of(bit);
            (bit, Some(lines.number_of(width)))
        }
    }
}

fn ctype(words: &[&str]) -> CType {
    let (constant, words) = match words {
        ["const", rest @ ..] => (true, rest),
        _ => (false, words),
    };
    let suffix = words
        .iter()
        .position(|word| *word == "*" || word.starts_with('['))
        .unwrap_or(words.len());
    let mut found = match &words[..suffix] {
        ["struct" | "union", tag] => CType::Tagged((*tag).into()),
        ["enum", tag] => CType::Enum((*tag).into()),
        ["void"] => CType::Void,
        ["fn"] => CType::Function,
        name => CType::Named(name.join(" ")),
    };
    if constant {
        found = CType::Const(Box::new(found));
    }
    for word in &words[suffix..] {
        if *word == "*" {
            found = CType::Pointer(Box::new(found));
        } else {
            // C binds the last bound first.
            let bounds = word.trim_matches(['[', ']']).split("][");
            for bound in bounds.collect::<Vec<_>>().into_iter().rev() {
                found = CType::Array(Box::new(found), bound.parse().expect("array bound"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let words = ["const", "struct", "kmem_cache_node", "*", "[1024]"];
        let CType::Array(inner, 1024) = ctype(&words) else {
            panic!("no array");
        };
        let CType::Pointer(target) = *inner else {
            panic!("no pointer");
        };
        assert_eq!(
            *target,
            CType::Const(Box::new(CType::Tagged("kmem_cache_node".into())))
        );
        assert_eq!(
            ctype(&["unsigned", "long"]),
            CType::Named("unsigned long".into())
        );
    }

    #[test]
    fn anonymous_members_are_relative_to_what_holds_them() {
        let mut table = TypeTable::default();
        table.parse("struct s 16 {\n 8 union 8 {\n 12 int a\n 12.4:3 int b\n }\n}");
        let CType::Nameless(inner) = &table.aggregates["s"].members[0].ctype else {
            panic!("no union");
        };
        assert_eq!(inner.members[0].bit_offset, 32);
        assert_eq!(inner.members[1].bit_offset, 36);
        assert_eq!(inner.members[1].bits, Some(3));
    }
}
