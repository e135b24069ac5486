//! Addresses of devices (net/ipv4/devinet.c, net/ipv6/addrconf.c).

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::bytes::slice;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// include/linux/inetdevice.h
    struct DeviceAddressesLayout = "in_device" in "net/ipv4/devinet.c" {
        need first = "ifa_list",
    }
}

layout! {
    /// include/linux/inetdevice.h
    struct AddressLayout = "in_ifaddr" in "net/ipv4/devinet.c" {
        need next = "ifa_next",
        need local = "ifa_local",
        need prefix = "ifa_prefixlen",
    }
}

layout! {
    /// include/net/if_inet6.h
    struct Device6AddressesLayout = "inet6_dev" in "net/ipv6/addrconf.c" {
        need list = "addr_list",
    }
}

layout! {
    /// include/net/if_inet6.h
    struct Address6Layout = "inet6_ifaddr" in "net/ipv6/addrconf.c" {
        need link = "if_list",
        need address = "addr",
        need prefix = "prefix_len",
    }
}

/// More addresses than any device has.
const MAX_ADDRESSES: u64 = 1 << 16;

/// An address of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddressFacts {
    /// It, and how many of its bits are the network's.
    pub address: String,
}

pub(super) struct AddressReader<'k> {
    kernel: &'k Kernel,
    device: DeviceAddressesLayout,
    address: AddressLayout,
    /// Of a kernel that has IPv6.
    six: Option<(Device6AddressesLayout, Address6Layout)>,
}

impl<'k> AddressReader<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            device: kernel.layout()?,
            address: kernel.layout()?,
            six: kernel.layout().ok().zip(kernel.layout().ok()),
            kernel,
        })
    }

    /// Those of both families; `None` if one can't be read.
    pub(super) fn of(&self, four: VirtAddr, six: Option<VirtAddr>) -> Option<Vec<AddressFacts>> {
        let mut found = Vec::new();
        if !four.is_null() {
            self.four(four, &mut found)?;
        }
        if let (Some(at), Some((device, address))) = (six.filter(|at| !at.is_null()), &self.six) {
            let head = at.plus(u64::from(device.list.offset));
            let list = walk::list(&self.kernel.space, head, MAX_ADDRESSES);
            for link in &list.value {
                let at = link.minus(u64::from(address.link.offset));
                let record = self.kernel.space.read_bytes(at, address.len).ok()?;
                let bytes = slice(&record, address.address.offset as usize, 16)?;
                let octets: [u8; 16] = bytes.try_into().ok()?;
                let prefix = address.prefix.get(&record);
                found.push(AddressFacts {
                    address: format!("{}/{prefix}", Ipv6Addr::from(octets)),
                });
            }
            list.end.is_complete().then_some(())?;
        }
        Some(found)
    }

    fn four(&self, device: VirtAddr, found: &mut Vec<AddressFacts>) -> Option<()> {
        let space = &self.kernel.space;
        let first = space.read_ptr(device.plus(u64::from(self.device.first.offset)));
        let next = u64::from(self.address.next.offset);
        let list = walk::chain(space, first.ok()?, next, MAX_ADDRESSES);
        for at in &list.value {
            let record = space.read_bytes(*at, self.address.len).ok()?;
            let local = self.address.local.get(&record) as u32;
            let prefix = self.address.prefix.get(&record);
            found.push(AddressFacts {
                address: format!("{}/{prefix}", Ipv4Addr::from(local.to_le_bytes())),
            });
        }
        list.end.is_complete().then_some(())
    }
}
