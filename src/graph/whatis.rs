//! What lies at an address, and who points there.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::holders::{Holder, Source, describe};
use super::page_at::PageAt;
use super::pages::OnePage;
use super::search::{Done, Pages, Search};
pub use super::spot::Place;
use super::spot::Spot;
use super::typed::{Structures, TypeGuess};
use super::watch::Watch;
use super::{Coverage, Options};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::page_kinds::PageKind;
use crate::kernel::symbolize::Symbolized;
use crate::kernel::variables::Variables;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::memcg::Group;
use crate::subsys::mm::slab::objects::ObjectState;

/// Words of an object that are explained.
const WORDS: usize = 64;

/// The object that an address lies in.
#[derive(Clone, Debug, Serialize)]
pub struct ObjectAt {
    /// Its cache.
    pub cache: String,
    /// Where it starts.
    pub address: VirtAddr,
    /// How far behind that the address is.
    pub offset: u64,
    /// Bytes that its user asked for.
    pub object_size: u32,
    /// Whether it is in use.
    pub state: ObjectState,
    /// Whether something reachable points to it; `None` if the search could not tell.
    pub reachable: Option<bool>,
    /// The memory cgroup that it is charged to.
    pub charged_to: Option<Group>,
}

/// The area of vmalloc that an address lies in.
#[derive(Clone, Debug, Serialize)]
pub struct AreaAt {
    /// First address.
    pub start: VirtAddr,
    /// One past the last, the guard page included.
    pub end: VirtAddr,
    /// Who asked for it.
    pub caller: Option<Symbolized>,
    /// Pages of memory that it holds.
    pub pages: u64,
    /// Whether something reachable points to it; `None` if the search could not tell, and for
    /// areas that hold no memory, which are not judged.
    pub reachable: Option<bool>,
}

/// The block of large kmalloc that an address lies in.
#[derive(Clone, Debug, Serialize)]
pub struct BlockAt {
    /// First address.
    pub start: VirtAddr,
    /// Bytes of it.
    pub size: u64,
    /// Whether something reachable points to it; `None` if the search could not tell.
    pub reachable: Option<bool>,
}

/// A word that is not zero, and what it seems to be.
#[derive(Clone, Debug, Serialize)]
pub struct WordAt {
    /// Bytes from the start.
    pub offset: u64,
    /// The word.
    pub value: VirtAddr,
    /// A symbol, an object, a list, text; empty if nothing is known.
    pub meaning: String,
}

/// A word that points into the object.
#[derive(Clone, Debug, Serialize)]
pub struct Referrer {
    /// Where the word lies.
    pub at: VirtAddr,
    /// What that is: a cache and an offset, a variable, a stack.
    pub holder: String,
    /// The member of a known structure that it is: `dentry.d_inode`.
    pub member: Option<String>,
    /// How far behind the start of the object it points.
    pub into: u64,
    /// Whether that place is reachable itself; `None` if the search could not tell.
    pub reachable: Option<bool>,
}

/// All about one address.
#[derive(Clone, Debug, Serialize)]
pub struct WhatIs {
    /// The address asked for; of a physical one, where that lies in the direct map.
    pub address: VirtAddr,
    /// Whether the address is that of a page's structure: what is said of the page is then of that
    /// page, and what lies there and who points there of its structure.
    pub page_structure: bool,
    /// The page that was asked about, or that the address lies in; `None` if there is none.
    pub page_at: Option<PageAt>,
    /// What its page is used for; `None` if nothing is mapped there.
    pub page: Option<PageKind>,
    /// The variable or function there.
    pub symbol: Option<String>,
    /// The slab object there.
    pub object: Option<ObjectAt>,
    /// The area of vmalloc there.
    pub area: Option<AreaAt>,
    /// The block of large kmalloc there, in kernels that mark them.
    pub block: Option<BlockAt>,
    /// What lies there.
    pub words: Vec<WordAt>,
    /// Who points there, by address: the first 10,000.
    pub referrers: Vec<Referrer>,
    /// How many words point there.
    pub references: u64,
    /// What the object seems to be, by the members that point to it.
    pub types: Vec<TypeGuess>,
    /// The same, summed up.
    pub holders: Vec<Holder>,
    /// What the search saw.
    pub coverage: Coverage,
}

