//! Who allocated each page, as CONFIG_PAGE_OWNER records it with page_owner=on.
//!
//! Layer: subsystem. Input: a [`Kernel`]. Output: [`PageOwnerFacts`]: pages in use by the
//! stack that allocated them, and the kernel's own sums by stack, which it keeps on another
//! route since 6.9. Invariant: what the dump lacks is counted and makes the facts incomplete.

mod gfp;
mod stacks;
mod table;

use serde::Serialize;

use crate::kernel::layout::layout;
use crate::kernel::page_ext::PageExt;
use crate::kernel::stack_depot::StackDepot;
use crate::kernel::symbolize::Symbolizer;
use crate::kernel::{Kernel, KernelError};
use gfp::GfpNames;
use table::{Counts, OwnerReader};

layout! {
    /// mm/page_owner.c
    pub(crate) struct PageOwnerLayout = "page_owner" in "mm/page_owner.c" {
        need order = "order",
        need gfp_mask = "gfp_mask",
        need handle = "handle",
        /// 5.11 and later.
        maybe ts_nsec = "ts_nsec",
        maybe pid = "pid",
        /// 5.18 and later.
        maybe comm = "comm",
    }
}

/// What is known of the pages of one stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PageSite {
    /// Pages in use.
    pub pages: u64,
    /// Allocations that they are of.
    pub allocations: u64,
    /// The kernel's own sum of pages, 6.9 and later.
    pub counted: Option<u64>,
    /// How they were asked for, in the kernel's words, and pages of each.
    pub gfp: Vec<(String, u64)>,
    /// Seconds after boot of the first and the last allocation; 5.11 and later.
    pub seconds: Option<(f64, f64)>,
    /// Names of some of the tasks that allocated, 5.18 and later.
    pub tasks: Vec<String>,
    /// The innermost module on the stack; `None` if it is all the kernel's own.
    pub module: Option<String>,
    /// Return addresses in words, innermost first.
    pub stack: Vec<String>,
}

/// One stack of the kernel's own list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedStack {
    /// Pages in use.
    pub pages: u64,
    /// Return addresses in words, innermost first.
    pub stack: Vec<String>,
}

/// What the page owner recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PageOwnerFacts {
    /// By stack, most pages first.
    pub sites: Vec<PageSite>,
    /// Pages in use that have an owner.
    pub pages: u64,
    /// Pages whose entry the dump lacks.
    pub lost: u64,
    /// Stacks that the depot does not give.
    pub lost_stacks: u64,
    /// As /sys/kernel/debug/page_owner_stacks/show_stacks lists them; `None` before 6.9.
    #[serde(skip)]
    pub listed: Option<Vec<ListedStack>>,
    /// Whether that list was read to its end.
    #[serde(skip)]
    pub list_complete: bool,
}

/// Reads what the page owner recorded; `None` if it was not on.
///
/// # Errors
/// If it was, and the kernel's types do not say what the records look like.
pub fn collect(
    kernel: &Kernel,
    names: &Symbolizer<'_>,
) -> Result<Option<PageOwnerFacts>, KernelError> {
    // A static key, which is a counter.
    let inited = "page_owner_inited";
    if kernel.u32_of(inited).there(inited)?.unwrap_or(0) == 0 {
        return Ok(None);
    }
    let (Some(operations), Some(ext)) = (kernel.symbol("page_owner_ops"), PageExt::find(kernel)?)
    else {
        return Ok(None);
    };
    let Some(depot) = StackDepot::open(kernel)? else {
        return Ok(None);
    };
    let Some(reader) = OwnerReader::new(kernel, &ext, operations)? else {
        return Ok(None);
    };
    let (table, lost) = ext.fold(
        table::Table::default,
        |sum, e| reader.add(sum, e),
        table::merge,
    );
    let mut facts = PageOwnerFacts {
        lost,
        ..PageOwnerFacts::default()
    };
    let gfp = GfpNames::read(kernel)?;
    for (handle, counts) in table {
        facts.pages = facts.pages.saturating_add(counts.pages);
        let site = site(&depot, names, &gfp, handle, counts);
        facts.lost_stacks += u64::from(site.stack.is_empty());
        facts.sites.push(site);
    }
    facts.sites.sort_by(|one, other| {
        let order = other.pages.cmp(&one.pages);
        order.then_with(|| one.stack.cmp(&other.stack))
    });
    if let Some(list) = stacks::read(kernel, &depot, names)? {
        facts.list_complete = list.is_complete();
        facts.listed = Some(list.value);
    }
    warn(kernel, &facts);
    Ok(Some(facts))
}

fn site(
    depot: &StackDepot<'_>,
    names: &Symbolizer<'_>,
    gfp: &GfpNames,
    handle: u32,
    counts: Counts,
) -> PageSite {
    let record = depot.fetch_record(handle).ok();
    let frames = record.as_ref().map_or(&[][..], |record| &record.frames);
    let mut by_mask: Vec<(u32, u64)> = counts.gfp.into_iter().collect();
    by_mask.sort_by_key(|(mask, pages)| (std::cmp::Reverse(*pages), *mask));
    PageSite {
        pages: counts.pages,
        allocations: counts.allocations,
        counted: record.as_ref().and_then(stacks::pages),
        gfp: by_mask
            .into_iter()
            .map(|(mask, pages)| (gfp.describe(mask), pages))
            .collect(),
        seconds: counts.nanoseconds.map(|(first, last)| {
            let seconds = |nanoseconds: u64| (nanoseconds / 1_000_000) as f64 / 1000.0;
            (seconds(first), seconds(last))
        }),
        tasks: counts.tasks.into_iter().collect(),
        module: frames.iter().find_map(|frame| names.module(*frame)),
        stack: frames.iter().map(|frame| names.print(*frame)).collect(),
    }
}

fn warn(kernel: &Kernel, facts: &PageOwnerFacts) {
    let missing = [
        (facts.lost, "entries of pages"),
        (facts.lost_stacks, "stack traces"),
    ];
    for (count, what) in missing.into_iter().filter(|(count, _)| *count > 0) {
        let text = format!(
            "{what} of the page owner can't be read, so pages are missing or have no owner: was the dump cut short, or kernel memory overwritten?"
        );
        kernel.diag.warn_many("page-owner-lost", text, count);
    }
    if facts.listed.is_some() && !facts.list_complete {
        let text = "the page owner's list of stacks is broken: --format proc ends there; the table does not use it";
        kernel.diag.warn("page-owner-list", text);
    }
}
