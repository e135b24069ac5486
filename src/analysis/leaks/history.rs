//! What the log said before the crash: earlier samples of the same trouble.

use serde::Serialize;

use crate::subsys::log::LogRecord;

/// Events kept of each kind: the first ones and the last.
const KEPT: usize = 20;

/// Something that the kernel complained about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Seconds since boot.
    pub seconds: f64,
    /// Stable, for programs.
    pub code: &'static str,
    /// The line.
    pub line: String,
    /// Unreclaimable slab at that time, where the line tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreclaimable_slab_bytes: Option<u64>,
}

/// Texts that tell of memory or connections running out.
const SIGNS: &[(&str, &str)] = &[
    ("oom-kill", "invoked oom-killer"),
    ("oom-kill", "Out of memory"),
    ("oom-report", "slab_unreclaimable:"),
    ("allocation-failure", "page allocation failure"),
    ("slab-failure", "Unable to allocate memory on node"),
    ("conntrack-full", "table full, dropping packet"),
    ("kmemleak", "new suspected memory leaks"),
    ("neighbour-full", "neighbor table overflow"),
    ("vmalloc-failure", "vmalloc error"),
];

/// The events of a log, oldest first; the number of those left out in the middle.
pub fn events(records: &[LogRecord], page_size: u64) -> (Vec<Event>, usize) {
    let mut events: Vec<Event> = records
        .iter()
        .flat_map(|record| record.text.lines().map(move |line| (record, line)))
        .filter_map(|(record, line)| {
            let (code, _) = SIGNS.iter().find(|(_, sign)| line.contains(sign))?;
            Some(Event {
                seconds: record.ts_nsec as f64 / 1e9,
                code,
                line: line.trim().to_owned(),
                unreclaimable_slab_bytes: pages_after(line, "slab_unreclaimable:")
                    .map(|pages| pages.saturating_mul(page_size)),
            })
        })
        .collect();
    let dropped = events.len().saturating_sub(2 * KEPT);
    if dropped > 0 {
        events.drain(KEPT..KEPT + dropped);
    }
    (events, dropped)
}

fn pages_after(line: &str, mark: &str) -> Option<u64> {
    let (_, rest) = line.split_once(mark)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seconds: u64, text: &str) -> LogRecord {
        LogRecord {
            place: None,
            seq: seconds,
            ts_nsec: seconds * 1_000_000_000,
            level: 4,
            facility: 0,
            caller: None,
            subsystem: None,
            device: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_kernels_own_complaints_are_samples_in_time() {
        let log = [
            record(5, "eth0: link up"),
            record(
                60,
                "Mem-Info:\n slab_reclaimable:100 slab_unreclaimable:25600",
            ),
            record(
                70,
                "nf_conntrack: nf_conntrack: table full, dropping packet",
            ),
        ];
        let (events, dropped) = events(&log, 4096);
        assert_eq!((events.len(), dropped), (2, 0));
        assert_eq!(events[0].unreclaimable_slab_bytes, Some(100 << 20));
        assert_eq!(
            (events[1].code, events[1].seconds),
            ("conntrack-full", 70.0)
        );
    }

    #[test]
    fn a_flood_keeps_its_ends() {
        let log: Vec<LogRecord> = (0..100)
            .map(|n| record(n, "table full, dropping packet"))
            .collect();
        let (events, dropped) = events(&log, 4096);
        assert_eq!((events.len(), dropped), (40, 60));
        assert_eq!((events[19].seconds, events[20].seconds), (19.0, 80.0));
    }
}
