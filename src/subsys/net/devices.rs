//! What network devices are called.

use std::collections::BTreeMap;

use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, walk};

layout! {
    /// include/linux/netdevice.h
    struct NetDeviceLayout = "net_device" in "net/core/dev.c" {
        need name = "name",
        need ifindex = "ifindex",
        need list = "dev_list",
    }
}

layout! {
    /// include/net/net_namespace.h
    struct NetDevicesLayout = "net" in "net/core/net_namespace.c" {
        need devices = "dev_base_head",
    }
}

/// More devices than any namespace has.
const MAX_DEVICES: u64 = 1 << 20;

/// The names of the devices of the namespace at `net`, by their index: those that can be read.
pub fn names(kernel: &Kernel, net: VirtAddr) -> BTreeMap<u32, String> {
    let layouts = kernel.layout::<NetDeviceLayout>().ok();
    let Some((device, net_layout)) = layouts.zip(kernel.layout::<NetDevicesLayout>().ok()) else {
        return BTreeMap::new();
    };
    let head = net.plus(u64::from(net_layout.devices.offset));
    let list = walk::list(&kernel.space, head, MAX_DEVICES);
    if !list.end.is_complete() {
        kernel.diag.warn(
            "net-devices",
            format!("the list of network devices at {head} {} after {}: those behind it have numbers in place of names", list.end.describe(), list.seen),
        );
    }
    let one = |link: VirtAddr| {
        let at = link.minus(u64::from(device.list.offset));
        let record = kernel.space.read_bytes(at, device.len).ok()?;
        let start = device.name.offset as usize;
        let name = record.get(start..start + device.name.size as usize)?;
        let name = name.split(|byte| *byte == 0).next()?;
        let name = String::from_utf8_lossy(name).into_owned();
        Some((device.ifindex.get(&record) as u32, name))
    };
    list.value.into_iter().filter_map(one).collect()
}
