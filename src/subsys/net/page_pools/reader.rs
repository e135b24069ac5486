//! One pool.

use super::layouts::{
    PagePoolLayout, PoolDeviceLayout, PoolNapiLayout, PoolNetdevLayout, PoolRingLayout,
};
use super::{PagePoolFacts, Pool};
use crate::addr::{Pfn, VirtAddr};
use crate::bytes::u64_at;
use crate::kernel::layout::Field;
use crate::kernel::page::MAX_FOLIO_ORDER;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::clock::Clock;

/// Slots of a ring: 32,768 at most (`page_pool_init`; 16,384 since 6.18).
const MAX_RING: u64 = 1 << 16;
/// IFF_LOOPBACK.
const LOOPBACK: u64 = 8;
/// Of `init_name` and interfaces, which are shorter.
const NAME: usize = 64;

pub(super) struct Reader<'k> {
    kernel: &'k Kernel,
    pool: PagePoolLayout,
    ring: PoolRingLayout,
    napi: PoolNapiLayout,
    netdev: PoolNetdevLayout,
    device: Option<PoolDeviceLayout>,
    clock: Option<Clock>,
}

/// An interface that a pool names.
struct Netdev {
    name: Option<String>,
    gone: bool,
}

impl<'k> Reader<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            pool: kernel.layout()?,
            ring: kernel.layout()?,
            napi: kernel.layout()?,
            netdev: kernel.layout()?,
            device: kernel.layout().ok(),
            clock: Clock::read(kernel)?,
            kernel,
        })
    }

    /// The pool at an address, but for its pages; `None` if it is missing, or what is there is no
    /// pool. `pages` are those that say they are its own, where pages say it.
    pub(super) fn pool(&self, at: VirtAddr, pages: Option<&Vec<Pfn>>) -> Option<Pool> {
        let space = self.kernel.space.quiet();
        let layout = &self.pool;
        let record = space.read_bytes(at, layout.struct_size.min(1 << 16)).ok()?;
        let order = layout.order.get(&record);
        let slots = u64::from(layout.cache.size) / 8;
        let cached = layout.cached.get(&record);
        let ring = record.get(layout.ring.offset as usize..)?;
        let (length, queue) = (self.ring.size.get(ring), self.ring.queue.get(ring));
        let of_ring = |field: Option<Field>| field.map_or(0, |field| field.get(ring) as usize);
        let taken = of_ring(self.ring.taken_from)..of_ring(self.ring.taken_to);
        let is_one = order <= u64::from(MAX_FOLIO_ORDER)
            && cached <= slots
            && (1..=MAX_RING).contains(&length)
            && queue >> 63 == 1;
        if !is_one {
            return None;
        }
        let mut kept: Vec<VirtAddr> = (0..cached as usize)
            .filter_map(|slot| u64_at(&record, layout.cache.offset as usize + slot * 8))
            .map(VirtAddr)
            .collect();
        let queued = self
            .kernel
            .space
            .read_bytes(VirtAddr(queue), length as usize * 8);
        let queued = queued.ok().map(|bytes| {
            let slots = (0..length as usize).filter(|slot| !taken.contains(slot));
            let words = slots.filter_map(|slot| u64_at(&bytes, slot * 8));
            words.filter(|word| *word != 0).collect::<Vec<u64>>()
        });
        let ring = queued.as_ref().map(|words| words.len() as u64);
        kept.extend(queued.into_iter().flatten().map(VirtAddr));
        let get = |field: Option<Field>| field.map(|field| field.get(&record));
        let (hold, release) = (get(layout.held), get(layout.released));
        let started = get(layout.destroyed).filter(|at| *at != 0);
        let napi = get(layout.napi).filter(|at| *at != 0).map(VirtAddr);
        let netdev = self.netdev(get(layout.netdev), napi);
        let cpu = get(layout.cpu).map(|cpu| (cpu as u32).cast_signed());
        let found = pages.map(|pages| pages.len() as u64);
        let bytes = (self.kernel.dump().page_size() as u64) << order;
        let facts = PagePoolFacts {
            address: at,
            id: get(layout.id),
            device: netdev.name,
            device_gone: netdev.gone,
            parent: self.parent(VirtAddr(layout.device.get(&record))),
            cpu: cpu.and_then(|cpu| u64::try_from(cpu).ok()),
            napi_id: napi.and_then(|at| self.napi_id(at)),
            order,
            size: layout.size.get(&record),
            hold_count: hold,
            release_count: release,
            in_flight: hold
                .zip(release)
                .map(|(hold, release)| in_flight(hold, release)),
            cached,
            ring,
            found,
            found_bytes: found.map(|found| found.saturating_mul(bytes)),
            destroyed: started.is_some() || get(layout.users) == Some(0),
            destroyed_seconds: started.and_then(|at| self.seconds_since(at)),
        };
        let cache = at.plus(u64::from(layout.cache.offset));
        Some(Pool {
            facts,
            pages: Vec::new(),
            kept,
            stale: cache.plus(cached * 8)..cache.plus(slots * 8),
        })
    }

    /// What it says itself, or its NAPI does. A pool that outlives its interface is given to the
    /// loopback device (`page_pool_unreg_netdev`), for which nobody makes one.
    fn netdev(&self, own: Option<u64>, napi: Option<VirtAddr>) -> Netdev {
        let space = self.kernel.space.quiet();
        let of_napi = || {
            let at = napi?.plus(u64::from(self.napi.device.offset));
            space.read_ptr(at).ok().filter(|at| !at.is_null())
        };
        let own = own.filter(|at| *at != 0).map(VirtAddr);
        let Some(at) = own.or_else(of_napi) else {
            return Netdev {
                name: None,
                gone: false,
            };
        };
        let flags = space.read_u32(at.plus(u64::from(self.netdev.flags.offset)));
        let name = self.text(at.plus(u64::from(self.netdev.name.offset)));
        match (flags, name) {
            (Ok(flags), Some(name)) if u64::from(flags) & LOOPBACK == 0 => Netdev {
                name: Some(name),
                gone: false,
            },
            _ => Netdev {
                name: None,
                gone: true,
            },
        }
    }

    fn parent(&self, device: VirtAddr) -> Option<String> {
        if device.is_null() {
            return None;
        }
        let at = device.plus(u64::from(self.device.as_ref()?.name.offset));
        let name = self.kernel.space.quiet().read_ptr(at).ok()?;
        self.text(name)
    }

    fn napi_id(&self, napi: VirtAddr) -> Option<u64> {
        let at = napi.plus(u64::from(self.napi.id?.offset));
        let id = self.kernel.space.quiet().read_u32(at).ok()?;
        (id != 0).then_some(u64::from(id))
    }

    fn text(&self, at: VirtAddr) -> Option<String> {
        let text = self.kernel.space.quiet().read_c_string(at, NAME).ok()?;
        let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_name.then_some(text)
    }

    #[expect(clippy::cast_precision_loss, reason = "an age to be read by people")]
    fn seconds_since(&self, jiffies: u64) -> Option<f64> {
        let clock = self.clock.as_ref()?;
        let ticks = clock.jiffies.checked_sub(jiffies)?;
        Some((ticks as f64 / clock.hz as f64 * 1000.0).round() / 1000.0)
    }
}

/// Both counters wrap around (`page_pool_inflight`).
fn in_flight(hold: u64, release: u64) -> i64 {
    i64::from((hold as u32).wrapping_sub(release as u32).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_wrapped_around() {
        assert_eq!(in_flight(320, 20), 300);
        assert_eq!(in_flight(5, u64::from(u32::MAX) - 4), 10);
        assert_eq!(in_flight(20, 21), -1);
    }
}