impl WhatIs {
    /// Forgets what the search could not tell: what it reached is reachable, but what it did not
    /// reach may be.
    pub fn doubt(&mut self) {
        let object = self.object.iter_mut().map(|object| &mut object.reachable);
        let area = self.area.iter_mut().map(|area| &mut area.reachable);
        let block = self.block.iter_mut().map(|block| &mut block.reachable);
        let referrers = self.referrers.iter_mut().map(|one| &mut one.reachable);
        for reachable in object.chain(area).chain(block).chain(referrers) {
            *reachable = reachable.filter(|reachable| *reachable);
        }
        if let Some(page) = &mut self.page_at {
            page.lost = false;
        }
    }
}

/// More referrers than anybody reads.
const LISTED: usize = 10_000;

/// Looks at an address, and at all memory for those who point there.
///
/// # Errors
/// If the slab allocator, the memmap or the tasks can't be read at all.
pub fn whatis(kernel: &Kernel, place: Place, options: &Options<'_>) -> Result<WhatIs, KernelError> {
    kernel.ask(|kernel| found_at(kernel, place, options))
}

fn found_at(kernel: &Kernel, asked: Place, options: &Options<'_>) -> Result<WhatIs, KernelError> {
    if let Some(bundle) = kernel.dump().bundle() {
        return Err(KernelError::NotInBundle {
            what: "whatis",
            commands: bundle.commands.to_owned(),
            remedy: "ask the dump that it was made of",
        });
    }
    let (mut pages, modules, beside) = Pages::and_beside(kernel, options.progress, true)?;
    let gathered = pages.gathered.take();
    let (symbols, search) = Search::prepare(pages, &modules, beside)?;
    let spot = Spot::of(&search, asked);
    let address = spot.address;
    let own = spot.pfn.and_then(|pfn| OnePage::of(&search, pfn));
    let page_watch = own.and(gathered);
    let page_watch = page_watch.map(|gathered| OnePage::watch(&search, gathered));
    let targets = &search.targets;
    let found = targets.object(address.0);
    let place = found.and_then(|(object, _)| targets.address(object));
    let place = place.map(|(start, len)| (start, u64::from(len)));
    let area = search.areas.at(address);
    // A module's variable is asked about, not all of the module.
    let around = area.filter(|_| symbols.name(address).is_none());
    let around = around.map(|(_, area)| (area.start, area.bytes()));
    let (start, len) = place.or(around).unwrap_or((address, spot.len));
    let watch = Watch::new(start..start.plus(len));
    let done = search.run(options, &symbols, Some(watch), page_watch)?;
    let own = own.map(|own| own.found(&search, &done, &symbols));
    let own = own.transpose()?.flatten();
    let coverage = search.coverage(&done, &symbols);
    let charges = search.charges()?;
    let object = found.and_then(|(number, cache)| {
        let cache = search.heap.caches().get(cache as usize)?;
        Some(ObjectAt {
            cache: cache.name.clone(),
            address: start,
            offset: address.offset_from(start)?,
            object_size: cache.object_size,
            state: state(&done, number),
            reachable: Some(done.found.marked.get(number)),
            charged_to: charges.of(number),
        })
    });
    let block = found.filter(|(number, _)| targets.blocks().contains(number));
    let block = block.map(|(number, _)| BlockAt {
        start,
        size: len,
        reachable: Some(done.found.marked.get(number)),
    });
    let page_at = spot.pfn.map(|pfn| PageAt::read(&search, pfn, own));
    let kind = spot.pfn.map(|pfn| search.kinds.get(pfn));
    let structures = Structures::new(kernel, search.heap.caches());
    let found = done.found.watch.as_ref().map(Watch::take);
    let (found, references) = found.unwrap_or_default();
    let types = types(&structures, &found, start);
    let mut referrers = referrers(&search, &done, &symbols, &structures, found, start);
    let holders = sum_up(&referrers);
    referrers.truncate(LISTED);
    let size = object
        .as_ref()
        .map_or(len, |object| u64::from(object.object_size));
    let area = area.map(|(number, area)| AreaAt {
        start: area.start,
        end: area.end,
        caller: area.caller.clone(),
        pages: area.pages,
        reachable: (area.pages > 0).then(|| done.found.marked.get(number)),
    });
    Ok(WhatIs {
        address,
        page_structure: spot.structure,
        page_at,
        page: kind,
        symbol: symbols.name(address).as_ref().map(placed),
        words: match kind.is_some_and(is_left_out) {
            true => Vec::new(),
            false => words(&search, &symbols, start, size),
        },
        types,
        holders,
        referrers,
        references,
        object,
        area,
        block,
        coverage,
    })
}

