//! What objects look like: enough to tell those of one kind from others, and whose
//! they are.
//!
//! A cluster is the objects that have the same text, or that have the same symbols
//! at the same offsets. Data of users is not shown beyond the text that an object begins
//! with.

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::Kernel;
use crate::kernel::formats::Format;
use crate::kernel::symbolize::Symbolized;
use crate::kernel::variables::Variables;

/// Bytes of an object that are looked at.
const LOOKED_AT: usize = 512;
/// Objects of a cache that are looked at, evenly spread.
const SAMPLE: usize = 50_000;
/// Clusters kept of each cache, and named for it. What is meant to have no pointer to it may be
/// among the small ones.
const KEPT: usize = 64;
const NAMED: usize = 5;
/// Addresses given of each cluster.
const EXAMPLES: usize = 3;
/// The shortest text that means something, and the longest that is shown.
const TEXT: std::ops::RangeInclusive<usize> = 4..=48;
/// The shortest text that is believed elsewhere than at the start, with its digits.
const LEAST_WITHIN: usize = 12;
/// Symbols that make up a cluster's name.
const SYMBOLS: usize = 4;

/// Objects that look alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Text that they begin with, up to the first digit or what is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Where that stands, if they don't begin with it: bytes from the start of the object.
    #[serde(skip_serializing_if = "is_zero")]
    pub text_at: u32,
    /// The format string of a module that made the text, where only one can have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Symbols that they all point to, by offset.
    pub symbols: Vec<SymbolAt>,
    /// Offsets of list heads that only point to themselves.
    pub empty_lists: Vec<u32>,
    /// How many of those looked at.
    pub objects: u64,
    /// Of the first ones.
    pub examples: Vec<VirtAddr>,
    /// Of all of them.
    #[serde(skip)]
    pub members: Vec<VirtAddr>,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Cluster {
    /// What text they have, and where: `begin with "leaky-buf-"`.
    pub fn describe_text(&self) -> Option<String> {
        let text = self.text.as_ref()?;
        Some(match self.text_at {
            0 => format!("begin with {text:?}"),
            at => format!("have {text:?} at offset {at:#x}"),
        })
    }
}

/// A pointer to a symbol in an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct SymbolAt {
    /// Bytes from the start of the object.
    pub offset: u32,
    /// The symbol; what [`UNLOADED`] says where a module was that is there no more.
    pub symbol: String,
    /// Its module, unless it is the kernel's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

/// What objects of one cache look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Content {
    /// Objects looked at.
    pub looked_at: u64,
    /// The largest first. Objects with nothing recognisable are in none.
    pub clusters: Vec<Cluster>,
}

impl Content {
    /// The largest clusters: those that are named.
    pub fn named(&self) -> Vec<Cluster> {
        self.clusters.iter().take(NAMED).cloned().collect()
    }
}

/// Stands for a symbol of a module that was unloaded.
pub const UNLOADED: &str = "where a module was that is loaded no more";

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Key {
    text: Option<String>,
    text_at: u32,
    symbols: Vec<SymbolAt>,
    empty_lists: Vec<u32>,
}

/// Looks at a sample of `count` objects, each of `size` bytes.
pub(crate) fn look(
    kernel: &Kernel,
    symbols: &Variables<'_>,
    objects: impl Iterator<Item = VirtAddr>,
    count: u64,
    size: u32,
) -> Content {
    let step = (count as usize).div_ceil(SAMPLE).max(1);
    let len = (size as usize).min(LOOKED_AT);
    let mut clusters: FxHashMap<Key, Vec<VirtAddr>> = FxHashMap::default();
    let mut names = FxHashMap::default();
    let mut looked_at = 0;
    for object in objects.step_by(step) {
        let Ok(bytes) = kernel.space.span(object, len) else {
            continue;
        };
        looked_at += 1;
        let key = key(&bytes, object, symbols, &mut names);
        clusters.entry(key).or_default().push(object);
    }
    clusters.remove(&Key::default());
    let mut clusters: Vec<Cluster> = clusters
        .into_iter()
        .map(|(key, members)| Cluster {
            text: key.text,
            text_at: key.text_at,
            format: None,
            symbols: key.symbols,
            empty_lists: key.empty_lists,
            objects: members.len() as u64,
            examples: members.iter().take(EXAMPLES).copied().collect(),
            members,
        })
        .collect();
    clusters.sort_by(|a, b| {
        let first = |cluster: &Cluster| cluster.examples.first().copied();
        (b.objects, first(a)).cmp(&(a.objects, first(b)))
    });
    clusters.truncate(KEPT);
    for cluster in &mut clusters {
        let text = cluster.text.as_deref();
        cluster.format = text.and_then(|text| symbols.maker(text)).cloned();
    }
    Content {
        looked_at,
        clusters,
    }
}

