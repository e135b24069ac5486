//! Free objects chained through their free pointers.

use super::scenario::Freelist;
use crate::machine::Kernel;

/// What it takes to store a free pointer of one cache.
#[derive(Debug, Clone, Copy)]
pub struct FreePointers {
    /// The encoding.
    pub freelist: Freelist,
    /// `kmem_cache.random`.
    pub random: u64,
    /// `kmem_cache.offset`.
    pub offset: u64,
}

impl FreePointers {
    /// The word to store at `at` so that the next free object is `next`.
    pub fn encode(self, next: u64, at: u64) -> u64 {
        match self.freelist {
            Freelist::Plain => next,
            Freelist::Hardened => next ^ self.random ^ at,
            Freelist::HardenedSwab => next ^ self.random ^ at.swap_bytes(),
        }
    }

    /// Chains objects and returns the head: the first of them, or 0.
    pub fn chain(self, kernel: &mut Kernel, objects: &[u64]) -> u64 {
        for (index, object) in objects.iter().enumerate() {
            let next = objects.get(index + 1).copied().unwrap_or(0);
            let at = object + self.offset;
            let word = self.encode(next, at);
            kernel.write_u64(at, word);
        }
        objects.first().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_differ_where_the_kernels_do() {
        let mut pointers = FreePointers {
            freelist: Freelist::Plain,
            random: 0x1111_0000_0000_0000,
            offset: 0,
        };
        let (next, at) = (0xffff_8880_0000_0100, 0xffff_8880_0000_0120);
        assert_eq!(pointers.encode(next, at), next);
        pointers.freelist = Freelist::Hardened;
        assert_eq!(pointers.encode(next, at), 0x1111_0000_0000_0020);
        pointers.freelist = Freelist::HardenedSwab;
        assert_eq!(pointers.encode(next, at), 0xceef_8880_8088_feff);
    }
}
