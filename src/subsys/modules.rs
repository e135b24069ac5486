//! The modules as /proc/modules lists them: size, users, state, taints.
//!
//! Layer: subsys. Input: the kernel's list of modules. Output: [`ModulesFacts`] in its order,
//! the last loaded first.

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::modules::{Module, ModuleState, Modules};
use crate::kernel::{Kernel, KernelError, walk};

/// More users than there are modules.
const MAX_USERS: u64 = 16_384;
/// MODULE_REF_BASE: what a module that nobody uses has.
const REF_BASE: i64 = 1;
/// MODULE_NAME_LEN is 56.
const NAME_LEN: usize = 64;

layout! {
    /// include/linux/module.h
    struct UsageLayout = "module" in "kernel/module/main.c" | "kernel/module.c" {
        need name = "name",
        need init = "init",
        /// This and what follows only with CONFIG_MODULE_UNLOAD.
        maybe exit = "exit",
        maybe refs = "refcnt.counter",
        /// Up to 3.18 (commit e513cc1c07e2): per-CPU.
        maybe refptr = "refptr",
        maybe users = "source_list",
    }
}

layout! {
    /// include/linux/module.h, up to 3.18.
    struct RefLayout = "module_ref" in "kernel/module.c" {
        need incs = "incs",
        need decs = "decs",
    }
}

layout! {
    /// include/linux/module.h
    struct UseLayout = "module_use" in "kernel/module/main.c" | "kernel/module.c" {
        need source_list = "source_list",
        need source = "source",
    }
}

/// One module.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ModuleFacts {
    /// Its name.
    pub name: String,
    /// Bytes of its memory.
    pub size: u64,
    /// How many users it has; `None` if the kernel can't unload modules, or the dump lacks it.
    pub references: Option<i64>,
    /// The modules that use it.
    pub used_by: Vec<String>,
    /// Whether it can't be unloaded, having no exit function.
    pub permanent: bool,
    /// `Live`, `Loading` or `Unloading`.
    pub state: &'static str,
    /// Where its code is.
    pub text: VirtAddr,
    /// Letters of its taints: `OE` for one built outside the kernel and not signed.
    pub taints: String,
    /// Address of its `struct module`.
    pub address: VirtAddr,
    /// Hex.
    pub build_id: Option<String>,
}

/// All of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModulesFacts {
    /// In the order of /proc/modules.
    pub modules: Vec<ModuleFacts>,
    /// Whether all could be read.
    pub complete: bool,
}

/// Reads what /proc/modules prints (kernel/module/procfs.c).
///
/// # Errors
/// If the kernel's types don't describe a module.
pub fn collect(kernel: &Kernel, modules: &Modules) -> Result<ModulesFacts, KernelError> {
    let mut facts = ModulesFacts {
        modules: Vec::new(),
        complete: modules.end().is_complete(),
    };
    // Without CONFIG_MODULES there is no such structure either.
    if kernel.symbol("modules").is_none() {
        return Ok(facts);
    }
    let layout: UsageLayout = kernel.layout()?;
    let using = layout.users.map(|_| kernel.layout()).transpose()?;
    for module in modules.iter() {
        let usage = layout.read(kernel, using.as_ref(), module);
        if !usage.complete {
            facts.complete = false;
            kernel.diag.warn(
                "module-users-unreadable",
                format!("who uses the module {} can't be read; take the dump with kernel pages included", module.name),
            );
        }
        facts.modules.push(ModuleFacts {
            name: module.name.clone(),
            size: module.size(),
            references: usage.references,
            used_by: usage.users,
            permanent: usage.permanent,
            state: match module.state {
                ModuleState::Live => "Live",
                ModuleState::Coming => "Loading",
                ModuleState::Going => "Unloading",
            },
            text: module.text.base,
            taints: module.taint_letters(),
            address: module.address,
            build_id: module.build_id.clone(),
        });
    }
    Ok(facts)
}

#[derive(Default)]
struct Usage {
    references: Option<i64>,
    users: Vec<String>,
    permanent: bool,
    complete: bool,
}

/// How many users a module has by what each CPU took and gave (kernel/module.c up to 3.18:
/// module_refcount).
fn per_cpu_references(kernel: &Kernel, counts: VirtAddr) -> Option<i64> {
    let layout: RefLayout = kernel.layout().ok()?;
    let cpus = Cpus::read(kernel).ok()?;
    let mut sum = 0u64;
    for (_, at) in cpus.instances(counts) {
        let record = kernel.space.read_bytes(at, layout.len).ok()?;
        let taken = layout.incs.get(&record);
        sum = sum.wrapping_add(taken.wrapping_sub(layout.decs.get(&record)));
    }
    Some(sum.cast_signed())
}

impl UsageLayout {
    fn read(&self, kernel: &Kernel, using: Option<&UseLayout>, module: &Module) -> Usage {
        let Ok(record) = kernel.space.read_bytes(module.address, self.len) else {
            return Usage::default();
        };
        let init = self.init.get(&record);
        let references = match (self.refs, self.refptr) {
            (Some(field), _) => {
                let count = field.get(&record) as u32;
                Some(i64::from(count.cast_signed()) - REF_BASE)
            }
            (None, Some(field)) => per_cpu_references(kernel, VirtAddr(field.get(&record))),
            (None, None) => None,
        };
        let mut usage = Usage {
            references,
            users: Vec::new(),
            permanent: self
                .exit
                .is_some_and(|exit| init != 0 && exit.get(&record) == 0),
            complete: references.is_some() || self.refs.is_none() && self.refptr.is_none(),
        };
        if let (Some(users), Some(using)) = (self.users, using) {
            let head = module.address.plus(u64::from(users.offset));
            let links = walk::list(&kernel.space, head, MAX_USERS);
            usage.complete = links.end.is_complete();
            for link in links.value {
                match self.user(kernel, using, link) {
                    Some(name) => usage.users.push(name),
                    None => usage.complete = false,
                }
            }
        }
        usage
    }

    fn user(&self, kernel: &Kernel, using: &UseLayout, link: VirtAddr) -> Option<String> {
        let entry = link.minus(u64::from(using.source_list.offset));
        let source = entry.plus(u64::from(using.source.offset));
        let source = kernel.space.read_ptr(source).ok()?;
        let name = source.plus(u64::from(self.name.offset));
        kernel.space.read_c_string(name, NAME_LEN).ok()
    }
}