fn state(done: &Done, object: u32) -> ObjectState {
    if done.found.free.get(object) {
        ObjectState::Free
    } else if done.found.allocated.get(object) {
        ObjectState::Allocated
    } else {
        // It waits for RCU, or its slab's free chain is broken.
        ObjectState::Unknown
    }
}

fn referrers(
    search: &Search<'_>,
    done: &Done,
    symbols: &Variables<'_>,
    structures: &Structures<'_>,
    found: Vec<(Source, VirtAddr, u64)>,
    start: VirtAddr,
) -> Vec<Referrer> {
    let referrers = found.into_iter().map(|(source, at, word)| Referrer {
        at,
        holder: describe(source, symbols, search.heap.caches()).text,
        member: match source {
            Source::Object(cache, offset) => {
                structures.member(cache, offset).map(|member| member.path)
            }
            _ => None,
        },
        into: word.wrapping_sub(start.0),
        reachable: match search.targets.object(at.0) {
            Some((object, _)) => Some(done.found.marked.get(object)),
            None => Some(true),
        },
    });
    referrers.collect()
}

/// By the words that point to its start: of others, the type is that of a part.
fn types(
    structures: &Structures<'_>,
    found: &[(Source, VirtAddr, u64)],
    start: VirtAddr,
) -> Vec<TypeGuess> {
    let to_start = found.iter().filter(|(.., word)| *word == start.0);
    let of = to_start.clone().count() as u64;
    let members = (0u32..)
        .zip(to_start)
        .filter_map(|(item, (source, ..))| match source {
            Source::Object(cache, offset) => Some((item, *cache, *offset)),
            _ => None,
        });
    structures.guess(members, of)
}

/// Those who hold most first.
fn sum_up(referrers: &[Referrer]) -> Vec<Holder> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for referrer in referrers {
        *counts.entry(&referrer.holder).or_default() += 1;
    }
    let holder = |(name, references): (&str, u64)| Holder {
        holder: name.to_owned(),
        references,
        module: None,
    };
    let mut holders: Vec<Holder> = counts.into_iter().map(holder).collect();
    holders.sort_by_key(|holder| Reverse(holder.references));
    holders
}

/// Whether such pages hold nothing of the kernel's: dumps are mostly made without them.
fn is_left_out(kind: PageKind) -> bool {
    matches!(
        kind,
        PageKind::Free
            | PageKind::CpuFree
            | PageKind::User
            | PageKind::Cache
            | PageKind::Shmem
            | PageKind::Zsmalloc
            | PageKind::Huge
    )
}

fn words(search: &Search<'_>, symbols: &Variables<'_>, start: VirtAddr, size: u64) -> Vec<WordAt> {
    let len = (size as usize).next_multiple_of(8).min(WORDS * 8);
    let Ok(bytes) = search.kernel.space.read_bytes(start, len) else {
        return Vec::new();
    };
    let all = (0..len).step_by(8).filter_map(|offset| {
        let value = u64_at(&bytes, offset).filter(|value| *value != 0)?;
        let at = start.plus(offset as u64);
        Some(WordAt {
            offset: offset as u64,
            value: VirtAddr(value),
            meaning: meaning(search, symbols, at, value),
        })
    });
    all.collect()
}

fn meaning(search: &Search<'_>, symbols: &Variables<'_>, at: VirtAddr, value: u64) -> String {
    if value == at.0 {
        return "itself: an empty list, or the start of one".to_owned();
    }
    if let Some((object, cache)) = search.targets.object(value) {
        let name = search
            .heap
            .caches()
            .get(cache as usize)
            .map(|c| c.name.as_str());
        let offset = search
            .targets
            .address(object)
            .and_then(|(start, _)| VirtAddr(value).offset_from(start));
        let name = name.unwrap_or(super::LARGE_KMALLOC);
        return format!("{name}+{:#x}", offset.unwrap_or(0));
    }
    if symbols.may_name(VirtAddr(value))
        && let Some(named) = symbols.name(VirtAddr(value))
    {
        return placed(&named);
    }
    let bytes = value.to_le_bytes();
    let text = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_graphic() || **byte == b' ')
        .count();
    match bytes.get(..text) {
        Some(text) if text.len() >= 4 => format!("{:?}", String::from_utf8_lossy(text)),
        _ => String::new(),
    }
}

/// A symbol and how far behind it.
fn placed(named: &Symbolized) -> String {
    match named.offset {
        0 => named.symbol(),
        offset => {
            let module = named.module.as_ref().map(|name| format!(" [{name}]"));
            format!(
                "{}+{offset:#x}{}",
                named.function,
                module.unwrap_or_default()
            )
        }
    }
}
