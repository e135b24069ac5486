//! LiME: a header of 32 bytes before each range.

use super::{Image, ends};
use crate::write::Le;

/// The image.
pub fn lime(image: &Image<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for run in &image.runs {
        header(&mut out, b"EMiL", 1, ends(run));
        out.extend(image.run(run));
    }
    out
}

/// What AVML's blocks begin with as well.
pub(super) fn header(out: &mut Vec<u8>, magic: &[u8], version: u32, (start, last): (u64, u64)) {
    out.extend_from_slice(magic);
    out.u32(version);
    out.u64(start);
    out.u64(last);
    out.u64(0);
}
