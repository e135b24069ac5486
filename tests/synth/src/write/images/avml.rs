//! AVML: blocks of at most 16 MiB, each a stream of snappy frames with its length behind it.

use std::io::Write;

use super::PAGE_SIZE;
use super::lime::header;
use super::{Image, ends};
use crate::write::Le;

/// Frames in a block.
const MOST: u64 = (16 << 20) / PAGE_SIZE;

/// The image.
pub fn avml(image: &Image<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for run in &image.runs {
        for start in run.clone().step_by(MOST as usize) {
            let block = start..run.end.min(start + MOST);
            header(&mut out, b"AVML", 2, ends(&block));
            let before = out.len();
            let mut frames = snap::write::FrameEncoder::new(&mut out);
            frames
                .write_all(&image.run(&block))
                .expect("a vector takes everything");
            frames.flush().expect("a vector takes everything");
            drop(frames);
            let len = (out.len() - before) as u64;
            out.u64(len);
        }
    }
    out
}
