//! What piles up in one place: a list, a table or an array that holds much of a cache.

use super::super::owners::Owner;
use super::{Evidence, HOARD, reason};
use crate::analysis::accounting::{Level, Reason, share};
use crate::graph::alive::{Container, ContainerKind};
use crate::graph::{CacheReach, Holder, ReachFacts};
use crate::subsys::mm::slab::CacheFacts;
use crate::subsys::mm::slab::SlabFacts;

/// As many on one list of a module's are a list that only grows.
const PILE: u64 = 10 * HOARD;
/// A pile is so many times as large as any other of its kind.
const LARGER: u64 = 10;
/// It holds at least one of so many objects of the cache.
const PART: u64 = 10;
/// The same of an array of a module that names its objects one by one, where the cache is no
/// kmalloc's: nobody has an array of hundreds of another's files or names by chance.
const PART_OF_NAMED: u64 = 50;
/// Of the references to objects that form a list of a module's, the list's own share.
const LINKED: f64 = 0.90;

/// Whether it is worth to look where things pile up, which takes as long as the search: a module
/// holds something of a cache with many objects that is not its own.
pub fn may_pile_up(slabs: &SlabFacts, reach: &ReachFacts) -> bool {
    let large = |reach: &&CacheReach| {
        let mut caches = slabs.caches.iter();
        let cache = caches.find(|cache| cache.address == reach.address);
        cache.is_some_and(|cache| cache.exact.allocated >= PILE)
    };
    let foreign = |reach: &CacheReach| {
        reach
            .in_modules
            .iter()
            .any(|one| !is_own(reach, &one.module))
    };
    reach
        .caches
        .iter()
        .filter(|reach| foreign(reach))
        .any(|reach| large(&reach))
}

/// Whether a module's variable holds the cache itself.
pub(super) fn is_own(reach: &CacheReach, module: &Option<String>) -> bool {
    let mut variables = reach.variables.iter();
    variables.any(|variable| variable.module == *module)
}

/// Whether hardly anybody but the objects themselves and modules holds them: a list that starts in
/// a module. What other parts of the kernel hold as well, a module only uses.
fn only_linked(reach: &CacheReach, itself: &str) -> bool {
    let own = |holder: &&Holder| holder.module.is_some() || holder.holder.starts_with(itself);
    let sum = |holders: &mut dyn Iterator<Item = &Holder>| -> u64 {
        holders.map(|holder| holder.references).sum()
    };
    let all = sum(&mut reach.holders.iter());
    share(sum(&mut reach.holders.iter().filter(own)), all) >= LINKED
}

/// The first variable of a module that holds objects of a cache which is not the module's own.
pub(super) fn foreign(reach: &CacheReach) -> Option<&Holder> {
    let mut holders = reach.in_modules.iter();
    holders.find(|holder| !is_own(reach, &holder.module))
}

impl Evidence {
    /// A list or table of one module that holds much of a cache which is not its own; whose it is.
    pub(super) fn hoarded(&mut self, reach: &CacheReach) -> Option<Owner> {
        let holder = foreign(reach).filter(|holder| holder.references >= HOARD)?;
        let text = format!(
            "{} of its objects are held by {}",
            holder.references, holder.holder
        );
        self.holds(reason("held-by-module", "reachability", text));
        owner(holder.module.as_deref(), &holder.holder)
    }

    /// One who holds many: a suspect, unless what is missing may have made it so.
    pub(super) fn holds(&mut self, reason: Reason) {
        self.hoard |= !self.doubted;
        match self.doubted {
            true => self.weak.push(reason),
            false => self.r#for.push(reason),
        }
    }

    /// Objects that point to each other, and a module to some: a hint, where nobody has looked how
    /// long the list is.
    pub(super) fn linked(&mut self, cache: &CacheFacts, reach: &CacheReach) {
        let itself = format!("{}+", cache.name);
        let first = reach.holders.first();
        let linked = first.filter(|first| first.holder.starts_with(&itself));
        if let Some((linked, holder)) = linked.zip(foreign(reach))
            && cache.exact.allocated >= 10 * HOARD
            && only_linked(reach, &itself)
            // Of kmalloc's caches nobody knows whose list it is.
            && !cache.name.contains("kmalloc")
        {
            let text = format!(
                "its objects are linked to each other, most often at {}, and {} holds some of them: `vmleak retained` says how long the list is",
                linked.holder, holder.holder
            );
            self.weak
                .push(reason("linked-from-module", "reachability", text));
        }
    }

