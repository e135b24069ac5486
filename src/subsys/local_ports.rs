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
