//! SADUMP: a partition, the same copied to other media, and a set of disks.

use super::Image;
use super::PAGE_SIZE;
use crate::write::Le;

const BLOCK: usize = PAGE_SIZE as usize;

/// On a partition by itself.
pub fn partition(image: &Image<'_>) -> Vec<u8> {
    let data = data(image);
    let body = body(image);
    let mut out = header(0, (BLOCK + body.len() + data.len()) as u64);
    out.extend(body);
    out.extend(data);
    out
}

/// The same, copied: a block comes before it.
pub fn media(image: &Image<'_>) -> Vec<u8> {
    let mut out = vec![0x11; 48];
    out.resize(BLOCK, 0);
    out.extend(partition(image));
    out
}

/// On so many disks, of which the first has the headers.
pub fn disks(image: &Image<'_>, count: usize) -> Vec<Vec<u8>> {
    let data = data(image);
    let share = (data.len() / BLOCK).div_ceil(count) * BLOCK;
    let parts = data.chunks(share).enumerate().map(|(index, part)| {
        let mut middle = Vec::new();
        if index == 0 {
            // The header of the set: its length in blocks, how many disks.
            middle.u32(1);
            middle.u32(count as u32);
            middle.align(BLOCK);
            middle.extend(body(image));
        }
        let used = (BLOCK + middle.len() + part.len()) as u64;
        let mut out = header(index as u32 + 1, used);
        out.extend(middle);
        out.extend_from_slice(part);
        out
    });
    parts.collect()
}

fn data(image: &Image<'_>) -> Vec<u8> {
    image.pages().flat_map(|(_, page)| page).collect()
}

/// `struct sadump_part_header`, and what fills its block up.
fn header(disk: u32, used: u64) -> Vec<u8> {
    let mut out = b"sadump\0\0".to_vec();
    for word in [1, 0, 0, 0] {
        out.u32(word);
    }
    out.resize(88, 0);
    out.resize(104, 1); // sadump_id
    out.resize(120, 2); // disk_set_id
    out.resize(136, 3 + disk as u8); // vol_id
    out.resize(152, 4); // time_stamp
    out.u32(disk);
    out.u32(0);
    out.u64(used);
    let mut number = 0x1234_5678u32;
    while out.len() < BLOCK {
        out.u32(number);
        number = number.wrapping_add(7).wrapping_mul(11);
    }
    out
}

/// `struct sadump_header`, a block for the CPUs, two bitmaps.
fn body(image: &Image<'_>) -> Vec<u8> {
    let bitmap_blocks = (image.end() as usize).div_ceil(8 * BLOCK);
    let mut out = b"sadump\0\0".to_vec();
    out.u32(1);
    out.resize(40, 0);
    out.u32(BLOCK as u32);
    out.u32(0);
    out.u32(1);
    out.u32(bitmap_blocks as u32);
    out.u32(bitmap_blocks as u32);
    out.u32(0);
    out.resize(88, 0);
    out.u64(image.end());
    out.resize(2 * BLOCK, 0);
    let mut bitmap = vec![0u8; bitmap_blocks * BLOCK];
    for pfn in image.runs.iter().cloned().flatten() {
        bitmap[(pfn / 8) as usize] |= 0x80 >> (pfn % 8);
    }
    // RAM, of which all is dumped.
    out.extend(&bitmap);
    out.extend(&bitmap);
    out
}
