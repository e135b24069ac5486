//! Words that can hardly be anything but times.
//!
//! What looks like one: a counter (its values are dense), two small numbers in one word (the
//! halves tell), a hash beside a small number (neighbours differ as much as any two objects),
//! flags and aligned addresses (the lowest bits of a time in nanoseconds are noise). Tried on all
//! objects of all caches of the tested dumps, what is left are members that are times.

use rustc_hash::FxHashSet;

use super::units::{Times, Unit};
use super::{AgeField, Sample, field};
use crate::bytes::u64_at;

/// Of the objects, in hundredths.
const NEARLY_ALL: usize = 95;
/// Fewer different values may be sizes, states, or a constant.
const DISTINCT: usize = 8;
/// No two objects are made faster, in nanoseconds.
const FASTEST: u64 = 16;
/// Small numbers in the low half.
const SMALL: u64 = 1 << 24;
/// Values this close to each other are a moment, whoever made them: in nanoseconds.
const MOMENT: u64 = 250_000_000;

/// A field at this offset, if it is a time by its values. `samples` are in order of address.
pub(super) fn time_at(samples: &[Sample], offset: usize, times: &Times) -> Option<AgeField> {
    let words = samples.iter();
    let words: Option<Vec<u64>> = words.map(|sample| u64_at(&sample.bytes, offset)).collect();
    let words = words?;
    let (unit, values) = Unit::ALL
        .into_iter()
        .find_map(|unit| Some((unit, nearly_all_within(&words, unit, times)?)))?;
    are_times(unit, &values).then(|| field(offset, unit, &values, words.len(), times))?
}

/// The words that can be times of this unit, if nearly all can.
fn nearly_all_within(words: &[u64], unit: Unit, times: &Times) -> Option<Vec<u64>> {
    let others_allowed = words.len() * (100 - NEARLY_ALL);
    let mut others = 0;
    let mut values = Vec::new();
    for word in words {
        if times.is_within(unit, *word) {
            values.push(*word);
        } else {
            others += 100;
            // With most offsets it is clear after a few.
            if others > others_allowed {
                return None;
            }
        }
    }
    Some(values)
}

/// Whether numbers, all of which can be times, are.
fn are_times(unit: Unit, values: &[u64]) -> bool {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let span = part(&sorted, 0, 100);
    let (Some(first), Some(last)) = (sorted.first().copied(), sorted.last().copied()) else {
        return false;
    };
    sorted.dedup();
    let distinct = sorted.len();
    if distinct < DISTINCT || is_counter(unit, distinct, values.len(), span) {
        return false;
    }
    if is_packed(unit, first, last) {
        return false;
    }
    match unit {
        Unit::Jiffies | Unit::EpochSeconds => are_local(values),
        // What differs by less may be a small number beside a constant.
        Unit::SinceBoot => span > 2 * SMALL && is_noisy(&sorted) && are_local(values),
        Unit::EpochNs => is_noisy(&sorted) && (are_local(values) || is_moment(values)),
    }
}

/// Whether the lowest bits of different numbers are as different as those of random ones.
fn is_noisy(distinct: &[u64]) -> bool {
    const BITS: u32 = 12;
    let lowest = distinct.iter().map(|value| value & ((1 << BITS) - 1));
    let lowest: FxHashSet<u64> = lowest.collect();
    let bins = f64::from(1u32 << BITS);
    let expected = bins * (1.0 - (-(distinct.len() as f64) / bins).exp());
    lowest.len() as f64 >= expected * 0.7
}

/// A number that goes up by one, or a few, from object to object.
fn is_counter(unit: Unit, distinct: usize, count: usize, span: u64) -> bool {
    let dense = |step: u64| span < step.saturating_mul(distinct as u64);
    match unit {
        Unit::SinceBoot | Unit::EpochNs => dense(FASTEST),
        // Coarse clocks give the same value to several objects.
        Unit::Jiffies | Unit::EpochSeconds => distinct * 10 >= count * 9 && dense(4),
    }
}

/// Two numbers of 32 bits, of which the upper is the same in all, and the lower starts low.
fn is_packed(unit: Unit, first: u64, last: u64) -> bool {
    let (high, low) = (last >> 32, |value: u64| value & 0xffff_ffff);
    match unit {
        Unit::Jiffies | Unit::SinceBoot => {
            let same = first >> 32 == high && high > 0;
            let small = unit == Unit::SinceBoot && low(last) < SMALL;
            same && (small || low(first) < low(last) / 16)
        }
        // The one has no upper half, the other one that no small number is.
        Unit::EpochSeconds | Unit::EpochNs => false,
    }
}

/// Objects that lie beside each other were made one after the other: slabs are filled in turn.
fn are_local(values: &[u64]) -> bool {
    let half = values.len() / 2;
    let pairs = |ahead: usize| {
        let pairs = values.iter().zip(values.iter().skip(ahead));
        median(pairs.map(|(one, other)| one.abs_diff(*other)).collect())
    };
    let (near, far) = (pairs(1), pairs(half));
    far > 0 && near.saturating_mul(4) <= far
}

