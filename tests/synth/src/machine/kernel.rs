//! A kernel under construction: types, memory and addresses together.
//!
//! Everything that lays structures goes through [`Kernel::set`], by virtual
//! address, struct tag and member path.

use super::image::Image;
use super::modules::Module;
use super::paging::{Leaf, PageTables};
use super::ram::{Frames, Ram};
use super::space::Space;
use crate::ctypes::TypeTable;
use crate::era::{Era, PagingLevels};
use crate::memory::Memory;
use crate::random::Random;

/// The parts that every layer of the machine writes to.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Which kernel.
    pub era: Era,
    /// Of which machine, and its page tables.
    pub paging: PagingLevels,
    /// Its C types, those of modules included.
    pub types: TypeTable,
    /// The C types of vmlinux.
    pub vmlinux_types: TypeTable,
    /// Modules that are loaded.
    pub modules: Vec<Module>,
    /// Its RAM.
    pub ram: Ram,
    /// Its physical memory.
    pub memory: Memory,
    /// Its virtual bases.
    pub space: Space,
    /// Its symbols.
    pub image: Image,
    /// Its page tables.
    pub tables: PageTables,
    /// The machine's dice.
    pub random: Random,
    /// Node 0 frames for what is not slab.
    pub boot: Frames,
    /// What `rsp` was on each CPU that ran.
    pub stack_pointers: Vec<u64>,
    /// First frame of the KFENCE pool.
    pub kfence_pool: u64,
    /// Where the last structure in `boot` ended, and the end of its page run.
    pub(super) bump: (u64, u64),
}

impl Kernel {
    /// Bytes of a page.
    pub fn page_size(&self) -> u64 {
        self.memory.page_size()
    }

    /// The same as a shift.
    pub fn page_shift(&self) -> u32 {
        self.memory.page_shift
    }

    /// Zeroed memory for a structure, in the direct map of node 0.
    pub fn alloc(&mut self, size: u64, align: u64) -> u64 {
        let mut start = self.bump.0.next_multiple_of(align);
        if start + size > self.bump.1 {
            let count = size.div_ceil(self.page_size()).max(4);
            let frame = self.boot.take_run(count);
            self.memory.touch(frame, count);
            start = frame << self.page_shift();
            self.bump.1 = start + (count << self.page_shift());
        }
        self.bump.0 = start + size;
        self.space.direct(start)
    }

    /// Zeroed memory for a struct of the type table.
    pub fn alloc_struct(&mut self, tag: &str) -> u64 {
        self.alloc(self.types.sizeof(tag), 8)
    }

    /// A string with its NUL.
    pub fn alloc_string(&mut self, text: &str) -> u64 {
        let address = self.alloc(text.len() as u64 + 1, 1);
        self.write(address, text.as_bytes());
        address
    }

    /// Zeroed pages in the vmalloc area, in no order of their frames.
    pub fn vmalloc(&mut self, size: u64) -> u64 {
        let count = size.div_ceil(self.page_size());
        let first = self.boot.take_run(count);
        self.memory.touch(first, count);
        let start = self.space.vmalloc_pages.len() as u64;
        for page in 0..count {
            let frame = first + count - 1 - page;
            self.space.vmalloc_pages.push(frame);
            let virt = self.space.vmalloc + ((start + page) << self.page_shift());
            self.map_page(virt, frame);
        }
        self.space.vmalloc + (start << self.page_shift())
    }

    /// Leaves a page of the vmalloc area unmapped, as behind every area there is one.
    pub fn vmalloc_guard(&mut self) {
        self.space.vmalloc_pages.push(0);
    }

    /// Zeroed pages where modules live.
    pub fn module_alloc(&mut self, size: u64) -> u64 {
        let count = size.div_ceil(self.page_size());
        let first = self.boot.take_run(count);
        self.memory.touch(first, count);
        let start = self.space.module_pages.len() as u64;
        for page in 0..count {
            let frame = first + count - 1 - page;
            self.space.module_pages.push(frame);
            let virt = self.space.modules + ((start + page) << self.page_shift());
            self.map_page(virt, frame);
        }
        self.space.modules + (start << self.page_shift())
    }

