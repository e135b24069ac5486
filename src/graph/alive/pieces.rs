//! Areas and blocks in pieces that have names: variables of the kernel and of modules, what CPUs
//! have, and what was set apart at boot for one of them.
//!
//! Input: areas and blocks. Output: [`Pieces`], which are nodes behind the slab objects, and the
//! references between them. Invariants: pieces cover all of each area and block.

use rustc_hash::FxHashMap;

use super::ground::Ground;
use super::links::Reference;
use super::table::Table;
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::cpus::Cpus;
use crate::kernel::modules::{Module, Modules};
use crate::kernel::symbolize::Symbolizer;

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A variable of the kernel, or of a module.
    Variable(Box<str>, Option<Box<str>>),
    /// A variable that each CPU has.
    PerCpu(Box<str>),
    /// An area of vmalloc.
    Area,
    /// Pages of the kernel.
    Pages,
    /// Set apart at boot.
    Boot,
    /// A task's stack, by its place among all.
    Stack(u32),
    /// A module, which has its variables.
    Module(Box<str>),
    /// All page structures.
    PageStructures,
}

/// Where a piece begins in its area or block, and what it is.
type Cut = (u32, Piece);

/// All pieces.
#[derive(Debug)]
pub(super) struct Pieces {
    /// What lies before areas keeps its number.
    objects: u32,
    /// Of each area and block the number of its first piece, and one more.
    first: Table<u32>,
    starts: Table<u32>,
    pub(super) pieces: Vec<Piece>,
    /// The area or block that each is a part of.
    parts_of: Table<u32>,
}

impl Pieces {
    pub(super) fn of(kernel: &Kernel, ground: &Ground<'_>, modules: &Modules) -> Self {
        let mut cuts: FxHashMap<u32, Vec<Cut>> = FxHashMap::default();
        cut_image(kernel, ground, modules, &mut cuts);
        cut_per_cpu(kernel, ground, &mut cuts);
        cut_modules(ground, modules, &mut cuts);
        Self::cut(ground, cuts)
    }

    /// Parts what was set apart at boot where variables point into it, too.
    pub(super) fn at_pointers(ground: &Ground<'_>, first: &Self, references: &[Reference]) -> Self {
        let mut cuts: FxHashMap<u32, Vec<Cut>> = FxHashMap::default();
        for number in first.objects..ground.end() {
            let own = first.cuts_of(number);
            if own.len() > 1 {
                cuts.insert(number, own);
            }
        }
        for one in references {
            let (source, target) = (one.source, one.link.target);
            let place = target.checked_sub(ground.first_block());
            let block = place.and_then(|place| ground.blocks.get(place as usize));
            if !block.is_some_and(|block| block.reserved) || source < first.objects {
                continue;
            }
            let from = first.piece_at(source, one.link.at);
            let into = first.piece_at(target, one.link.into);
            let is = |node: u32| first.pieces.get(node.wrapping_sub(first.objects) as usize);
            let named = matches!(is(from), Some(Piece::Variable(..)));
            if named && is(into) == Some(&Piece::Boot) && one.link.into % 64 == 0 {
                cuts.entry(target)
                    .or_default()
                    .push((one.link.into, Piece::Boot));
            }
        }
        Self::cut(ground, cuts)
    }

    fn cut(ground: &Ground<'_>, mut cuts: FxHashMap<u32, Vec<Cut>>) -> Self {
        let mut made = Self {
            objects: ground.first_area(),
            first: Table::default(),
            starts: Table::default(),
            pieces: Vec::new(),
            parts_of: Table::default(),
        };
        for number in ground.first_area()..ground.end() {
            made.first.push(made.starts.len());
            let otherwise = match number.checked_sub(ground.first_block()) {
                None => Piece::Area,
                Some(place) => match ground.blocks.get(place as usize) {
                    Some(block) if block.reserved => Piece::Boot,
                    _ => Piece::Pages,
                },
            };
            let mut own = cuts.remove(&number).unwrap_or_default();
            // Of two names for one place, the first.
            own.sort_by_key(|(at, _)| *at);
            own.dedup_by_key(|(at, _)| *at);
            if own.first().is_none_or(|(at, _)| *at != 0) {
                own.insert(0, (0, otherwise));
            }
            for (at, piece) in own {
                made.starts.push(at);
                made.parts_of.push(number);
                made.pieces.push(piece);
            }
        }
        made.first.push(made.starts.len());
        made
    }

    fn cuts_of(&self, number: u32) -> Vec<Cut> {
        let place = number - self.objects;
        let (start, end) = (self.first.get(place), self.first.get(place + 1));
        let range = start.unwrap_or(0)..end.unwrap_or(0);
        let cut = |at| Some((self.starts.get(at)?, self.pieces.get(at as usize)?.clone()));
        range.filter_map(cut).collect()
    }

