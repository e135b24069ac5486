//! ELF notes: one PRSTATUS per CPU, then VMCOREINFO.

use super::Le;
use crate::era::PagingLevels;
use crate::machine::Machine;
use crate::machine::cpus::ONLINE_CPUS;

const NT_PRSTATUS: u32 = 1;
/// Bytes of `struct elf_prstatus` on x86-64.
const PRSTATUS_SIZE: usize = 336;
/// Of `pr_pid` and `pr_reg` in it.
const PR_PID: usize = 32;
const PR_REG: usize = 112;
/// Words of `pr_reg`: rip, cs, eflags, rsp by number.
const REGISTERS: usize = 27;
const RIP: usize = 16;
const RSP: usize = 19;
/// The same of aarch64: 392 bytes, and 34 registers with sp and pc behind 31.
const ARM64_PRSTATUS_SIZE: usize = 392;
const ARM64_REGISTERS: usize = 34;
const SP: usize = 31;
const PC: usize = 32;
/// Bytes of QEMU's `QEMUCPUState`, and where cr0 stands in it.
const QEMU_STATE_SIZE: usize = 440;
const CR4_LA57: u64 = 1 << 12;
const QEMU_CR: usize = 8 + 18 * 8 + 10 * 24;

/// Which notes a dump carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notes {
    /// What the crashed kernel left for kdump.
    Kdump,
    /// What QEMU writes by itself: registers of each CPU twice, and VMCOREINFO if
    /// the guest told where it is.
    Qemu,
    /// The same of a guest that did not tell.
    QemuAlone,
}

/// The notes, and where VMCOREINFO's text starts in them.
pub fn notes(machine: &Machine, kind: Notes) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    for cpu in 0..ONLINE_CPUS {
        note(&mut out, "CORE", NT_PRSTATUS, &prstatus(machine, cpu));
    }
    if kind != Notes::Kdump {
        for _ in 0..ONLINE_CPUS {
            note(&mut out, "QEMU", 0, &qemu_state(machine));
        }
    }
    if kind == Notes::QemuAlone {
        return (out, 0);
    }
    let text = machine.vmcoreinfo.as_bytes();
    let start = note(&mut out, "VMCOREINFO", 0, text);
    (out, start)
}

/// Appends a note and returns where its descriptor starts.
pub fn note(out: &mut Vec<u8>, name: &str, kind: u32, desc: &[u8]) -> usize {
    out.u32(name.len() as u32 + 1);
    out.u32(desc.len() as u32);
    out.u32(kind);
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out.align(4);
    let start = out.len();
    out.extend_from_slice(desc);
    out.align(4);
    start
}

fn prstatus(machine: &Machine, cpu: u32) -> Vec<u8> {
    let (size, registers, pc, sp) = match machine.kernel.paging.arm64() {
        Some(_) => (ARM64_PRSTATUS_SIZE, ARM64_REGISTERS, PC, SP),
        None => (PRSTATUS_SIZE, REGISTERS, RIP, RSP),
    };
    let mut out = vec![0; size];
    let mut put = |at: usize, value: u64| out[at..at + 8].copy_from_slice(&value.to_le_bytes());
    // CPU 1 crashed, the others were stopped while idle with pid 0.
    let crashing = cpu == 1;
    put(PR_PID, if crashing { 4242 } else { 0 });
    let function = if crashing { "panic" } else { "startup_64" };
    for register in 0..registers {
        let value = match register {
            at if at == pc => machine.kernel.symbol(function) + 0x10,
            at if at == sp => machine.kernel.stack_pointers[cpu as usize],
            _ => 0,
        };
        put(PR_REG + register * 8, value);
    }
    out
}

fn qemu_state(machine: &Machine) -> Vec<u8> {
    let mut out = vec![0; QEMU_STATE_SIZE];
    out[0] = 1;
    out[4..8].copy_from_slice(&(QEMU_STATE_SIZE as u32).to_le_bytes());
    let cr3 = QEMU_CR + 3 * 8;
    out[cr3..cr3 + 8].copy_from_slice(&machine.kernel.tables.root.to_le_bytes());
    if machine.options.paging == PagingLevels::Five {
        out[cr3 + 8..cr3 + 16].copy_from_slice(&CR4_LA57.to_le_bytes());
    }
    out
}
