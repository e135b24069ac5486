//! Format strings of modules: whose code can have made a text.
//!
//! Layer: kernel. Input: the modules' memory but for their code. Output: for a text the one format
//! that can have begun it. Invariant: a beginning that several modules have, or the kernel itself,
//! says nothing.

use memchr::{memchr, memchr_iter, memrchr};
use serde::Serialize;

use super::Kernel;
use super::literals::{self, Literal};
use super::modules::Modules;

/// Shorter beginnings are met by chance.
const SHORTEST: usize = 5;
/// Longer ones are no names of objects.
const LONGEST: usize = 160;
/// More than any module's data.
const MAX_BYTES: u64 = 1 << 24;

/// A format string of a module.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Format {
    /// The module.
    pub module: String,
    /// As it stands in the module's data: `leaky-buf-%06d`.
    pub format: String,
}

impl Format {
    /// What it begins with before anything is filled in.
    fn beginning(&self) -> &str {
        self.format.split('%').next().unwrap_or_default()
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Formats(Vec<Format>);

impl Formats {
    /// Looks through the data of all modules.
    pub fn read(kernel: &Kernel, modules: &Modules) -> Self {
        let mut all = Vec::new();
        for module in modules.iter() {
            for region in &module.regions {
                let code = match region.base == module.text.base {
                    true => module.text_size,
                    false => 0,
                };
                let len = region.size.saturating_sub(code).min(MAX_BYTES);
                // What is missing is zeros, which no format goes across.
                let data = kernel
                    .space
                    .bytes_there(region.base.plus(code), len as usize);
                all.extend(formats(&data).map(|format| Format {
                    module: module.name.clone(),
                    format,
                }));
            }
        }
        Self(all)
    }

    /// The format that begins as `text` does, if there is one and nobody else has it.
    pub fn maker(&self, kernel: &Kernel, text: &str) -> Option<&Format> {
        let fits = |format: &&Format| text.starts_with(format.beginning());
        let found = self.0.iter().filter(fits);
        let found = found.max_by_key(|format| format.beginning().len())?;
        let mut same = self.0.iter().filter(fits);
        let alone = same.all(|format| {
            format.module == found.module || format.beginning().len() < found.beginning().len()
        });
        let [own] = literals::find(kernel, [found.beginning()]);
        (alone && own == Literal::Absent).then_some(found)
    }
}

/// The strings that have a place to be filled in behind enough of a beginning.
fn formats(data: &[u8]) -> impl Iterator<Item = String> + '_ {
    let mut end = 0;
    memchr_iter(b'%', data).filter_map(move |place| {
        // The same string's second.
        if place < end {
            return None;
        }
        let (before, behind) = data.split_at_checked(place)?;
        let start = memrchr(0, before).map_or(0, |zero| zero + 1);
        end = place + memchr(0, behind)?;
        let string = data.get(start..end)?;
        let beginning = data.get(start..place)?;
        let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let fits = beginning.len() >= SHORTEST && string.len() <= LONGEST;
        (fits && string.iter().all(is_text)).then(|| String::from_utf8_lossy(string).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_a_string_with_a_beginning_and_a_place_to_fill_in() {
        let data = b"\0leaky-buf-%06d\0plain text\0%s: short\0abc-%d\0two-%d-%d\0\x016to the log %d\0cut-off-%d";
        let found: Vec<String> = formats(data).collect();
        assert_eq!(found, ["leaky-buf-%06d"]);
        let found: Vec<String> = formats(b"first-%d-%s\0second-%x\0").collect();
        assert_eq!(found, ["first-%d-%s", "second-%x"]);
    }
}
