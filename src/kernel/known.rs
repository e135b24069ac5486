//! What is read by name: the value, or that this kernel has none, or that it is missing.

use super::KernelError;
use crate::space::MemFault;

/// What a variable of the kernel holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what is missing is not what this kernel has none of"]
pub enum Known<T> {
    /// This.
    Value(T),
    /// This kernel has no such variable.
    Absent,
    /// It has one that can't be read.
    Missing(MemFault),
}

impl<T> Known<T> {
    /// Of what was read at the address of a symbol, if there is one.
    pub fn of(read: Option<Result<T, MemFault>>) -> Self {
        match read {
            Some(Ok(value)) => Self::Value(value),
            Some(Err(fault)) => Self::Missing(fault),
            None => Self::Absent,
        }
    }

    /// With another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Value(value) => Known::Value(change(value)),
            Self::Absent => Known::Absent,
            Self::Missing(fault) => Known::Missing(fault),
        }
    }

    /// What another name of it holds, where this kernel has not this one.
    pub fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Absent => other(),
            known => known,
        }
    }

    /// The value; `None` if this kernel has none.
    ///
    /// # Errors
    /// If it can't be read; `what` names it.
    pub fn there(self, what: &'static str) -> Result<Option<T>, KernelError> {
        match self {
            Self::Value(value) => Ok(Some(value)),
            Self::Absent => Ok(None),
            Self::Missing(fault) => Err(KernelError::Memory { what, fault }),
        }
    }

    /// The value. That it is missing has been recorded when it was read, so that the answer is
    /// incomplete all the same: for what is left out, and decides nothing else.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Missing(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::VirtAddr;

    #[test]
    fn an_older_name_does_not_stand_in_for_missing_memory() {
        let fault = MemFault::Unmapped {
            va: VirtAddr(8),
            level: "pte",
        };
        let missing: Known<u64> = Known::of(Some(Err(fault)));
        assert_eq!(missing.or_else(|| Known::Value(1)), missing);
        assert!(missing.there("it").is_err());
        assert_eq!(missing.value(), None);
        let absent = Known::of(None);
        assert_eq!(absent.or_else(|| Known::Value(1)), Known::Value(1));
        assert_eq!(absent.there("it").ok(), Some(None));
        assert_eq!(Known::of(Some(Ok(2))).map(|n| n + 1).value(), Some(3));
    }
}
