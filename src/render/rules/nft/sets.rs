//! Elements of sets as nft writes them: sorted, with intervals put together.

use super::super::names;
use super::limits::stateful;
use super::terms::prefix_len;
use super::types::{self, Devices, IFNAME, Ty, time, value};
use crate::subsys::net::rules::nft::{Data, Element, Set};

const INTERVAL: u32 = 4;
const CONCAT: u32 = 0x80;

/// Elements in braces, on one line.
pub(super) fn inline(set: &Set, types: &[Ty], devices: &Devices) -> String {
    let all: Vec<String> = elements(set, types, devices);
    match all.is_empty() {
        true => "{ }".to_owned(),
        false => format!("{{ {} }}", all.join(", ")),
    }
}

/// The types of a set's keys or data by their numbers.
pub(super) fn types_of(number: u32, interval: bool) -> Vec<Ty> {
    let all = types::fields(number).into_iter();
    all.map(|number| Ty {
        number,
        // What lies in intervals is compared byte by byte.
        host: types::is_host(number) && !interval,
    })
    .collect()
}

/// The elements, in the order that nft lists them.
pub(super) fn elements(set: &Set, key_types: &[Ty], devices: &Devices) -> Vec<String> {
    let ranges = set.flags & INTERVAL != 0 && set.flags & CONCAT == 0;
    let key_types: Vec<Ty> = match ranges {
        true => key_types
            .iter()
            .map(|ty| Ty { host: false, ..*ty })
            .collect(),
        false => key_types.to_vec(),
    };
    let mut sorted: Vec<&Element> = set.elements.iter().collect();
    let of_ranges = set.elements.iter().any(|element| element.key_end.is_some());
    if !of_ranges {
        let host = key_types.first().is_some_and(|ty| ty.host) && key_types.len() == 1;
        sorted.sort_by_key(|element| {
            let mut key = element.key.clone().map(|key| key.0);
            if let Some(key) = key.as_mut().filter(|_| host) {
                key.reverse();
            }
            // What stands for all others comes last; the end of a range before what begins there.
            (key.is_none(), key, element.flags & 1 == 0)
        });
    }
    let writer = Writer {
        set,
        types: &key_types,
        devices,
    };
    match ranges {
        true => writer.intervals(&sorted),
        false => sorted
            .iter()
            .map(|element| writer.whole(element, writer.key(element)))
            .collect(),
    }
}

struct Writer<'s> {
    set: &'s Set,
    types: &'s [Ty],
    devices: &'s Devices,
}

impl Writer<'_> {
    fn key(&self, element: &Element) -> String {
        match (&element.key, &element.key_end) {
            (None, _) => "*".to_owned(),
            (Some(key), None) => self.joined(&key.0, None),
            (Some(key), Some(end)) => self.joined(&key.0, Some(&end.0)),
        }
    }

    /// Fields one after another, each on words of its own.
    fn joined(&self, key: &[u8], end: Option<&[u8]>) -> String {
        join(self.types, key, end, self.devices)
    }

    /// Beginnings and ends put together.
    fn intervals(&self, sorted: &[&Element]) -> Vec<String> {
        let mut all = Vec::new();
        let ty = self.types.first().copied().unwrap_or(Ty {
            number: types::INTEGER,
            host: false,
        });
        for (index, element) in sorted.iter().enumerate() {
            let Some(start) = element.key.as_ref() else {
                all.push(self.whole(element, "*".to_owned()));
                continue;
            };
            if element.flags & 1 != 0 {
                continue;
            }
            let next = sorted.get(index + 1).filter(|next| next.key.is_some());
            let last = match next.and_then(|next| next.key.as_ref()) {
                Some(next) => before(&next.0),
                None => vec![0xff; start.0.len()],
            };
            let text = match ty.number {
                IFNAME => names_from(&start.0, &last),
                _ => range(ty, &start.0, &last, self.devices),
            };
            all.push(self.whole(element, text));
        }
        all
    }

    /// With all that belongs to an element.
    fn whole(&self, element: &Element, mut text: String) -> String {
        for expr in &element.exprs {
            let expr = stateful(expr).unwrap_or_else(|| super::super::netlink::text(expr));
            text.push_str(&format!(" {expr}"));
        }
        if let Some(timeout) = element.timeout_ms {
            text.push_str(&format!(" timeout {}", time(timeout)));
        }
        if let Some(left) = element.expires_ms {
            text.push_str(&format!(" expires {}", time(left)));
        }
        if let Some(comment) = &element.comment {
            text.push_str(&format!(" comment \"{comment}\""));
        }
        match (&element.data, &element.object) {
            (Some(Data::Verdict(verdict)), _) => {
                text.push_str(&format!(" : {}", names::nft_verdict(verdict)));
            }
            (Some(Data::Value(data)), _) => text.push_str(&format!(" : {}", self.data(&data.0))),
            (None, Some(object)) => text.push_str(&format!(" : \"{object}\"")),
            (None, None) => {}
        }
        text
    }

    fn data(&self, bytes: &[u8]) -> String {
        let types = types_of(self.set.data_type, false);
        if self.set.notes.data_interval {
            let half = bytes.len() / 2;
            let (from, to) = bytes.split_at(half);
            return join(&types, from, Some(to), self.devices);
        }
        join(&types, bytes, None, self.devices)
    }
}

fn join(types: &[Ty], key: &[u8], end: Option<&[u8]>, devices: &Devices) -> String {
    if let [only] = types {
        return match end {
            Some(end) => range(*only, key, end, devices),
            None => value(*only, key, devices),
        };
    }
    let mut parts = Vec::new();
    let mut at = 0;
    for ty in types {
        let len = types::size(ty.number).unwrap_or(4);
        let cut = |bytes: &[u8]| {
            let rest = bytes.get(at..).unwrap_or_default();
            rest.get(..len).unwrap_or(rest).to_vec()
        };
        parts.push(match end {
            Some(end) => range(*ty, &cut(key), &cut(end), devices),
            None => value(*ty, &cut(key), devices),
        });
        at += len.next_multiple_of(4);
    }
    parts.join(" . ")
}

/// The key before another.
fn before(key: &[u8]) -> Vec<u8> {
    let mut bytes = key.to_vec();
    for byte in bytes.iter_mut().rev() {
        let (less, borrow) = byte.overflowing_sub(1);
        *byte = less;
        if !borrow {
            break;
        }
    }
    bytes
}

/// From one value to another: one, a prefix, or both.
fn range(ty: Ty, from: &[u8], to: &[u8], devices: &Devices) -> String {
    let of = |bytes: &[u8]| value(ty, bytes, devices);
    if from == to {
        return of(from);
    }
    let same: Vec<u8> = from.iter().zip(to).map(|(a, b)| !(a ^ b)).collect();
    if let Some(len) = prefix_len(&same).filter(|_| matches!(ty.number, types::IPV4 | types::IPV6))
    {
        let mask = same.iter().zip(from);
        // The first one has no bits behind the prefix.
        if mask.clone().all(|(mask, byte)| byte & !mask == 0) {
            return format!("{}/{len}", of(from));
        }
    }
    format!("{}-{}", of(from), of(to))
}

/// A name, or all that begin with it.
fn names_from(from: &[u8], to: &[u8]) -> String {
    if from == to {
        return value(
            Ty {
                number: IFNAME,
                host: true,
            },
            from,
            &Devices::new(),
        );
    }
    let len = from
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let name = String::from_utf8_lossy(from.get(..len).unwrap_or_default()).into_owned();
    format!("\"{name}*\"")
}
