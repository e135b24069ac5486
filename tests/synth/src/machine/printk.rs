//! The printk ring buffer (`prb`), with a text block that wraps around the end of
//! the data ring and a record without text.

use super::kernel::Kernel;

/// Descriptors, as a shift.
const COUNT_BITS: u32 = 4;
/// Bytes of text, as a shift.
const SIZE_BITS: u32 = 9;
/// `NO_LPOS`: a record whose text is empty.
const NO_LPOS: u64 = 3;
/// Sequence number of the first record that is still there.
const FIRST_SEQ: u64 = 1000;

/// The records' texts, oldest first.
pub const MESSAGES: &[&str] = &[
    "eth0: Link is Up - 1Gbps/Full - flow control off",
    "",
    "nf_conntrack: nf_conntrack: table full, dropping packet",
    "dbg_record: allocation failed, 12 records outstanding",
    "SLUB: Unable to allocate memory on node -1, gfp=0x820(GFP_ATOMIC)",
    "  cache: dbg_record, object size: 40, buffer size: 192, default order: 1, min order: 0",
    "sysrq: Trigger a crash",
    "Kernel panic - not syncing: sysrq triggered crash",
];

/// Lays the log and its records.
pub fn lay(kernel: &mut Kernel) {
    match kernel.era.is_3_10() {
        true => lay_buffer(kernel),
        false => lay_ring(kernel),
    }
}

/// Up to 5.9: records one behind the other, of which the later ones have wrapped around; a record
/// of length 0 says so.
fn lay_buffer(kernel: &mut Kernel) {
    const SIZE: u64 = 1024;
    let (buffer, header) = (kernel.alloc(SIZE, 8), kernel.types.sizeof("log"));
    let first = SIZE - 256;
    let mut at = first;
    for (index, text) in MESSAGES.iter().enumerate() {
        let len = (header + text.len() as u64).next_multiple_of(8);
        if at + len + header > SIZE {
            at = 0;
        }
        let level = if index + 1 == MESSAGES.len() { 0 } else { 6 };
        for (member, value) in [
            ("ts_nsec", 1_000_000_000 + index as u64 * 250_000_000),
            ("len", len),
            ("text_len", text.len() as u64),
            ("level", level),
        ] {
            kernel.set(buffer + at, "log", member, value);
        }
        kernel.write(buffer + at + header, text.as_bytes());
        at += len;
    }
    for (name, value) in [
        ("log_buf", buffer),
        ("log_buf_len", SIZE),
        ("log_first_idx", first),
        ("log_next_idx", at),
        ("log_first_seq", FIRST_SEQ),
        ("log_next_seq", FIRST_SEQ + MESSAGES.len() as u64),
    ] {
        kernel.set_variable(name, value);
    }
}

fn lay_ring(kernel: &mut Kernel) {
    let count = 1u64 << COUNT_BITS;
    let ring = kernel.symbol("printk_rb_static");
    kernel.set_variable("prb", ring);
    let descs = kernel.alloc(count * kernel.types.sizeof("prb_desc"), 8);
    let infos = kernel.alloc(count * kernel.types.sizeof("printk_info"), 8);
    let data = kernel.alloc(1 << SIZE_BITS, 8);
    // A position shortly before the end of the data ring's third round.
    let tail_lpos = (4 << SIZE_BITS) - 208;
    let first_id = 5 * count + 3;
    let mut lpos = tail_lpos;
    for (index, text) in MESSAGES.iter().enumerate() {
        let id = first_id + index as u64;
        let (begin, next) = place_text(kernel, data, id, text, &mut lpos);
        lay_record(
            kernel,
            (descs, infos),
            id,
            index as u64,
            text,
            (begin, next),
        );
    }
    let last_id = first_id + MESSAGES.len() as u64 - 1;
    let last_seq = FIRST_SEQ + MESSAGES.len() as u64 - 1;
    let fields = [
        ("desc_ring.count_bits", u64::from(COUNT_BITS)),
        ("desc_ring.descs", descs),
        ("desc_ring.infos", infos),
        ("desc_ring.head_id", last_id),
        ("desc_ring.tail_id", first_id),
        ("text_data_ring.size_bits", u64::from(SIZE_BITS)),
        ("text_data_ring.data", data),
        ("text_data_ring.head_lpos", lpos),
        ("text_data_ring.tail_lpos", tail_lpos),
    ];
    for (path, value) in fields {
        kernel.set(ring, "printk_ringbuffer", path, value);
    }
    for (path, value) in [
        ("desc_ring.last_finalized_id", last_id),
        ("desc_ring.last_finalized_seq", last_seq),
    ] {
        if kernel.types.has("printk_ringbuffer", path) {
            kernel.set(ring, "printk_ringbuffer", path, value);
        }
    }
}

/// A data block: the descriptor's id, then the text, padded to a word. One that
/// would pass the end of the ring starts over at the ring's beginning.
fn place_text(kernel: &mut Kernel, data: u64, id: u64, text: &str, lpos: &mut u64) -> (u64, u64) {
    if text.is_empty() {
        return (NO_LPOS, NO_LPOS);
    }
    let ring = 1u64 << SIZE_BITS;
    let size = 8 + (text.len() as u64).next_multiple_of(8);
    let begin = *lpos;
    let wraps = (begin + size) / ring != begin / ring;
    let start = if wraps {
        (begin / ring + 1) * ring
    } else {
        begin
    };
    *lpos = start + size;
    let block = data + start % ring;
    kernel.write_u64(block, id);
    kernel.write(block + 8, text.as_bytes());
    (begin, *lpos)
}

fn lay_record(
    kernel: &mut Kernel,
    (descs, infos): (u64, u64),
    id: u64,
    index: u64,
    text: &str,
    (begin, next): (u64, u64),
) {
    let slot = id % (1 << COUNT_BITS);
    let desc = descs + slot * kernel.types.sizeof("prb_desc");
    let state = kernel.types.constant("desc_finalized");
    kernel.set(desc, "prb_desc", "state_var", state << 62 | id);
    kernel.set(desc, "prb_desc", "text_blk_lpos.begin", begin);
    kernel.set(desc, "prb_desc", "text_blk_lpos.next", next);
    let info = infos + slot * kernel.types.sizeof("printk_info");
    let level = if index + 1 == MESSAGES.len() as u64 {
        0
    } else {
        6
    };
    for (member, value) in [
        ("seq", FIRST_SEQ + index),
        ("ts_nsec", 1_000_000_000 + index * 250_000_000),
        ("text_len", text.len() as u64),
        ("level", level),
        ("caller_id", 0x8000_0001),
    ] {
        kernel.set(info, "printk_info", member, value);
    }
}
