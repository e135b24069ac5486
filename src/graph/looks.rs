//! What the objects of each cache look like: of the unreachable ones also when they were made, and
//! whose they are.

use rayon::prelude::*;

use super::ages::{self, AgeField};
use super::charged::{Charge, Charges};
use super::content::{self, Content};
use super::kept;
use super::lost::Lost;
use super::scan::Found;
use super::search::Search;
use crate::kernel::variables::Variables;

/// Of the objects of one cache.
pub(super) struct Looks {
    pub(super) content: Content,
    /// Of those that something points to.
    pub(super) kept: Content,
    pub(super) ages: Vec<AgeField>,
    pub(super) charged_to: Vec<Charge>,
}

/// Looks at the objects of each cache.
pub(super) fn of_all(
    search: &Search<'_>,
    symbols: &Variables<'_>,
    lost: &[Lost],
    charges: &Charges<'_>,
    found: &Found,
) -> Vec<Looks> {
    let (kernel, targets) = (search.kernel, &search.targets);
    let times = ages::Times::read(kernel);
    let kept = kept::look(search, symbols, found);
    let caches = lost.par_iter().zip(search.heap.caches()).zip(kept);
    let looks = caches.map(|((lost, cache), kept)| {
        let (addresses, count) = (|| lost.addresses(found, targets), lost.objects);
        let content = || content::look(kernel, symbols, addresses(), count, cache.object_size);
        let ages = || {
            times.as_ref().map_or_else(Vec::new, |times| {
                ages::look(kernel, times, cache, addresses(), count)
            })
        };
        let charged_to = || charges.sum(lost.numbers(found, targets));
        let (content, (ages, charged_to)) = rayon::join(content, || rayon::join(ages, charged_to));
        Looks {
            content,
            kept,
            ages,
            charged_to,
        }
    });
    looks.collect()
}