    /// A list or array in a variable of a module that holds much of a cache which is not its own,
    /// and more than others of its kind: whose it is. Of other piles it is told which is the largest.
    pub(super) fn piled(
        &mut self,
        cache: &CacheFacts,
        reach: &CacheReach,
        containers: &[Container],
    ) -> Option<Owner> {
        let part = |one: &Container| match one.kind {
            ContainerKind::Array if !cache.name.contains("kmalloc") => PART_OF_NAMED,
            _ => PART,
        };
        let of_cache = containers.iter().filter(|one| {
            one.cache_address == Some(cache.address) && one.objects * part(one) >= one.of_cache
        });
        let is_pile = |one: &&Container| {
            let many = match one.kind {
                ContainerKind::Array => HOARD,
                _ => PILE,
            };
            let of_module = one.in_variable && one.module.is_some();
            let foreign = of_module && !is_own(reach, &one.module);
            foreign && one.objects >= many && one.objects >= one.next * LARGER
        };
        if let Some(pile) = of_cache.clone().find(is_pile) {
            self.holds(told(pile));
            return owner(pile.module.as_deref(), &pile.holder);
        }
        let largest = of_cache.max_by_key(|one| one.objects);
        if let Some(pile) = largest.filter(|_| self.by_size >= Some(Level::Suspect)) {
            self.weak.push(told(pile));
        }
        None
    }
}

/// The module whose variable holds them.
fn owner(module: Option<&str>, variable: &str) -> Option<Owner> {
    Some(Owner {
        module: module?.to_owned(),
        how: format!("its {variable} holds them"),
        share: None,
        sites: Vec::new(),
    })
}

/// `4,000 of 4,013 are on one list, hoard_queue [hoard]; the next of 12 such lists has 3`.
fn told(pile: &Container) -> Reason {
    let how = match pile.kind {
        ContainerKind::List => "on one list,",
        ContainerKind::Table => "in one table of lists, in",
        ContainerKind::Array => "in one array, in",
    };
    let root = match &pile.root {
        Some(root) if !pile.in_variable => format!(", which {root} leads to"),
        _ => String::new(),
    };
    let place = match pile.place.contains('.') {
        true => pile.place.clone(),
        false => format!("{}{}", pile.holder, pile.place),
    };
    let others = match pile.others {
        0 => "no other holds such objects so".to_owned(),
        others => format!(
            "of {others} others of its kind the largest has {}",
            pile.next
        ),
    };
    let text = format!(
        "{} of its {} objects are {how} {place}{root}; {others}",
        pile.objects, pile.of_cache
    );
    reason("piled-up", "reachability", text)
}

#[cfg(test)]
mod tests {
    use super::super::tests::cache;
    use super::*;
    use crate::addr::VirtAddr;

    fn pile(objects: u64, next: u64, module: Option<&str>) -> Container {
        Container {
            kind: ContainerKind::List,
            cache: "skbuff_head_cache".to_owned(),
            cache_address: Some(VirtAddr(64)),
            objects,
            of_cache: 4768,
            holder: "hoard_queue [hoard]".to_owned(),
            root: None,
            place: String::new(),
            address: None,
            module: module.map(str::to_owned),
            in_variable: true,
            others: 12,
            next,
        }
    }

    fn is_piled(pile: Container) -> bool {
        let mut cache = cache("skbuff_head_cache", 4768);
        cache.address = VirtAddr(64);
        let mut evidence = Evidence::default();
        let owner = evidence.piled(&cache, &CacheReach::default(), &[pile]);
        owner.is_some_and(|owner| owner.module == "hoard")
    }

    #[test]
    fn only_a_modules_list_far_beyond_its_sisters_is_a_pile() {
        assert!(is_piled(pile(4000, 3, Some("hoard"))));
        assert!(!is_piled(pile(4000, 3, None)));
        assert!(!is_piled(pile(4000, 401, Some("hoard"))));
        assert!(!is_piled(pile(999, 3, Some("hoard"))));
        let mut other = pile(4000, 3, Some("hoard"));
        other.cache_address = Some(VirtAddr(128));
        assert!(!is_piled(other));
        let mut part = pile(4000, 3, Some("hoard"));
        part.of_cache = 40_001;
        assert!(!is_piled(part.clone()));
        part.kind = ContainerKind::Array;
        assert!(is_piled(part));
    }

    #[test]
    fn a_pile_is_told_in_one_line() {
        let text = told(&pile(4000, 3, Some("hoard"))).message;
        assert_eq!(
            text,
            "4000 of its 4768 objects are on one list, hoard_queue [hoard]; of 12 others of its kind the largest has 3"
        );
    }
}
