//! Values that no guest had: those of the kernels' sources.

use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use super::super::decode::{Answer, ValueReader};
use super::super::tree::Leaf;
use super::{core, net};
use crate::addr::VirtAddr;
use crate::kernel::modules::Modules;
use crate::kernel::synthetic;

fn machine(era: Era, types: &str) -> Machine {
    let mut machine = Machine::build(era, PagingLevels::Four, &Scenario::standard());
    machine.kernel.types.parse(types);
    machine.kernel.vmlinux_types.parse(types);
    machine
}

/// What a handler gives of the data at `data`, with symbols where the test has placed them.
fn answer(
    machine: &Machine,
    symbols: &[(&str, u64)],
    handler: fn(&ValueReader<'_>, &Leaf) -> Answer,
    data: u64,
) -> Answer {
    let kernel = synthetic::kernel_with(machine, symbols);
    let modules = Modules::read(&kernel).expect("a list of modules");
    let leaf = Leaf {
        name: "name".to_owned(),
        table: VirtAddr(0),
        data: VirtAddr(data),
        maxlen: 8,
        mode: 0o644,
        handler: VirtAddr(0),
        extra1: 0,
        extra2: VirtAddr(0),
        net: None,
    };
    handler(&ValueReader::new(&kernel, &modules, Some(250)), &leaf)
}

/// lib/sys_info.c: bit n has the name n of `si_names`, an empty one is not printed, and bits that
/// have none are not looked at. Whoever sets `panic_print` can set those.
#[test]
fn system_information_is_named_bit_by_bit() {
    let names = [
        "tasks",
        "mem",
        "timers",
        "locks",
        "ftrace",
        "",
        "all_bt",
        "blocked_tasks",
    ];
    let mut m = machine(Era::V7_2, "");
    let array = m.kernel.alloc(16 * 8, 32);
    for (bit, name) in names.iter().enumerate() {
        let name = m.kernel.alloc_string(name);
        m.kernel.write_u64(array + bit as u64 * 8, name);
    }
    let data = m.kernel.alloc(8, 8);
    // The next variable follows at once, or behind words of alignment.
    for room in [8, 12] {
        let symbols = [("si_names", array), ("behind", array + room * 8)];
        for (bits, text) in [
            (0, ""),
            (0x01, "tasks"),
            (0x0a, "mem,locks"),
            (0x20, ""),
            (0x61, "tasks,all_bt"),
            (0xff, "tasks,mem,timers,locks,ftrace,all_bt,blocked_tasks"),
            (1 << 63 | 1 << 8 | 0x80, "blocked_tasks"),
        ] {
            m.kernel.write_u64(data, bits);
            let said = answer(&m, &symbols, core::system_information, data);
            assert_eq!(said.as_deref(), Ok(text), "{room} {bits:#x}");
        }
    }
}

/// net/core/sysctl_net_core.c: how many entries a table has is one more than its mask; since 7.1
/// the lowest five bits of the pointer are the logarithm. Up to 6.8 the pointer is a variable of
/// its own.
#[test]
fn flow_entries_of_each_kernel() {
    let with_mask = "struct rps_sock_flow_table 64 {\n 0 unsigned int mask\n}";
    let own_variable = |entries: u32| {
        let mut m = machine(Era::V6_1, with_mask);
        let table = m.kernel.alloc(64, 64);
        m.kernel.write(table, &(entries - 1).to_le_bytes());
        let pointer = m.kernel.alloc(8, 8);
        m.kernel.write_u64(pointer, table);
        let symbols = [("rps_sock_flow_table", pointer)];
        answer(&m, &symbols, net::flow_entries, 0)
    };
    let hot = "struct net_hotdata 64 {\n 16 void * rps_sock_flow_table\n}\n";
    let in_hotdata = |entries: u32| {
        let mut m = machine(Era::V6_12, &format!("{hot}{with_mask}"));
        let table = m.kernel.alloc(64, 64);
        m.kernel.write(table, &(entries - 1).to_le_bytes());
        let hotdata = m.kernel.alloc(64, 64);
        m.kernel.write_u64(hotdata + 16, table);
        let symbols = [("net_hotdata", hotdata)];
        answer(&m, &symbols, net::flow_entries, 0)
    };
    let hot = "struct net_hotdata 64 {\n 16 unsigned long rps_sock_flow_table\n}\n";
    let tagged = |entries: u32| {
        let without = "struct rps_sock_flow_table 4 {\n 0 unsigned int ent\n}";
        let mut m = machine(Era::V7_2, &format!("{hot}{without}"));
        let table = m.kernel.alloc(64, 64);
        let hotdata = m.kernel.alloc(64, 64);
        let tag = u64::from(entries.trailing_zeros());
        m.kernel.write_u64(hotdata + 16, table | tag);
        let symbols = [("net_hotdata", hotdata)];
        answer(&m, &symbols, net::flow_entries, 0)
    };
    // The largest that can be set is 1 << 29.
    for entries in [1, 2, 32_768, 1 << 29] {
        let text = entries.to_string();
        assert_eq!(own_variable(entries).as_deref(), Ok(text.as_str()));
        assert_eq!(in_hotdata(entries).as_deref(), Ok(text.as_str()));
        assert_eq!(tagged(entries).as_deref(), Ok(text.as_str()));
    }
}

#[test]
fn cookies_of_sctp_are_signed_or_not() {
    let mut m = machine(Era::V4_18, "");
    let data = m.kernel.alloc(8, 8);
    assert_eq!(
        answer(&m, &[], net::cookie_mac, data).ok().as_deref(),
        Some("none")
    );
    let name = m.kernel.alloc_string("sha1");
    m.kernel.write_u64(data, name);
    assert_eq!(
        answer(&m, &[], net::cookie_mac, data).ok().as_deref(),
        Some("sha1")
    );
    // As a 7.2 kernel has it: on, with valid_cookie_life behind it, and switched off.
    for (word, text) in [(0xea60_0000_0001, "sha256"), (0xea60_0000_0000, "none")] {
        m.kernel.write_u64(data, word);
        let said = answer(&m, &[], net::cookie_mac, data).ok();
        assert_eq!(said.as_deref(), Some(text));
    }
}
