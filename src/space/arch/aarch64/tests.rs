//! The numbers of five dumps, whose page tables gave the same addresses, and of the kernel's
//! documentation.

use super::*;

mod descriptors;

struct Noted {
    page: u32,
    bits: u32,
    size: Option<u32>,
    phys_offset: u64,
    /// `_stext`, as linked.
    stext: u64,
    more: &'static str,
}

impl Noted {
    fn facts(&self) -> BootFacts {
        let Self {
            page,
            bits,
            phys_offset,
            stext,
            more,
            ..
        } = self;
        let size = self
            .size
            .map(|size| format!("NUMBER(TCR_EL1_T1SZ)={size:#x}\n"));
        let size = size.unwrap_or_default();
        let root = stext + 0x12_0000;
        let text = format!(
            "PAGESIZE={page}\nNUMBER(VA_BITS)={bits}\n{size}NUMBER(PHYS_OFFSET)={phys_offset:#x}\n\
             NUMBER(kimage_voffset)=0xffffca37c0600000\nSYMBOL(_stext)={stext:x}\n\
             SYMBOL(swapper_pg_dir)={root:x}\n{more}"
        );
        Aarch64
            .boot_facts(&VmcoreInfo::parse(text.as_bytes()))
            .expect("facts")
    }
}

/// Debian's 6.12 (4 KiB) and 7.3 (16 KiB) on processors without and with LPA2, and 5.10.
const DUMPS: [Noted; 5] = [
    Noted {
        page: 4096,
        bits: 52,
        size: Some(0x10),
        phys_offset: 0xfff0_a1b5_0000_0000,
        stext: 0xffff_8000_8001_0000,
        more: "NUMBER(KERNELPACMASK)=0x0\n",
    },
    Noted {
        page: 4096,
        bits: 52,
        size: Some(0xc),
        phys_offset: 0,
        stext: 0xffff_8000_8001_0000,
        more: "NUMBER(KERNELPACMASK)=0xfff0000000000000\n",
    },
    Noted {
        page: 16384,
        bits: 52,
        size: Some(0x11),
        phys_offset: 0xfff0_8000_0000_0000,
        stext: 0xffff_c000_8001_0000,
        more: "NUMBER(KERNELPACMASK)=0xffff800000000000\n",
    },
    Noted {
        page: 16384,
        bits: 52,
        size: Some(0xc),
        phys_offset: 0,
        stext: 0xffff_c000_8001_0000,
        more: "NUMBER(KERNELPACMASK)=0xfff0000000000000\n",
    },
    Noted {
        page: 4096,
        bits: 48,
        size: Some(0x10),
        phys_offset: 0xffff_ede0_c000_0000,
        stext: 0xffff_8000_1001_0000,
        more: "NUMBER(KERNELPACMASK)=0x0\nNUMBER(SECTION_SIZE_BITS)=30\n",
    },
];

fn direct_at(facts: &BootFacts, phys: u64) -> u64 {
    let map = facts.direct.value;
    map.start.minus(map.phys.0).plus(phys).0
}

#[test]
fn the_linear_map_is_where_five_dumps_have_it() {
    let wanted = [
        (
            0xffff_5e4b_4000_0000,
            0xffff_0000_0000_0000,
            0xffff_8000_0000_0000,
        ),
        (
            0xfff0_0000_4000_0000,
            0xfff0_0000_0000_0000,
            0xffff_8000_0000_0000,
        ),
        (
            0xffff_8000_4000_0000,
            0xffff_8000_0000_0000,
            0xffff_c000_0000_0000,
        ),
        (
            0xfff0_0000_4000_0000,
            0xfff0_0000_0000_0000,
            0xffff_c000_0000_0000,
        ),
        (
            0xffff_121f_8000_0000,
            0xffff_0000_0000_0000,
            0xffff_8000_0000_0000,
        ),
    ];
    for (noted, (of_1g, start, end)) in DUMPS.iter().zip(wanted) {
        let facts = noted.facts();
        let map = facts.direct.value;
        assert_eq!((map.start.0, map.end.0), (start, end));
        assert_eq!(direct_at(&facts, 0x4000_0000), of_1g);
        let to = map
            .translate(VirtAddr(of_1g + 0x123))
            .expect("it is linear");
        assert_eq!(to.phys, PhysAddr(0x4000_0123));
    }
}

