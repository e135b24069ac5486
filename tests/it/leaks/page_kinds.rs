//! What pages of real dumps are taken for, by symbols of their vmlinux.

use vmleak::addr::{Pfn, VirtAddr};
use vmleak::kernel::Kernel;
use vmleak::kernel::memmap::Memmap;
use vmleak::kernel::page_kinds::{PageKind, PageKinds};

use crate::modules::open;
use crate::support::real_dumps;

/// Code and tables of numbers hold no pointers. What stands beside them may: read-only pointers,
/// what became read-only after boot, variables.
#[test]
fn tables_of_numbers_in_the_image_are_told_from_data() {
    // The first page of a table may hold the end of what is before it.
    const PAGES: [(PageKind, u64, [&str; 4]); 2] = [
        (
            PageKind::Code,
            1,
            [
                "_stext",
                "__start_orc_unwind_ip",
                "__start_orc_unwind",
                "kallsyms_names",
            ],
        ),
        (
            PageKind::Reserved,
            0,
            ["__start_rodata", "linux_banner", "init_task", "init_net"],
        ),
    ];
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let (kernel, _) = open(&dump);
        let memmap = Memmap::find(&kernel).expect("a memmap");
        let kinds = PageKinds::new(&kernel, &memmap).expect("kinds");
        memmap.scan(
            &kernel,
            |_| (),
            |chunk| kinds.classify(chunk, |_, _, _, _| ()),
        );
        kinds.tell_code(&kernel);
        for (wanted, behind, names) in PAGES {
            // The tables for unwinding are x86_64's alone.
            let of_machine = |name: &str| !dump.name.ends_with("-arm64") || !name.contains("orc");
            for name in names.into_iter().filter(|name| of_machine(name)) {
                let found = kind(&kernel, &kinds, name, behind);
                assert_eq!(found, wanted, "{}: {name}", dump.name);
            }
        }
    }
}

/// Of the page so many behind that which holds a symbol.
fn kind(kernel: &Kernel, kinds: &PageKinds, name: &str, pages: u64) -> PageKind {
    let at: VirtAddr = kernel
        .symbol(name)
        .unwrap_or_else(|| panic!("no symbol {name}"));
    let mapping = kernel
        .space
        .translate(at.plus(pages << 12))
        .expect("it is mapped");
    kinds.get(Pfn::containing(mapping.phys, 12))
}
