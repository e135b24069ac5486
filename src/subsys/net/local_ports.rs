//! `net.ipv4.ip_local_port_range` of the initial namespace: the ports that the machine's
//! own connections are given.

use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/net/netns/ipv4.h
    struct NetPortsLayout = "net" in "net/core/net_namespace.c" {
        /// Two ints up to 6.7; since then one word, the high end in its upper half (commit
        /// d9f28735af87).
        maybe range = "ipv4.ip_local_ports.range",
    }
}

/// Lowest and highest port; `None` if the kernel keeps them elsewhere.
///
/// # Errors
/// If the kernel's types don't describe a namespace.
pub fn range(kernel: &Kernel) -> Result<Option<(u16, u16)>, KernelError> {
    let layout: NetPortsLayout = kernel.layout()?;
    let (Some(field), Some(net)) = (layout.range, kernel.symbol("init_net")) else {
        return Ok(None);
    };
    let at = net.plus(u64::from(field.offset));
    let words = if field.size == 8 {
        let read = |offset| kernel.space.read_u32(at.plus(offset)).ok();
        read(0).zip(read(4))
    } else {
        let both = kernel.space.read_u32(at).ok();
        both.map(|both| (both & 0xffff, both >> 16))
    };
    Ok(words.and_then(|(low, high)| Some((u16::try_from(low).ok()?, u16::try_from(high).ok()?))))
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::*;
    use crate::kernel::synthetic;

    /// A `struct net` whose `range` is of that type.
    fn machine(era: Era, range: &str) -> Machine {
        let types = format!(
            "struct ip_local_ports 16 {{\n 4 {range} range\n}}
            struct netns_ipv4 32 {{\n 8 struct ip_local_ports ip_local_ports\n}}
            struct net 64 {{\n 16 struct netns_ipv4 ipv4\n}}"
        );
        let mut machine = Machine::build(era, PagingLevels::Four, &Scenario::standard());
        machine.kernel.types.parse(&types);
        machine.kernel.vmlinux_types.parse(&types);
        machine
    }

    #[test]
    fn two_ints_or_one_word() {
        for (era, form, words) in [
            (Era::V6_1, "int [2]", [1024, 65_000]),
            (Era::V6_12, "unsigned int", [65_000 << 16 | 1024, u32::MAX]),
        ] {
            let mut m = machine(era, form);
            let net = m.kernel.alloc(64, 64);
            for (at, word) in [28, 32].into_iter().zip(words) {
                m.kernel.write(net + at, &u32::to_le_bytes(word));
            }
            let kernel = synthetic::kernel_with(&m, &[("init_net", net)]);
            assert_eq!(range(&kernel).expect("types"), Some((1024, 65_000)));
            let without = synthetic::kernel(&m);
            assert_eq!(range(&without).expect("types"), None);
        }
        // No port is that high: the memory is another's.
        let mut m = machine(Era::V6_1, "int [2]");
        let net = m.kernel.alloc(64, 64);
        m.kernel.write(net + 30, &[1]);
        let kernel = synthetic::kernel_with(&m, &[("init_net", net)]);
        assert_eq!(range(&kernel).expect("types"), None);
    }
}
