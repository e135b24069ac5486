//! Handlers that print something else than what their table's data are.
//!
//! Each function stands for a handler, and says where the kernel takes the value from.
//! The structures that they need are resolved when the first value asks for them.

pub(super) mod core;
pub(super) mod fs;
pub(super) mod net;
pub(super) mod tcp;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;

use super::decode::{Answer, Unread, ValueReader, array_text};
use super::layouts::{NetLayout, PidNamespaceLayout};
use super::tree::Leaf;
use crate::addr::VirtAddr;
use crate::bytes::slice;
use crate::kernel::layout::{Field, Layout};
use crate::kernel::{Known, modules, walk};

/// A layout that is resolved at its first use; the error says what the types lack.
#[derive(Debug)]
struct Once<L>(OnceCell<Result<L, String>>);

impl<L> Default for Once<L> {
    fn default() -> Self {
        Self(OnceCell::new())
    }
}

impl<L: Layout> Once<L> {
    fn get(&self, reader: &ValueReader<'_>) -> Result<&L, Unread> {
        let resolve = || reader.kernel.layout().map_err(|error| error.to_string());
        let layout = self.0.get_or_init(resolve).as_ref();
        layout.map_err(|error| Unread::Raw(error.clone()))
    }
}

/// The structures that values lie in.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    net: Once<NetLayout>,
    pid_namespace: Once<PidNamespaceLayout>,
    core: core::Shapes,
    fs: fs::Shapes,
    networks: net::Shapes,
    tcp: tcp::Shapes,
}

/// A shape that this code does not know.
fn unknown(what: &str) -> Unread {
    Unread::Raw(format!("this kernel keeps {what} elsewhere"))
}

impl ValueReader<'_> {
    /// A variable of the kernel or of a module.
    fn variable(&self, name: &'static str) -> Result<VirtAddr, Unread> {
        modules::resolve(self.kernel, self.modules, name).ok_or_else(|| unknown(name))
    }

    fn int(&self, name: &'static str) -> Answer {
        let value = self.kernel.space.read_u32(self.variable(name)?)?;
        Ok(value.cast_signed().to_string())
    }

    fn long(&self, name: &'static str) -> Result<u64, Unread> {
        Ok(self.kernel.space.read_u64(self.variable(name)?)?)
    }

    fn truth_of(&self, name: &'static str) -> Result<bool, Unread> {
        let byte = self.kernel.space.read_bytes(self.variable(name)?, 1)?;
        Ok(byte.first() != Some(&0))
    }

    /// Sum over all CPUs of a `long` that each has, not below zero.
    fn sum(&self, name: &'static str) -> Result<u64, Unread> {
        let variable = self.variable(name)?;
        let cpus = self.cpus().ok_or_else(|| unknown("the list of CPUs"))?;
        let mut sum = 0i64;
        for (_, at) in cpus.instances(variable) {
            sum = sum.wrapping_add(self.kernel.space.read_u64(at)?.cast_signed());
        }
        Ok(sum.max(0).cast_unsigned())
    }

    /// How many bits the kernel's masks of CPUs print.
    fn cpu_bits(&self) -> Result<usize, Unread> {
        let bits = match self.kernel.u32_of("nr_cpu_ids") {
            Known::Value(bits) => bits as usize,
            Known::Missing(fault) => return Err(fault.into()),
            Known::Absent => self.cpus().map_or(0, |cpus| cpus.len()),
        };
        match bits {
            1..=8192 => Ok(bits),
            _ => Err(unknown("the number of CPUs")),
        }
    }

    /// The network namespace that a file belongs to.
    fn net(&self, leaf: &Leaf) -> Result<VirtAddr, Unread> {
        match leaf.net {
            Some(net) => Ok(net.address),
            None => self.variable("init_net"),
        }
    }

    /// Where a member of the file's `struct net` lies.
    fn net_member(
        &self,
        leaf: &Leaf,
        member: impl Fn(&NetLayout) -> Option<Field>,
    ) -> Result<(VirtAddr, Field), Unread> {
        let field = member(self.shapes.net.get(self)?).ok_or_else(|| unknown("it"))?;
        let net = self.net(leaf)?;
        Ok((net.plus(u64::from(field.offset)), field))
    }

    /// A string that a member of a structure is: an array in it, or a pointer.
    fn name_in(&self, record: VirtAddr, name: Field) -> Answer {
        const MAX_NAME: usize = 256;
        let at = record.plus(u64::from(name.offset));
        if name.size == 8 {
            let at = self.kernel.space.read_ptr(at)?;
            return self.string(at, MAX_NAME);
        }
        let len = (name.size as usize).min(MAX_NAME);
        let bytes = self.kernel.space.read_bytes(at, len)?;
        Ok(array_text(slice(&bytes, 0, len).unwrap_or_default()))
    }

    /// The structures on a list, by the offset of the list's links in them.
    fn listed(&self, head: &'static str, link: Field) -> Result<Vec<VirtAddr>, Unread> {
        /// More than any list of algorithms has.
        const MAX: u64 = 4 << 10;
        let list = walk::list(&self.kernel.space, self.variable(head)?, MAX);
        if !list.end.is_complete() {
            return Err(Unread::Missing(format!(
                "the list {head} {}",
                list.end.describe()
            )));
        }
        let offset = u64::from(link.offset);
        Ok(list.value.into_iter().map(|at| at.minus(offset)).collect())
    }
}
