//! The letter that stands for a task's state (fs/proc/array.c, include/linux/sched.h).

/// TASK_REPORT: the states that have a letter.
const REPORTED: u64 = 0x7f;
/// From the lowest bit on, behind `R`, which has none: since 4.14 (commit 8ef9925b02c2).
const LETTERS: [char; 8] = ['R', 'S', 'D', 'T', 't', 'X', 'Z', 'P'];
/// Before: EXIT_ZOMBIE lay below EXIT_DEAD up to 3.13 (commit ad86622b478e).
const OLD_LETTERS: [char; 7] = ['R', 'S', 'D', 'T', 't', 'Z', 'X'];

/// Then, the states of a task that has not exited.
const OLD_REPORTED: u64 = 0xf;

const UNINTERRUPTIBLE: u64 = 2;
/// TASK_IDLE without TASK_UNINTERRUPTIBLE: such a task is no load.
const NO_LOAD: u64 = 0x400;
/// TASK_RTLOCK_WAIT and TASK_FROZEN (6.1 and later): shown as waiting.
const SHOWN_AS_WAITING: u64 = 0x1000 | 0x8000;

/// How this kernel numbers states.
#[derive(Clone, Copy, Debug)]
pub(super) struct StateReader {
    old: bool,
}

impl StateReader {
    /// `old` before 3.14.
    pub(super) fn new(old: bool) -> Self {
        Self { old }
    }

    /// `None` if it has a bit that no state has.
    pub(super) fn letter(self, state: u64, exit_state: u64) -> Option<char> {
        if !self.old && state & (UNINTERRUPTIBLE | NO_LOAD) == UNINTERRUPTIBLE | NO_LOAD {
            return Some('I');
        }
        let waits = state & SHOWN_AS_WAITING != 0 && !self.old;
        let all = match self.old {
            true => state & OLD_REPORTED | exit_state,
            false => (state | exit_state) & REPORTED,
        };
        let all = if waits { all.max(UNINTERRUPTIBLE) } else { all };
        let index = (u64::BITS - all.leading_zeros()) as usize;
        let letters: &[char] = if self.old { &OLD_LETTERS } else { &LETTERS };
        letters.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::StateReader;

    /// TASK_* and EXIT_* of include/linux/sched.h, 5.10.
    #[test]
    fn letters_are_those_of_ps() {
        let letter = |state, exit| StateReader::new(false).letter(state, exit);
        for (state, exit, shown) in [
            (0, 0, 'R'),
            (1, 0, 'S'),
            (2, 0, 'D'),
            (4, 0, 'T'),
            (8, 0, 't'),
            (0x402, 0, 'I'),
            (0x40, 0, 'P'),
            // A zombie's own state is TASK_DEAD (0x80), which has no letter.
            (0x80, 0x20, 'Z'),
            (0x80, 0x10, 'X'),
            (0x8000, 0, 'D'),
            (0x1000, 0, 'D'),
            // TASK_KILLABLE: with TASK_WAKEKILL.
            (0x102, 0, 'D'),
        ] {
            assert_eq!(letter(state, exit), Some(shown), "{state:#x} {exit:#x}");
        }
        // 3.10: EXIT_ZOMBIE is 16.
        assert_eq!(StateReader::new(true).letter(64, 16), Some('Z'));
        assert_eq!(StateReader::new(true).letter(1, 0), Some('S'));
    }
}
