//! What tells one kernel from another: release, version, banner, clock, build-id.

use super::kernel::Kernel;

/// `uname -n`.
pub const NODENAME: &str = "synth";
/// `uname -v`.
pub const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC synthetic (2026-01-02)";
/// `jiffies` at the crash.
pub const JIFFIES: u64 = 4_295_123_456;
/// Nanoseconds of a tick: HZ=250.
pub const TICK_NSEC: u64 = 4_000_000;
/// Seconds since 1970 of the panic.
pub const CRASHTIME: u64 = 1_767_312_000;
/// The kernel's command line.
pub const COMMAND_LINE: &str = "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro crashkernel=256M";

/// The build-id of an era's vmlinux: 20 bytes.
pub fn build_id(kernel: &Kernel) -> [u8; 20] {
    let mut id = [0; 20];
    for (index, byte) in id.iter_mut().enumerate() {
        *byte = (index as u8 + 1).wrapping_mul(0x2b) ^ (kernel.era as u8);
    }
    id
}

/// Lays the variables that identify the kernel.
pub fn lay(kernel: &mut Kernel) {
    let release = kernel.era.release();
    let uts = kernel.symbol("init_uts_ns") + kernel.types.offset("uts_namespace", "name");
    for (member, text) in [
        ("sysname", "Linux"),
        ("nodename", NODENAME),
        ("release", release),
        ("version", VERSION),
        ("machine", kernel.paging.machine()),
        ("domainname", "(none)"),
    ] {
        let at = uts + kernel.types.offset("new_utsname", member);
        kernel.write(at, text.as_bytes());
    }
    let banner = format!("Linux version {release} (builder@synth) (gcc 12.2.0) {VERSION}\n");
    kernel.write(kernel.symbol("linux_banner"), banner.as_bytes());
    let (pages, end) = (kernel.ram.pages(), kernel.ram.end());
    let space = kernel.space.clone();
    for (name, value) in [
        ("page_offset_base", space.page_offset),
        ("vmalloc_base", space.vmalloc),
        ("vmemmap_base", space.vmemmap),
        ("phys_base", space.phys_base as u64),
        ("jiffies_64", JIFFIES),
        ("_totalram_pages", pages - 5000),
        ("max_pfn", end),
        ("high_memory", space.direct(end << kernel.page_shift())),
    ] {
        if kernel.image.has(name) {
            kernel.set_variable(name, value);
        }
    }
    if kernel.image.has("tick_nsec") {
        kernel.set_variable("tick_nsec", TICK_NSEC);
    }
    kernel.set_variable("crashing_cpu", 1);
    let line = kernel.alloc_string(COMMAND_LINE);
    kernel.set_variable("saved_command_line", line);
}