    /// The node that a place in an object, area or block is of.
    fn piece_at(&self, number: u32, at: u32) -> u32 {
        let Some(place) = number.checked_sub(self.objects) else {
            return number;
        };
        let (Some(start), Some(end)) = (self.first.get(place), self.first.get(place + 1)) else {
            return number;
        };
        let (mut low, mut high) = (start, end);
        while low < high {
            let middle = low.midpoint(high);
            match self.starts.get(middle).is_some_and(|start| start <= at) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        self.objects + low.saturating_sub(1).max(start)
    }

    /// The node of a place, and how far from its start that is.
    pub(super) fn node(&self, number: u32, at: u32) -> (u32, u32) {
        let node = self.piece_at(number, at);
        let start = node
            .checked_sub(self.objects)
            .and_then(|piece| self.starts.get(piece));
        (node, at - start.unwrap_or(0).min(at))
    }

    /// The area or block that a node is a part of, and where in it the node begins.
    pub(super) fn place(&self, node: u32) -> Option<(u32, u32)> {
        let piece = node.checked_sub(self.objects)?;
        Some((self.parts_of.get(piece)?, self.starts.get(piece)?))
    }

    pub(super) fn piece(&self, node: u32) -> Option<&Piece> {
        self.pieces.get(node.checked_sub(self.objects)? as usize)
    }

    /// One past the last node.
    pub(super) fn end(&self) -> u32 {
        self.objects + self.pieces.len() as u32
    }

    /// Adds nodes that are parts of nothing.
    pub(super) fn extend(&mut self, pieces: impl Iterator<Item = Piece>) {
        self.pieces.extend(pieces);
    }
}

/// Variables of the kernel, by its own names.
fn cut_image(
    kernel: &Kernel,
    ground: &Ground<'_>,
    modules: &Modules,
    cuts: &mut FxHashMap<u32, Vec<Cut>>,
) {
    let names = Symbolizer::new(kernel, modules);
    for (start, len, block, within) in ground.image_parts() {
        let mut at = 0;
        while at < len {
            let Some(found) = names.find(start.plus(at)) else {
                break;
            };
            let name = Piece::Variable(found.function.into(), None);
            let of_block = cuts.entry(block).or_default();
            if let Ok(place) = u32::try_from(within + at) {
                of_block.push((place, name));
            }
            at += found.size.saturating_sub(found.offset).max(8);
        }
    }
}

/// More than any kernel's variables of one CPU, in bytes.
const PER_CPU: u64 = 16 << 20;
/// Beyond so many, the variables of CPUs are not told from each other.
const NAMED: usize = 1 << 21;

/// What each CPU has, as far as it has a name.
fn cut_per_cpu(kernel: &Kernel, ground: &Ground<'_>, cuts: &mut FxHashMap<u32, Vec<Cut>>) {
    let (Some(start), Some(end)) = (
        kernel.symbol("__per_cpu_start"),
        kernel.symbol("__per_cpu_end"),
    ) else {
        return;
    };
    let (Ok(cpus), Ok(names)) = (Cpus::read(kernel), kernel.own_symbols()) else {
        return;
    };
    if end.0.saturating_sub(start.0) > PER_CPU {
        return;
    }
    let mut variables: Vec<(u64, Box<str>)> = Vec::new();
    let mut at = start.0;
    while at < end.0 {
        let Some(found) = names.find(at) else {
            break;
        };
        variables.push((at, found.name.into()));
        at += found.size.saturating_sub(found.offset).max(8);
    }
    if variables.len() * cpus.len() > NAMED {
        variables = vec![(start.0, "variables".into())];
    }
    let mut cut = |at: VirtAddr, piece: Piece| {
        let phys = kernel.space.translate(at).map(|mapping| mapping.phys);
        let place = phys.ok().and_then(|phys| ground.block_of(phys));
        if let Some((block, within)) = place
            && let Ok(within) = u32::try_from(within)
        {
            cuts.entry(block).or_default().push((within, piece));
        }
    };
    for (at, name) in variables {
        for (_, own) in cpus.instances(VirtAddr(at)) {
            cut(own, Piece::PerCpu(name.clone()));
        }
    }
    for (_, own) in cpus.instances(end) {
        cut(own, Piece::PerCpu("dynamic".into()));
    }
}

/// Variables of modules; what of a module has no name goes by the module's.
fn cut_modules(ground: &Ground<'_>, modules: &Modules, cuts: &mut FxHashMap<u32, Vec<Cut>>) {
    for module in modules.iter() {
        for region in &module.regions {
            let Some((number, area)) = ground.areas.at(region.base) else {
                continue;
            };
            let own = cuts.entry(number).or_default();
            let name = || Some(module.name.as_str().into());
            let mut add = |at: VirtAddr, piece| {
                let within = at.offset_from(area.start);
                if let Some(Ok(within)) = within.map(u32::try_from) {
                    own.push((within, piece));
                }
            };
            for (symbol, at) in symbols_in(module, region.base, region.size) {
                add(at, Piece::Variable(symbol.into(), name()));
            }
            add(region.base, Piece::Variable("data".into(), name()));
            let end = region.base.plus(region.size);
            if end < area.end {
                add(end, Piece::Area);
            }
        }
    }
}

fn symbols_in(
    module: &Module,
    base: VirtAddr,
    size: u64,
) -> impl Iterator<Item = (&str, VirtAddr)> {
    let inside = move |at: VirtAddr| at.offset_from(base).is_some_and(|within| within < size);
    module.symbols.iter().filter(move |(_, at)| inside(*at))
}
