//! The structures of the module loader and the members of them that are read.

use super::Region;
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::layout::{Field, Layout, LayoutError, layout};
use crate::types::TypeError;

/// `struct module` has 1 to 2 KiB.
const MAX_RECORD: usize = 64 << 10;

layout! {
    /// include/linux/module.h
    pub(super) struct ModuleLayout = "module" in "kernel/module/main.c" | "kernel/module.c" {
        need state = "state",
        need list = "list",
        need name = "name",
        need taints = "taints",
        /// 5.14 and later, only with CONFIG_STACKTRACE_BUILD_ID.
        maybe build_id = "build_id",
        /// 6.4 and later: an array by `enum mod_mem_type`.
        maybe mem = "mem",
        /// Without a structure around them up to 4.4 (commit 7523e4dc5057).
        maybe core_base = "core_layout.base" | "module_core",
        maybe core_size = "core_layout.size" | "core_size",
        /// The code's part of it, up to 6.3.
        maybe core_text = "core_layout.text_size" | "core_text_size",
        maybe init_base = "init_layout.base" | "module_init",
        maybe init_size = "init_layout.size" | "init_size",
        /// Only with CONFIG_KALLSYMS.
        maybe kallsyms = "kallsyms",
        /// Only with CONFIG_SYSFS and CONFIG_KALLSYMS.
        maybe notes_attrs = "notes_attrs",
    }
}

layout! {
    /// include/linux/module.h, 6.4 and later (commit ac3b43283923, "module: replace
    /// module_layout with module_memory").
    pub(super) struct MemoryLayout = "module_memory" in "kernel/module/main.c" {
        need base = "base",
        need size = "size",
    }
}

layout! {
    /// include/linux/module.h
    pub(super) struct KallsymsLayout = "mod_kallsyms" in "kernel/module/main.c" | "kernel/module.c" {
        need symtab = "symtab",
        need num_symtab = "num_symtab",
        need strtab = "strtab",
        /// 5.2 and later (commit 1c7651f43777): before, the type stands in place of `st_info`.
        maybe typetab = "typetab",
    }
}

layout! {
    /// include/linux/module.h up to 4.4: the module's own members (commit 8244062ef1e5).
    pub(super) struct OwnKallsymsLayout = "module" in "kernel/module/main.c" | "kernel/module.c" {
        need symtab = "symtab",
        need num_symtab = "num_symtab",
        need strtab = "strtab",
    }
}

layout! {
    /// kernel/module/sysfs.c (5.19 and later), kernel/module.c (before).
    pub(super) struct NotesLayout = "module_notes_attrs" in "kernel/module/sysfs.c" | "kernel/module.c" {
        need attrs = "attrs",
        /// How many there are, up to 6.13.
        maybe notes = "notes",
        /// Pointers up to a null one, 6.14 and later.
        maybe bin_attrs = "grp.bin_attrs_new" | "grp.bin_attrs",
    }
}

layout! {
    /// include/linux/sysfs.h
    pub(super) struct AttributeLayout = "bin_attribute" in "kernel/module/sysfs.c" | "kernel/module.c" {
        need size = "size",
        need private = "private",
    }
}

/// All of them; those that this kernel has no use for are `None`.
#[derive(Debug)]
pub(super) struct Layouts {
    pub(super) module: ModuleLayout,
    memory: Option<MemoryLayout>,
    pub(super) kallsyms: Option<KallsymsLayout>,
    pub(super) own_kallsyms: Option<OwnKallsymsLayout>,
    pub(super) notes: Option<(NotesLayout, AttributeLayout)>,
}

impl Layouts {
    pub(super) fn resolve(kernel: &Kernel) -> Result<Self, LayoutError> {
        let module: ModuleLayout = kernel.layout()?;
        if module.mem.is_none() && (module.core_base.is_none() || module.core_size.is_none()) {
            return Err(LayoutError::NoMember {
                structure: "module",
                member: "mem or core_layout",
            });
        }
        let memory = module.mem.map(|_| kernel.layout()).transpose()?;
        let kallsyms = module.kallsyms.map(|_| kernel.layout()).transpose()?;
        let own_kallsyms = match module.kallsyms {
            Some(_) => None,
            None => optional(kernel)?,
        };
        // Build-ids only guard against wrong files: without them there is less to check.
        let notes = match module.notes_attrs {
            Some(_) => optional(kernel)?.zip(optional(kernel)?),
            None => None,
        };
        Ok(Self {
            module,
            memory,
            kallsyms,
            own_kallsyms,
            notes,
        })
    }

    /// Bytes to read of a `struct module`.
    pub(super) fn module_len(&self) -> usize {
        self.module.struct_size.min(MAX_RECORD)
    }

    /// Bytes of code at the start of the first region, where data follow behind it (up to 6.3).
    pub(super) fn text_size(&self, record: &[u8]) -> Option<u64> {
        self.module.core_text.map(|field| field.get(record))
    }

    /// The module's memory, its code first: MOD_TEXT is the first `enum mod_mem_type`. Regions
    /// that were freed after initialisation have no size.
    pub(super) fn regions(&self, record: &[u8]) -> Vec<Region> {
        let get = |field: &Field| field.get(record);
        let region = |base: &Option<Field>, size: &Option<Field>| Region {
            base: VirtAddr(base.as_ref().map_or(0, get)),
            size: size.as_ref().map_or(0, get),
        };
        let layout = &self.module;
        let mut all = match (&layout.mem, &self.memory) {
            (Some(mem), Some(memory)) => {
                let array = mem.offset as usize..(mem.offset + mem.size) as usize;
                let array = record.get(array).unwrap_or_default();
                array
                    .chunks_exact(memory.struct_size.max(1))
                    .map(|one| Region {
                        base: VirtAddr(memory.base.get(one)),
                        size: memory.size.get(one),
                    })
                    .collect()
            }
            _ => vec![
                region(&layout.core_base, &layout.core_size),
                region(&layout.init_base, &layout.init_size),
            ],
        };
        let mut first = true;
        all.retain(|region| std::mem::take(&mut first) || region.size > 0);
        all
    }
}

/// A layout that may fail to resolve, but not for damaged types.
fn optional<L: Layout>(kernel: &Kernel) -> Result<Option<L>, TypeError> {
    match kernel.layout() {
        Ok(layout) => Ok(Some(layout)),
        Err(LayoutError::Types(error)) => Err(error),
        Err(_) => Ok(None),
    }
}