#[test]
fn page_tables_have_the_levels_of_five_dumps() {
    // How many bits each level takes, from the root down.
    let wanted: [(&[u32], u32); 5] = [
        (&[9, 9, 9, 9], 48),
        (&[4, 9, 9, 9, 9], 52),
        (&[11, 11, 11], 47),
        (&[5, 11, 11, 11], 52),
        (&[9, 9, 9, 9], 48),
    ];
    for (noted, (levels, bits)) in DUMPS.iter().zip(wanted) {
        let facts = noted.facts();
        let mmu = Aarch64.mmu(&facts);
        let all: Vec<u32> = mmu.levels.iter().map(|level| level.bits).collect();
        assert_eq!((&all[..], mmu.sign_bit), (levels, bits));
        assert_eq!(facts.levels.value as usize, levels.len());
        assert_eq!(
            mmu.levels.last().map(|level| 1 << level.shift),
            Some(noted.page)
        );
        assert_eq!(
            (mmu.levels[0].name, mmu.levels[levels.len() - 1].name),
            ("pgd", "pte")
        );
        assert!(mmu.is_canonical(VirtAddr(noted.stext)));
        assert!(
            !mmu.is_canonical(VirtAddr(0x1234_5000)),
            "the kernel has no lower half"
        );
    }
}

/// Documentation/arch/arm64/memory.rst and `CONFIG_PGTABLE_LEVELS` (arch/arm64/Kconfig).
#[test]
fn every_page_size_has_its_levels() {
    for (page, bits, count, top) in [
        (4096, 39, 3, 9),
        (4096, 48, 4, 9),
        (16384, 36, 2, 11),
        (16384, 47, 3, 11),
        (16384, 48, 4, 1),
        (65536, 42, 2, 13),
        (65536, 48, 3, 6),
        (65536, 52, 3, 10),
    ] {
        let stext = 0u64.wrapping_sub(1 << (bits.min(48) - 1)) + 0x1001_0000;
        let noted = Noted {
            page,
            bits,
            size: Some(64 - bits),
            phys_offset: 0,
            stext,
            more: "",
        };
        let mmu = Aarch64.mmu(&noted.facts());
        assert_eq!(
            (mmu.levels.len(), mmu.levels[0].bits),
            (count, top),
            "{page} {bits}"
        );
    }
    // 64 KiB and 52 bits on a processor that has 48: the table stays (`offset_ttbr1`).
    let stext = 0xffff_8000_1001_0000;
    let noted = Noted {
        page: 65536,
        bits: 52,
        size: Some(16),
        phys_offset: 0,
        stext,
        more: "",
    };
    let mmu = Aarch64.mmu(&noted.facts());
    assert_eq!(
        (mmu.levels.len(), mmu.levels[0].bits, mmu.sign_bit),
        (3, 10, 48)
    );
}

/// Up to 5.3 the linear map was the upper half: `PAGE_OFFSET` 0xffff800000000000 with 48 bits,
/// 0xffffffc000000000 with 39, and vmlinux linked to 0xffff000008080000 and 0xffffff8008080000.
#[test]
fn before_5_4_the_image_lies_below_the_linear_map() {
    for (bits, page_offset, stext, first) in [
        (
            48,
            0xffff_8000_0000_0000,
            0xffff_0000_0808_1000,
            0xffff_0000_0000_0000,
        ),
        (
            39,
            0xffff_ffc0_0000_0000,
            0xffff_ff80_0808_1000,
            0xffff_ff80_0000_0000,
        ),
    ] {
        let noted = Noted {
            page: 4096,
            bits,
            size: None,
            phys_offset: 0x8000_0000,
            stext,
            more: "",
        };
        let facts = noted.facts();
        let map = facts.direct.value;
        assert_eq!((map.start.0, map.phys.0), (page_offset, 0x8000_0000));
        assert_eq!(direct_at(&facts, 0x8000_0000), page_offset);
        assert_eq!(facts.first_symbol.0, first);
        // VMALLOC_END of 4.19: below the array of page structures and a hole of PUD_SIZE.
        let vmalloc = facts.vmalloc.expect("a range").value;
        let array = 1 << (bits - 12 - 1 + 6);
        assert_eq!(vmalloc.start.0, stext & !0x1f_ffff);
        assert_eq!(vmalloc.end.0, page_offset - (1 << 30) - array - 0x1_0000);
    }
}

/// Documentation/arm64/memory.rst of 5.10 and 5.15, with 4 KiB pages and 48 bits.
#[test]
fn vmalloc_ends_where_the_documentation_says() {
    let end = |noted: &Noted| noted.facts().vmalloc.expect("a range").value;
    let of_5_10 = end(&DUMPS[4]);
    assert_eq!(of_5_10.start.0, 0xffff_8000_1000_0000);
    assert_eq!(of_5_10.end.0 - 1, 0xffff_fdff_bffe_ffff);
    let more = "NUMBER(SECTION_SIZE_BITS)=27\n";
    let of_5_15 = end(&Noted { more, ..DUMPS[4] });
    assert_eq!(of_5_15.end.0 - 1, 0xffff_fbff_efff_ffff);
    let more = "NUMBER(VMALLOC_START)=0xffff800080000000\nNUMBER(VMALLOC_END)=0xfffffdffbf800000\n";
    let noted = end(&Noted { more, ..DUMPS[0] });
    assert_eq!(
        (noted.start.0, noted.end.0),
        (0xffff_8000_8000_0000, 0xffff_fdff_bf80_0000)
    );
}

