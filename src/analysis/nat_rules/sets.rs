//! What a set holds of a key.

use super::nft::Registers;
use crate::subsys::net::rules::Hex;
use crate::subsys::net::rules::nft::expr::Reg;
use crate::subsys::net::rules::nft::{Data, Element, Set, Verdict};

/// The element that holds what lies from a register on; `None` if that is not known.
pub(super) fn look_up(set: &Set, sreg: Reg, registers: &Registers) -> Option<Option<Data>> {
    if !set.complete {
        return None;
    }
    let mut key: Vec<u8> = Vec::new();
    let mut at = sreg.0;
    while key.len() < set.key_len as usize {
        let part = registers.get(&at)?.as_ref()?;
        key.extend(part);
        key.resize(key.len().next_multiple_of(4), 0);
        at = at.checked_add(part.len().div_ceil(4).max(1) as u8)?;
    }
    key.truncate(set.key_len as usize);
    let nothing = Data::Verdict(Verdict::Continue);
    let data = |found: Option<&Element>| {
        found.map(|element| element.data.clone().unwrap_or(nothing.clone()))
    };
    let of_key = |key: &Option<Hex>| key.as_ref().map(|key| key.0.clone());
    let catchall = set.elements.iter().find(|element| element.key.is_none());
    let found = if set.flags & 4 == 0 {
        set.elements
            .iter()
            .find(|element| of_key(&element.key).as_ref() == Some(&key))
    } else if set.flags & 0x80 != 0 {
        set.elements.iter().find(|element| within(element, &key))
    } else {
        // The last beginning or end that is not behind it.
        let before = set
            .elements
            .iter()
            .filter(|element| of_key(&element.key).is_some_and(|at| at <= key));
        let last = before.max_by_key(|element| (of_key(&element.key), element.flags & 1 == 0));
        last.filter(|element| element.flags & 1 == 0)
    };
    Some(data(found.or(catchall)))
}

/// Of concatenations of ranges: every field within its own.
fn within(element: &Element, key: &[u8]) -> bool {
    let (Some(from), Some(to)) = (&element.key, &element.key_end) else {
        return false;
    };
    let words = key.chunks(4).zip(from.0.chunks(4)).zip(to.0.chunks(4));
    words
        .into_iter()
        .all(|((key, from), to)| from <= key && key <= to)
}
