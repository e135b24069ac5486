//! QEMU's stream: configuration, the section "ram" in three parts, a device, the end.

use super::Image;
use super::PAGE_SIZE;

const ZERO: u64 = 0x02;
const MEM_SIZE: u64 = 0x04;
const PAGE: u64 = 0x08;
const EOS: u64 = 0x10;
const CONTINUE: u64 = 0x20;
const RAM_SECTION: u32 = 2;
/// Where a PC's memory goes on.
const ABOVE: u64 = 4 << 30;
const BELOW: u64 = 2 << 30;

/// The stream of a `q35`, with the pages that the image has.
/// With `again` some pages are saved twice, first wrong, as those are that change meanwhile.
pub fn savevm(image: &Image<'_>, again: bool) -> Vec<u8> {
    let end = image.end() * PAGE_SIZE;
    // More than 2.75 GiB do not fit below the devices.
    let size = if end > ABOVE {
        end - ABOVE + BELOW
    } else {
        end
    };
    let size = size.max(0xb000_0000 * u64::from(end > ABOVE));
    let mut out = b"QEVM\0\0\0\x03".to_vec();
    out.push(7);
    be32(&mut out, 12);
    out.extend(b"pc-q35-7.2\0\0");
    section(&mut out, 1, "ram", 4);
    let blocks = [("pc.ram", size), ("vga.vram", 16 << 20)];
    be64(
        &mut out,
        blocks.iter().map(|(_, size)| size).sum::<u64>() | MEM_SIZE,
    );
    for (name, size) in blocks {
        text(&mut out, name);
        be64(&mut out, size);
    }
    be64(&mut out, EOS);
    footer(&mut out);
    let parts = if again {
        [Some(false), Some(true)]
    } else {
        [None, Some(true)]
    };
    for right in parts.into_iter().flatten() {
        out.push(if right { 3 } else { 2 });
        be32(&mut out, RAM_SECTION);
        // A page of another block, which is none of the guest's memory.
        be64(&mut out, 0x3000 | PAGE);
        text(&mut out, "vga.vram");
        out.extend([0x5a; PAGE_SIZE as usize]);
        let mut first = true;
        for (pfn, page) in image.pages() {
            if !right && pfn % 3 != 0 {
                continue;
            }
            let address = pfn * PAGE_SIZE;
            let place = if address >= ABOVE {
                address - ABOVE + BELOW
            } else {
                address
            };
            let more = if first { 0 } else { CONTINUE };
            let all = page.iter().all(|byte| *byte == page[0]);
            be64(&mut out, place | more | if all { ZERO } else { PAGE });
            if first {
                text(&mut out, "pc.ram");
            }
            first = false;
            match (all, right) {
                (true, _) => out.push(page[0] ^ u8::from(!right)),
                (false, true) => out.extend(page),
                (false, false) => out.extend(page.iter().map(|byte| !byte)),
            }
        }
        be64(&mut out, EOS);
        footer(&mut out);
    }
    section(&mut out, 4, "timer", 2);
    out.extend([0; 24]);
    footer(&mut out);
    out.push(0);
    out
}

/// The same as `virsh save` writes it; `compressed` is libvirt's number of the format.
pub fn virsh_save(stream: &[u8], compressed: u32) -> Vec<u8> {
    let xml = b"<domain type='kvm'/>\0";
    let mut out = b"LibvirtQemudSave".to_vec();
    for number in [2, xml.len() as u32, 1, compressed, 0] {
        out.extend(number.to_le_bytes());
    }
    out.resize(92, 0);
    out.extend(xml);
    out.extend(stream);
    out
}

fn be32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_be_bytes());
}

fn be64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes());
}

fn text(out: &mut Vec<u8>, name: &str) {
    out.push(name.len() as u8);
    out.extend(name.as_bytes());
}

fn section(out: &mut Vec<u8>, kind: u8, name: &str, version: u32) {
    out.push(kind);
    be32(out, RAM_SECTION);
    text(out, name);
    be32(out, 0);
    be32(out, version);
}

fn footer(out: &mut Vec<u8>) {
    out.push(0x7e);
    be32(out, RAM_SECTION);
}