/// Between 5.4 and 5.9 a kernel for 52 bits on a processor with 48 had its offset from the start
/// of the map that there is (`physvirt_offset`), and the note did not tell the bits.
#[test]
fn a_kernel_for_52_bits_before_5_10_is_told_by_its_offset() {
    let stext = 0xffff_8000_1001_0000;
    let more = "SYMBOL(mem_section)=ffff00007fdf8000\n";
    let noted = Noted {
        page: 65536,
        bits: 52,
        size: None,
        phys_offset: 0x4000_0000,
        stext,
        more,
    };
    let facts = noted.facts();
    assert_eq!(facts.address_bits.value, 48);
    assert_eq!(direct_at(&facts, 0x4000_0000), 0xffff_0000_0000_0000);
    let more = "SYMBOL(mem_section)=fff000007fdf8000\n";
    let facts = Noted { more, ..noted }.facts();
    assert_eq!(facts.address_bits.value, 52);
    assert_eq!(direct_at(&facts, 0x4000_0000), 0xfff0_0000_0000_0000);
}

/// The root of the real dump of 6.12, whose walk drgn does too.
#[test]
fn the_image_is_moved_by_kimage_voffset() {
    let more = "KERNELOFFSET=4a3795a90000\n";
    let noted = Noted {
        stext: 0xffff_ca38_15aa_0000,
        more,
        ..DUMPS[0]
    };
    let facts = noted.facts();
    let root = facts
        .image
        .value
        .translate(VirtAddr(0xffff_ca38_1732_2000))
        .expect("in the image");
    assert_eq!(root.phys, PhysAddr(0x5_56d2_2000 - 0x5_0000_0000));
    assert_eq!(
        facts.run_time(0xffff_8000_8001_0000).0,
        0xffff_ca38_15aa_0000
    );
    assert_eq!(facts.linked(0xffff_ca38_15aa_0000), 0xffff_8000_8001_0000);
    assert!(!Aarch64.image_is_whole());
}

/// Signed return addresses, by the masks of three dumps.
#[test]
fn signatures_are_taken_off() {
    for (dump, signed, plain) in [
        (1, 0x6c9f_8000_8012_3456, 0xffff_8000_8012_3456),
        (2, 0xa5de_c000_8012_3456, 0xffff_c000_8012_3456),
        (0, 0xffff_8000_8012_3456, 0xffff_8000_8012_3456),
    ] {
        let facts = DUMPS[dump].facts();
        assert_eq!(facts.return_address(signed), plain, "{dump}");
        // Not of the kernel: bit 55 is clear.
        assert_eq!(
            facts.return_address(0x0012_aaaa_1234_5678),
            0x0012_aaaa_1234_5678
        );
    }
}

#[test]
fn what_every_kernel_writes_is_asked_for() {
    let text = "PAGESIZE=4096\nNUMBER(VA_BITS)=48\nNUMBER(PHYS_OFFSET)=0x40000000\n\
                NUMBER(kimage_voffset)=0xffff7fffd0000000\nSYMBOL(_stext)=ffff800010010000\n\
                SYMBOL(swapper_pg_dir)=ffff800011020000\n";
    let facts = |text: &str| Aarch64.boot_facts(&VmcoreInfo::parse(text.as_bytes()));
    assert!(facts(text).is_ok());
    for line in text.lines() {
        let (key, _) = line.split_once('=').expect("a line");
        let without = text.replace(&format!("{line}\n"), "");
        let error = facts(&without).expect_err(key).to_string();
        assert!(error.contains(key) && error.contains("aarch64"), "{error}");
        let broken = text.replace(line, &format!("{key}=zz"));
        assert!(facts(&broken).is_err(), "{key}");
    }
    for wrong in [
        "NUMBER(VA_BITS)=53",
        "NUMBER(VA_BITS)=12",
        "NUMBER(VA_BITS)=-1",
    ] {
        assert!(
            facts(&text.replace("NUMBER(VA_BITS)=48", wrong)).is_err(),
            "{wrong}"
        );
    }
    assert!(facts(&text.replace("4096", "8191")).is_err());
}

/// `elf_prstatus` has 392 bytes: 112, then x0 to x30, sp, pc, pstate.
#[test]
fn the_stack_pointer_is_behind_31_registers() {
    let mut note = vec![0u8; 392];
    for (index, register) in (0u64..34).enumerate() {
        let at = 112 + index * 8;
        note[at..at + 8].copy_from_slice(&register.to_le_bytes());
    }
    assert_eq!(Aarch64.stack_pointer(&note), Some(VirtAddr(31)));
    assert_eq!(Aarch64.stack_pointer(&note[..300]), None);
}
