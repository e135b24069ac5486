//! What elements of all kinds have besides what they are of: timeout, counters, comment, marks.

use super::sets::{Raw, Reader, TIMEOUT};
use super::{IpSetElement, Part};
use crate::addr::VirtAddr;
use crate::bytes::{u16_at, u32_at, u64_at};

/// IPSET_EXT_*.
const COUNTERS: u8 = 2;
const COMMENT: u8 = 4;
const MARKS: u8 = 8;
/// Places in `ip_set.offset` (`enum ip_set_ext_id`).
const COUNTER_AT: usize = 0;
const TIMEOUT_AT: usize = 1;
const MARKS_AT: usize = 2;
const COMMENT_AT: usize = 3;
/// `struct ip_set_comment_rcu`: an `rcu_head` before the text.
const COMMENT_HEAD: u64 = 16;
/// IPSET_MAX_COMMENT_SIZE and its NUL.
const MAX_COMMENT: usize = 256;

impl Reader<'_> {
    /// With what lies behind it in `bytes`; `None` if it has expired.
    pub(super) fn element(
        &self,
        raw: &Raw,
        bytes: &[u8],
        parts: Vec<Part>,
    ) -> Option<IpSetElement> {
        let at = |index: usize, bit: u8| {
            let offset = raw.offsets.get(index)?;
            (raw.extensions & bit != 0).then_some(*offset as usize)
        };
        let mut element = IpSetElement {
            parts,
            ..IpSetElement::default()
        };
        if let Some(expires) = at(TIMEOUT_AT, TIMEOUT).and_then(|at| u64_at(bytes, at)) {
            element.timeout_seconds = Some(self.seconds_left(expires)?);
        }
        if let Some(at) = at(COUNTER_AT, COUNTERS) {
            // `struct ip_set_counter`: bytes, then packets.
            element.counters = u64_at(bytes, at + 8).zip(u64_at(bytes, at));
        }
        if let Some(at) = at(COMMENT_AT, COMMENT) {
            element.comment = u64_at(bytes, at).and_then(|at| self.comment(VirtAddr(at)));
        }
        if let Some(at) = at(MARKS_AT, MARKS) {
            let mark = u32_at(bytes, at).zip(u32_at(bytes, at + 4));
            let place = u32_at(bytes, at + 8).zip(u16_at(bytes, at + 12));
            element.skb = mark
                .zip(place)
                .map(|((mark, mask), (priority, queue))| (mark, mask, priority, queue));
        }
        Some(element)
    }

    /// 0 of what stays for ever; `None` of what has expired and was not collected.
    fn seconds_left(&self, expires: u64) -> Option<u64> {
        match (expires, self.clock) {
            (0, _) | (_, None) => Some(0),
            (expires, Some(clock)) => {
                let left = expires.wrapping_sub(clock.jiffies).cast_signed();
                // Less than a second is shown as one (ip_set_timeout_get).
                (left > 0).then(|| (left.cast_unsigned() / clock.hz.max(1)).max(1))
            }
        }
    }

    fn comment(&self, at: VirtAddr) -> Option<String> {
        if at.is_null() {
            return None;
        }
        self.kernel
            .space
            .read_c_string(at.plus(COMMENT_HEAD), MAX_COMMENT)
            .ok()
    }
}