/// Nearly all in a moment, which small numbers are too: only told by a clock whose numbers are
/// large.
fn is_moment(values: &[u64]) -> bool {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    part(&sorted, 5, 95) <= MOMENT
}

/// From one hundredth to another.
fn part(sorted: &[u64], from: usize, to: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    let at = |hundredth: usize| sorted.get(last * hundredth / 100).copied().unwrap_or(0);
    at(to) - at(from)
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u64 = 250;
    const FIRST: u64 = 0x1_0000_0000 - 300 * HZ;
    const COUNT: u64 = 600;

    fn times() -> Times {
        Times {
            first_jiffy: FIRST,
            jiffies: FIRST + 1000 * HZ,
            hz: HZ,
            uptime: 1000.0,
            now: Some(1_700_000_000),
        }
    }

    /// Spread as hashes are.
    fn mixed(at: u64) -> u64 {
        let mut word = at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word ^= word >> 29;
        word.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
    }

    fn found(value: impl Fn(u64) -> u64) -> Option<&'static str> {
        let samples: Vec<Sample> = (0..COUNT)
            .map(|at| Sample {
                bytes: [7u64.to_le_bytes(), value(at).to_le_bytes()].concat(),
            })
            .collect();
        assert_eq!(time_at(&samples, 0, &times()), None);
        time_at(&samples, 8, &times()).map(|field| field.unit)
    }

    #[test]
    fn times_of_every_clock_are_found() {
        // One a second, in slabs of 16 that are filled in any order.
        let made = |at: u64| at / 16 * 16 + at * 7 % 16;
        assert_eq!(found(|at| FIRST + (100 + made(at)) * HZ), Some("jiffies"));
        let ns = |at: u64| made(at) * 1_000_000_000 + mixed(at) % 500_000_000;
        assert_eq!(found(|at| 5_000_000_000 + ns(at)), Some("ns_since_boot"));
        assert_eq!(
            found(|at| 1_699_999_100 + made(at)),
            // A second each, and no gap: a number that is counted looks the same.
            None
        );
        assert_eq!(
            found(|at| 1_699_999_100 + made(at) / 3),
            Some("epoch_seconds")
        );
        let epoch = 1_699_999_100_000_000_000;
        assert_eq!(found(|at| epoch + ns(at)), Some("epoch_ns"));
        // A few are not set.
        let some = |at| if at % 25 == 0 { 0 } else { epoch + ns(at) };
        assert_eq!(found(some), Some("epoch_ns"));
    }

    #[test]
    fn a_burst_is_found_where_the_clock_is_fine() {
        let burst = |at: u64| 1_699_999_500_000_000_000 + mixed(at) % 90_000_000;
        assert_eq!(found(burst), Some("epoch_ns"));
        // What small numbers can be too.
        assert_eq!(found(|at| 77_000_000_000 + mixed(at) % 90_000_000), None);
        // Filled slab by slab.
        let filled = |at: u64| 77_000_000_000 + at * 150_000 + mixed(at) % 90_000;
        assert_eq!(found(filled), Some("ns_since_boot"));
    }

    #[test]
    fn what_only_looks_like_a_time_is_none() {
        // A constant, and a state.
        assert_eq!(found(|_| FIRST + 77), None);
        assert_eq!(found(|at| FIRST + at % 3), None);
        // Numbers that are counted, also with gaps, and with a reference count above them.
        assert_eq!(found(|at| FIRST + at), None);
        assert_eq!(found(|at| 9_000_000_000 + at), None);
        assert_eq!(found(|at| 1 << 32 | at), None);
        assert_eq!(found(|at| 1 << 32 | (at * 10)), None);
        assert_eq!(found(|at| 3 << 32 | (at * 64)), None);
        let around = |at: u64| (2 << 32) + at * 300 - 9000 + mixed(at) % 100;
        assert_eq!(found(around), None);
        // Lengths, and hashes, beside a small number.
        assert_eq!(found(|at| 1 << 32 | (1000 + mixed(at) % 500)), None);
        assert_eq!(found(|at| 5 << 32 | (mixed(at) & 0xffff_ffff)), None);
        let two = |at: u64| (1 + mixed(at ^ 99) % 9) << 32 | (mixed(at) & 0xffff_ffff);
        assert_eq!(found(two), None);
        // Flags with a count above them, and addresses of pages that go up.
        let flags = |at: u64| (2 + at / 60) << 32 | 0x0008_0000 | (mixed(at) % 3) << 4;
        assert_eq!(found(flags), None);
        assert_eq!(found(|at| 0x7f00_0000 + at / 9 * 0x9_1000), None);
        // When files were written, long before.
        assert_eq!(
            found(|at| 1_100_000_000 + at / 8 * 100_000 + mixed(at) % 9000),
            None
        );
        // Addresses.
        assert_eq!(found(|at| 0xffff_8880_0000_0000 + at * 64), None);
        // Half of them are something else.
        let half = |at: u64| FIRST + at * 100 * (at % 2);
        assert_eq!(found(half), None);
    }
}
