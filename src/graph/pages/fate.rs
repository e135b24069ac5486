//! What is known of each block: whose it is, who points to it, or that nothing does.

use super::super::search::Search;
use super::claimed::Owners;
use super::holders::Holders;
use super::split::Run;
use super::watch::PageWatch;
use super::{Claims, physical, vmcoreinfo};

/// One block of the kernel's own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// A known structure has it: the owner's number.
    Owned(u32),
    /// A word that was searched means it.
    PointedTo,
    /// Only a physical address in tables and rings of devices means it.
    ByDevice,
    /// It holds VMCOREINFO.
    Vmcoreinfo,
    /// Counted by nobody: on its way to or from the allocator.
    NotCounted,
    /// A single page that may have been split off one that something points to.
    BehindAnother,
    /// Nothing means it.
    Lost,
}

/// The fates of all blocks, in their order.
pub(super) fn of_all(
    search: &Search<'_>,
    watch: &PageWatch,
    claims: &Claims,
    owners: &Owners,
    holders: &Holders<'_, '_>,
) -> Vec<Fate> {
    let mut run = Run::default();
    let numbered = (0u32..).zip(&watch.blocks.all);
    let mut fates: Vec<Fate> = numbered
        .map(|(number, block)| {
            run.reach(block);
            if let Some(owner) = owners.of_block.get(&number) {
                return Fate::Owned(*owner);
            }
            let own_word = owners.by_structure.get(&number);
            if owners.is_pointed_to(watch, number) {
                if let Some(owner) = own_word {
                    return Fate::Owned(*owner);
                }
                if watch.is_exact(number) {
                    run.add(number, block);
                }
                return Fate::PointedTo;
            }
            if !block.used {
                return Fate::NotCounted;
            }
            // What has an owner was not split off another's.
            if own_word.is_some() {
                return Fate::Lost;
            }
            match run.may_hold(block, |number| holders.is_variable(number)) {
                true => Fate::BehindAnother,
                false => Fate::Lost,
            }
        })
        .collect();
    let is_lost = |(number, fate): (u32, &Fate)| (*fate == Fate::Lost).then_some(number);
    let mut lost: Vec<u32> = (0u32..).zip(&fates).filter_map(is_lost).collect();
    let is_table = |number: u32| {
        let owner = owners.of_block.get(&number);
        let owner = owner.and_then(|owner| claims.owners.get(*owner as usize));
        owner.is_some_and(|owner| owner.kind == "page_tables")
    };
    let by_device = physical::take(search, watch, &mut lost, is_table);
    let taken = by_device.into_iter().map(|number| {
        let own_word = owners.by_structure.get(&number);
        let fate = own_word.map_or(Fate::ByDevice, |owner| Fate::Owned(*owner));
        (number, fate)
    });
    let text = vmcoreinfo::take(search, watch, &mut lost);
    let text = text.map(|number| (number, Fate::Vmcoreinfo));
    for (number, fate) in taken.chain(text) {
        if let Some(place) = fates.get_mut(number as usize) {
            *place = fate;
        }
    }
    fates
}
