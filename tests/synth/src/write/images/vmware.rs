//! VMware: groups of tags. The memory lies in the snapshot, or in a file of its own.

use super::Image;
use super::PAGE_SIZE;
use crate::write::Le;

const GROUPS: [&str; 2] = ["cpu", "memory"];
const HEADER: usize = 12;
const GROUP: usize = 80;

/// The snapshot, and the memory beside it: region after region, without gaps.
pub fn vmss_and_vmem(image: &Image<'_>) -> (Vec<u8>, Vec<u8>) {
    let vmem = image.runs.iter().flat_map(|run| image.run(run)).collect();
    let mut out = groups();
    regions(image, &mut out);
    out.u16(0);
    (out, vmem)
}

/// The snapshot with the memory in it.
pub fn vmss(image: &Image<'_>) -> Vec<u8> {
    let mut out = groups();
    regions(image, &mut out);
    let memory: Vec<u8> = image.runs.iter().flat_map(|run| image.run(run)).collect();
    tag(&mut out, "Memory", &[0, 0], 63);
    out.u64(memory.len() as u64);
    out.u64(memory.len() as u64);
    // What comes before is padded, so that pages are aligned.
    let padding = PAGE_SIZE as usize - (out.len() + 2) % PAGE_SIZE as usize;
    out.u16(padding as u16);
    out.resize(out.len() + padding, 0);
    out.extend(memory);
    out.u16(0);
    out
}

fn groups() -> Vec<u8> {
    let mut out = b"\xd2\xbe\xd2\xbe".to_vec();
    out.u32(8);
    out.u32(GROUPS.len() as u32);
    let tables = HEADER + GROUPS.len() * GROUP;
    for (index, name) in GROUPS.iter().enumerate() {
        out.padded(name.as_bytes(), 64);
        // The first group is empty: two bytes of zeros.
        out.u64((tables + index * 2) as u64);
        out.u64(2);
    }
    out.u16(0);
    out
}

fn regions(image: &Image<'_>, out: &mut Vec<u8>) {
    number(out, "regionsCount", &[], image.runs.len() as u64);
    let mut page = 0;
    for (index, run) in image.runs.iter().enumerate() {
        let index = [index as u32];
        number(out, "regionPageNum", &index, page);
        number(out, "regionPPN", &index, run.start);
        number(out, "regionSize", &index, run.end - run.start);
        page += run.end - run.start;
    }
}

fn number(out: &mut Vec<u8>, name: &str, indices: &[u32], value: u64) {
    tag(out, name, indices, 4);
    out.u32(value as u32);
}

fn tag(out: &mut Vec<u8>, name: &str, indices: &[u32], size: u16) {
    out.u16((name.len() as u16) << 8 | (indices.len() as u16) << 6 | size);
    out.extend_from_slice(name.as_bytes());
    indices.iter().for_each(|index| out.u32(*index));
}