fn key(
    bytes: &[u8],
    address: VirtAddr,
    symbols: &Variables<'_>,
    names: &mut FxHashMap<u64, Option<Symbolized>>,
) -> Key {
    let mut key = Key {
        text: leading_text(bytes),
        ..Key::default()
    };
    for offset in (0..bytes.len()).step_by(8) {
        let word = u64_at(bytes, offset).unwrap_or(0);
        let at = address.plus(offset as u64);
        // Both pointers of an empty list lead to the first.
        if word == at.0 && u64_at(bytes, offset + 8) == Some(word) {
            key.empty_lists.push(offset as u32);
        }
        if key.symbols.len() < SYMBOLS && symbols.may_name(VirtAddr(word)) {
            let place = names
                .entry(word)
                .or_insert_with(|| symbols.name(VirtAddr(word)));
            // Operations and tables are pointed to where they begin.
            let found = match place {
                Some(place) if place.offset == 0 => {
                    Some((place.function.clone(), place.module.clone()))
                }
                Some(_) => None,
                None => symbols
                    .was_module(VirtAddr(word))
                    .map(|module| (UNLOADED.to_owned(), Some(module.to_owned()))),
            };
            key.symbols.extend(found.map(|(symbol, module)| SymbolAt {
                offset: offset as u32,
                symbol,
                module,
            }));
        }
    }
    // Text within may be left of what lay there before: only where nothing else tells.
    if key == Key::default()
        && let Some((at, text)) = inner_text(bytes)
    {
        key.text = Some(text);
        key.text_at = at as u32;
    }
    key
}

/// The first text behind the start, with its offset: that begins where a member may, is not short,
/// and ends with a null byte.
fn inner_text(bytes: &[u8]) -> Option<(usize, String)> {
    let whole = |at: usize| {
        // The end of a text that begins before is none.
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        if before.is_some_and(u8::is_ascii_graphic) {
            return None;
        }
        let rest = bytes.get(at..)?;
        let len = rest.iter().position(|byte| *byte == 0)?;
        let text = leading_text(rest)?;
        (len >= LEAST_WITHIN).then_some((at, text))
    };
    (8..bytes.len()).step_by(8).find_map(whole)
}

/// The text at the start, up to the first digit: `leaky-buf-` of `leaky-buf-000042`.
fn leading_text(bytes: &[u8]) -> Option<String> {
    let is_text = |byte: &&u8| byte.is_ascii_graphic() || **byte == b' ';
    let whole = bytes.iter().take_while(is_text).count();
    let stem = bytes
        .iter()
        .take(whole.min(*TEXT.end()))
        .take_while(|byte| !byte.is_ascii_digit())
        .count();
    let text = bytes.get(..stem)?;
    // What is no text may begin like it by chance: eight bytes of it do not, and names do not look
    // like the low bytes of a number.
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_name = || bytes.get(whole) == Some(&0) && text.iter().all(is_of_name);
    let is_believed = TEXT.contains(&stem) && (whole >= 8 || is_name());
    is_believed.then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_at_digits_and_needs_some_length() {
        let of = |bytes: &[u8]| leading_text(bytes);
        assert_eq!(of(b"leaky-buf-000042\0\0\0"), Some("leaky-buf-".into()));
        assert_eq!(of(b"eth0\0"), None);
        assert_eq!(of(b"veth0\0"), Some("veth".into()));
        assert_eq!(of(b"abcde\x01\x02"), None);
        assert_eq!(of(b"dE/J-\0\0\0"), None, "a number");
        assert_eq!(of(b"12345678"), None);
        assert_eq!(of(b"\0\0"), None);
    }

    #[test]
    fn text_within_is_long_aligned_and_ended() {
        let place = |at: usize, text: &[u8]| {
            let mut bytes = [0u8; 96];
            bytes[at..at + text.len()].copy_from_slice(text);
            inner_text(&bytes)
        };
        let found = Some((32, "incident-request-".to_owned()));
        assert_eq!(place(32, b"incident-request-000042"), found);
        assert_eq!(place(33, b"incident-request-000042"), None);
        assert_eq!(place(32, b"request-1"), None);
        assert_eq!(place(64, &[b'x'; 32]), None, "not ended");
    }
}