    fn map_page(&mut self, virt: u64, frame: u64) {
        let (phys, size) = (frame << self.page_shift(), self.page_size());
        let tables = &mut self.tables;
        tables.map(&mut self.memory, virt, phys, size, Leaf::Page);
    }

    /// Writes at a virtual address.
    pub fn write(&mut self, virt: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = virt + done as u64;
            let room = (self.page_size() - at % self.page_size()) as usize;
            let end = bytes.len().min(done + room);
            self.memory.write(self.space.phys(at), &bytes[done..end]);
            done = end;
        }
    }

    /// Writes a 64-bit word at a virtual address.
    pub fn write_u64(&mut self, virt: u64, value: u64) {
        self.write(virt, &value.to_le_bytes());
    }

    /// Reads a 64-bit word at a virtual address.
    pub fn read_u64(&self, virt: u64) -> u64 {
        self.memory.read_u64(self.space.phys(virt))
    }

    /// Sets a member, bit-fields included, truncating the value to its size.
    pub fn set(&mut self, virt: u64, tag: &str, path: &str, value: u64) {
        let field = self.types.field(tag, path);
        let at = virt + field.offset();
        if (field.bit_offset | field.bits).is_multiple_of(8) {
            let bytes = value.to_le_bytes();
            self.write(at, &bytes[..(field.bits / 8) as usize]);
            return;
        }
        let shift = field.bit_offset % 8;
        let mask = ((1 << field.bits) - 1) << shift;
        let old = self.read_u64(at);
        self.write_u64(at, (old & !mask) | ((value << shift) & mask));
    }

    /// Reads a member of at most 64 bits.
    pub fn get(&self, virt: u64, tag: &str, path: &str) -> u64 {
        let field = self.types.field(tag, path);
        let word = self.read_u64(virt + field.offset()) >> (field.bit_offset % 8);
        if field.bits == 64 {
            word
        } else {
            word & ((1 << field.bits) - 1)
        }
    }

    /// Run-time address of a symbol.
    pub fn symbol(&self, name: &str) -> u64 {
        if self.image.has(name) {
            return self.space.relocated(self.image.address(name));
        }
        let mut modules = self.modules.iter();
        let found = modules.find_map(|module| module.symbol(name));
        found.unwrap_or_else(|| panic!("no symbol {name}"))
    }

    /// Per-CPU variables have addresses in the image.
    pub fn relocates_percpu(&self) -> bool {
        self.era.relocates_percpu() || self.paging.arm64().is_some()
    }

    /// The per-CPU pointer that a variable of the per-CPU section is.
    pub fn per_cpu_symbol(&self, name: &str) -> u64 {
        if self.relocates_percpu() {
            self.symbol(name)
        } else {
            self.image.address(name)
        }
    }

    /// Sets a scalar variable, by its size in the type table.
    pub fn set_variable(&mut self, name: &str, value: u64) {
        let ctype = self.types.variable(name);
        let size = ctype.map_or(8, |ctype| self.types.size_of(ctype));
        let address = self.symbol(name);
        self.write(address, &value.to_le_bytes()[..size as usize]);
    }

    /// Writes a circular `list_head` list: `head`, then `entries`.
    pub fn link_list(&mut self, head: u64, entries: &[u64]) {
        let mut ring = vec![head];
        ring.extend_from_slice(entries);
        for (index, each) in ring.iter().enumerate() {
            let next = ring[(index + 1) % ring.len()];
            let previous = ring[(index + ring.len() - 1) % ring.len()];
            self.set(*each, "list_head", "next", next);
            self.set(*each, "list_head", "prev", previous);
        }
    }

    /// Sets a bit in the `flags` of a frame's `struct page`.
    pub fn set_page_flag(&mut self, pfn: u64, name: &str) {
        let bit = self.types.constant(name);
        let page = self.space.page(pfn);
        let flags = self.get(page, "page", "flags");
        self.set(page, "page", "flags", flags | 1 << bit);
    }
}
