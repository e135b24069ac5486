//! Texts that end with a NUL.

use super::{AddressSpace, MemFault};
use crate::addr::VirtAddr;

impl AddressSpace {
    /// The NUL-terminated string at `va`, at most `max` bytes of it.
    ///
    /// # Errors
    /// As [`read`](Self::read), if the fault comes before the NUL.
    pub fn read_c_string(&self, va: VirtAddr, max: usize) -> Result<String, MemFault> {
        let mut text = Vec::new();
        while text.len() < max {
            let at = va.plus(text.len() as u64);
            let (page, within) = match self.page_for(at, max - text.len()) {
                Ok(found) => found,
                Err(fault) => {
                    // Of a page that is there in part, byte by byte as far as it goes.
                    let mut byte = [0];
                    self.read_part(at, &mut byte, fault)?;
                    match byte {
                        [0] => break,
                        [other] => text.push(other),
                    }
                    continue;
                }
            };
            let rest = page.get(within..).unwrap_or_default();
            let rest = rest.get(..rest.len().min(max - text.len())).unwrap_or(rest);
            match memchr::memchr(0, rest) {
                Some(end) => {
                    text.extend_from_slice(rest.get(..end).unwrap_or_default());
                    break;
                }
                None => text.extend_from_slice(rest),
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
