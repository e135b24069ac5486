//! How old unreachable objects are: by members that are known to be times, or by words that can hardly
//! be anything else.
//!
//! Layer: subsystem. Input: a sample of a cache's unreachable objects. Output: [`AgeField`]s. Invariant:
//! a word of unknown meaning is called a time only if nearly all objects have a different one
//! there, all between boot and crash, and neighbours in memory have similar ones.

mod find;
mod known;
mod units;

use serde::Serialize;

use self::known::Known;
pub(super) use self::units::Times;
use self::units::Unit;
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::subsys::mm::slab::cache::Cache;

/// Objects looked at, evenly spread.
const SAMPLE: usize = 4 << 10;
/// Fewer tell nothing.
const FEWEST: usize = 50;
/// Bytes of an object that are looked at.
const LOOKED_AT: usize = 1024;
/// Fields given of each cache.
const NAMED: usize = 3;
/// Periods between boot and crash.
pub(super) const PERIODS: usize = 10;

/// A field of unreachable objects that says when each was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgeField {
    /// Bytes from the start of the object.
    pub offset: u32,
    /// The member, if it is a known one: `task_struct.start_time`.
    pub member: Option<&'static str>,
    /// `jiffies`, `ns_since_boot`, `epoch_seconds` or `epoch_ns`.
    pub unit: &'static str,
    /// `known-type`, or `heuristic` if only the values say that it is a time.
    pub basis: &'static str,
    /// Objects with a time there.
    pub objects: u64,
    /// Of so many looked at.
    pub of: u64,
    /// Seconds before the crash.
    pub youngest_seconds: f64,
    /// Seconds before the crash.
    pub oldest_seconds: f64,
    /// Objects made in each tenth of the time from boot to crash.
    pub histogram: [u64; PERIODS],
    /// How they are spread.
    pub shape: AgeShape,
}

/// How ages are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgeShape {
    /// As many in each period from the first until the crash: it goes on.
    Steady,
    /// Nearly all in a moment.
    Burst,
    /// Nearly all in the last tenth: they may only be in use.
    Young,
    /// Anything else.
    Mixed,
}

impl AgeShape {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            AgeShape::Steady => "steady",
            AgeShape::Burst => "in a burst",
            AgeShape::Young => "young",
            AgeShape::Mixed => "at several times",
        }
    }
}

/// One object.
struct Sample {
    bytes: Vec<u8>,
}

/// Looks at a sample of `count` objects of a cache, which come in order of address. `known` are
/// members of its structure.
pub(super) fn look(
    kernel: &Kernel,
    times: &Times,
    cache: &Cache,
    objects: impl Iterator<Item = VirtAddr>,
    count: u64,
) -> Vec<AgeField> {
    if count < FEWEST as u64 {
        return Vec::new();
    }
    let known = Known::of(kernel, &cache.name);
    let wanted = known.as_ref().map_or(0, |known| known.offset as usize + 8);
    let len = (cache.object_size as usize).min(LOOKED_AT.max(wanted));
    let step = (count as usize).div_ceil(SAMPLE).max(1);
    let samples = objects.step_by(step).filter_map(|at| {
        let bytes = kernel.space.read_bytes(at, len).ok()?;
        Some(Sample { bytes })
    });
    let samples: Vec<Sample> = samples.collect();
    if samples.len() < FEWEST {
        return Vec::new();
    }
    if let Some(field) = known.and_then(|known| known.field(&samples, times)) {
        return vec![field];
    }
    let offsets = (0..len.saturating_sub(7)).step_by(8);
    let found = offsets.filter_map(|offset| find::time_at(&samples, offset, times));
    found.take(NAMED).collect()
}

/// A field by its values, which are within the range of their unit.
fn field(offset: usize, unit: Unit, values: &[u64], of: usize, times: &Times) -> Option<AgeField> {
    let ages = values.iter().map(|value| times.age(unit, *value));
    let mut ages: Vec<f64> = ages.collect();
    ages.sort_by(f64::total_cmp);
    let histogram = histogram(&ages, times.uptime);
    Some(AgeField {
        offset: offset as u32,
        member: None,
        unit: unit.name(),
        basis: "heuristic",
        objects: values.len() as u64,
        of: of as u64,
        youngest_seconds: rounded(*ages.first()?),
        oldest_seconds: rounded(*ages.last()?),
        shape: shape(&ages, &histogram, times.uptime),
        histogram,
    })
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// From boot to crash.
fn histogram(ages: &[f64], uptime: f64) -> [u64; PERIODS] {
    let mut counts = [0; PERIODS];
    for age in ages {
        let since_boot = (uptime - age).max(0.0) / uptime.max(0.001);
        let period = ((since_boot * PERIODS as f64) as usize).min(PERIODS - 1);
        if let Some(count) = counts.get_mut(period) {
            *count += 1;
        }
    }
    counts
}

/// `ages` are sorted.
fn shape(ages: &[f64], histogram: &[u64; PERIODS], uptime: f64) -> AgeShape {
    let most = ages.len() - ages.len() / 10;
    // The shortest time in which nine tenths were made.
    let windows = ages.windows(most.max(1));
    let spans = windows.filter_map(|window| Some(window.last()? - window.first()?));
    if spans.fold(f64::MAX, f64::min) <= uptime / 50.0 {
        return AgeShape::Burst;
    }
    let young = ages.iter().filter(|age| **age <= uptime / 10.0).count();
    if young >= most {
        return AgeShape::Young;
    }
    let since = histogram.iter().skip_while(|count| **count == 0);
    let since: Vec<u64> = since.copied().collect();
    // The first and the last period may be partly without.
    let inner = since.get(1..since.len().saturating_sub(1));
    let inner = inner.unwrap_or_default();
    let mean = inner.iter().sum::<u64>() as f64 / inner.len().max(1) as f64;
    let even = |count: &u64| (*count as f64) >= mean / 3.0 && (*count as f64) <= mean * 3.0;
    let until_now = ages.first().is_some_and(|age| *age <= uptime / 5.0);
    match inner.len() >= 3 && mean >= 1.0 && until_now && inner.iter().all(even) {
        true => AgeShape::Steady,
        false => AgeShape::Mixed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(ages: impl Iterator<Item = f64>) -> AgeShape {
        let mut ages: Vec<f64> = ages.collect();
        ages.sort_by(f64::total_cmp);
        shape(&ages, &histogram(&ages, 1000.0), 1000.0)
    }

    #[test]
    fn steady_leaks_bursts_and_loads_are_told_apart() {
        let even = |count: u32, from: f64, to: f64| {
            let step = (to - from) / f64::from(count);
            (0..count).map(move |at| from + f64::from(at) * step)
        };
        assert_eq!(shape_of(even(300, 1.0, 900.0)), AgeShape::Steady);
        assert_eq!(shape_of(even(300, 1.0, 450.0)), AgeShape::Steady);
        // It ended long ago.
        assert_eq!(shape_of(even(300, 400.0, 900.0)), AgeShape::Mixed);
        assert_eq!(shape_of(even(300, 400.0, 410.0)), AgeShape::Burst);
        let with_others = even(300, 400.0, 410.0).chain(even(20, 0.0, 900.0));
        assert_eq!(shape_of(with_others), AgeShape::Burst);
        assert_eq!(shape_of(even(300, 0.0, 90.0)), AgeShape::Young);
        let twice = even(150, 100.0, 110.0).chain(even(150, 700.0, 710.0));
        assert_eq!(shape_of(twice), AgeShape::Mixed);
    }
}
