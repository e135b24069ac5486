//! Lost objects that hold the time they were made at, beside words that only look like one.

use super::web::Web;
use crate::machine::identity::{CRASHTIME, JIFFIES, TICK_NSEC};

/// INITIAL_JIFFIES of HZ=250.
const FIRST_JIFFY: u64 = 0x1_0000_0000 - 300 * 250;
/// How many are lost.
const LOST: usize = 120;
/// Seconds from one to the next; the last was made shortly before the crash.
const EVERY: u64 = 7;

/// A hundred and more, one after the other: slabs are filled in turn.
pub(super) fn lay(web: &mut Web<'_>) {
    const CACHE: &str = "aged_request";
    let mut objects: Vec<u64> = (0..LOST).map(|_| web.lose_source(CACHE)).collect();
    objects.sort_unstable();
    let uptime_ns = (JIFFIES - FIRST_JIFFY) * TICK_NSEC;
    let crash_ns = CRASHTIME * 1_000_000_000;
    for (number, object) in (0u64..).zip(objects) {
        let age = (LOST as u64 - number) * EVERY * 1_000_000_000 - web.kernel.random.below(1 << 30);
        let hash = web.kernel.random.below(1 << 32);
        let words = [
            // What only looks like a time: numbers that are counted, a count beside a hash, a
            // constant, a length beside a flag, a state.
            FIRST_JIFFY + 5000 + number,
            1 << 32 | number,
            (1 + number % 5) << 32 | hash,
            FIRST_JIFFY + 77,
            1 << 32 | (600 + hash % 900),
            JIFFIES - number % 3,
            // Times.
            JIFFIES - age / TICK_NSEC,
            uptime_ns - age,
            crash_ns - age,
        ];
        for (word, value) in (0u64..).zip(words) {
            web.point(object, word, value);
        }
    }
    let lost = web.truth.caches.get_mut(CACHE).expect("cache");
    lost.times = vec![(48, "jiffies"), (56, "ns_since_boot"), (64, "epoch_ns")];
}
