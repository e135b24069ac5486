//! What nodes and links are called.

use super::Alive;
use super::links::Link;
use super::lists::Place;
use super::pieces::Piece;
use super::strong::Role;
use crate::addr::VirtAddr;
use crate::graph::LARGE_KMALLOC;
use crate::graph::typed::Structures;

/// Whether the member of a cache's objects at an offset ends with one of `names`, itself or what
/// it is a part of.
pub(super) fn is_called(structures: &Structures<'_>, (cache, at): Place, names: &[&str]) -> bool {
    let member = structures.member(cache, at);
    member.is_some_and(|member| member.path.split('.').any(|part| names.contains(&part)))
}

impl Alive<'_> {
    /// A node as a person calls it: a cache, a variable with its module, a task, an area.
    pub(super) fn name(&self, node: u32) -> String {
        if let Some(task) = self.tasks.name(node) {
            return format!("task {}[{}]", task.comm, task.pid);
        }
        if self.classes.is_object(node) {
            return self.class_name(node);
        }
        match self.pieces.piece(node) {
            Some(Piece::Variable(name, Some(module))) => format!("{name} [{module}]"),
            Some(Piece::Variable(name, None)) => name.to_string(),
            Some(Piece::Module(name)) => format!("module {name}"),
            Some(Piece::PerCpu(name)) => format!("per-CPU {name}"),
            Some(Piece::Stack(number)) => self.stack_name(*number),
            Some(Piece::PageStructures) => "page structures".to_owned(),
            Some(Piece::Boot) => "memory of the boot".to_owned(),
            Some(Piece::Pages) => "pages".to_owned(),
            Some(Piece::Area) => match self.caller(node) {
                Some(caller) => format!("vmalloc {caller}"),
                None => "vmalloc".to_owned(),
            },
            None => "nothing".to_owned(),
        }
    }

    /// What many of a kind are called: a cache, or as [`Self::name`].
    pub(super) fn class_name(&self, node: u32) -> String {
        if !self.classes.is_object(node) {
            return self.name(node);
        }
        let caches = self.search.heap.caches();
        let cache = caches.get(self.classes.of(node) as usize);
        cache
            .map_or(LARGE_KMALLOC, |cache| cache.name.as_str())
            .to_owned()
    }

    fn stack_name(&self, number: u32) -> String {
        let stack = self.search.stacks.stacks.get(number as usize);
        match stack.and_then(|stack| self.tasks.by_stack(stack.start.0)) {
            Some(task) => format!("stack of {}[{}]", task.comm, task.pid),
            None => "a stack".to_owned(),
        }
    }

    fn caller(&self, node: u32) -> Option<String> {
        let (_, area) = self.ground.areas.at(self.address(node, 0)?)?;
        Some(area.caller.as_ref()?.symbol())
    }

    /// The module that a variable is of.
    pub(super) fn module(&self, node: u32) -> Option<String> {
        match self.pieces.piece(node)? {
            Piece::Variable(_, module) => module.as_ref().map(|name| name.to_string()),
            Piece::Module(name) => Some(name.to_string()),
            _ => None,
        }
    }

    /// Whether a beginning of paths says who it is.
    pub(super) fn is_named(&self, node: u32) -> bool {
        let of_roles = matches!(
            self.roles.get(node),
            Some(
                Role::Process | Role::Thread | Role::Module | Role::ModuleVariable | Role::Variable
            )
        );
        of_roles
            || matches!(
                self.pieces.piece(node),
                Some(Piece::PerCpu(_) | Piece::Stack(_))
            )
    }

    /// Where a place in a node lies; `None` for what is in many places.
    pub(super) fn address(&self, node: u32, at: u32) -> Option<VirtAddr> {
        if self.classes.is_object(node) {
            let (start, _) = self.search.targets.address(node)?;
            return Some(start.plus(u64::from(at)));
        }
        if let Some(Piece::Stack(number)) = self.pieces.piece(node) {
            let stack = self.search.stacks.stacks.get(*number as usize)?;
            return Some(VirtAddr(stack.live.0 & !7).plus(u64::from(at)));
        }
        let (number, start) = self.pieces.place(node)?;
        self.ground
            .address(self.kernel, number, u64::from(start) + u64::from(at))
    }

    /// A place in a node: `dentry.d_inode`, `+0x40`, nothing at the start of what is no structure.
    pub(super) fn place(&self, node: u32, at: u32) -> String {
        if self.classes.is_object(node)
            && let Some(member) = self.structures.member(self.classes.of(node), at)
        {
            return member.path;
        }
        match at {
            0 if !self.classes.is_object(node) => String::new(),
            _ => format!("+{at:#x}"),
        }
    }

    /// The first link of one node to another that strings no list.
    pub(super) fn link(&self, from: u32, to: u32) -> Option<Link> {
        let mut links = self.links.of_node(from);
        let found = links.find(|(number, link)| {
            link.target == to && self.lists.strings.get(*number) == Some(false)
        });
        found.map(|(_, link)| *link)
    }
}
