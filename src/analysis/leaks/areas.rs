//! Areas of vmalloc that nothing points to, judged as a cache is.
//!
//! The kernel records who asked for each area, so owners are known and not guessed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::accounting::{Level, Reason, share};
use super::coverage::Trust;
use super::{LeakVerdict, Owner, reason};
use crate::addr::VirtAddr;
use crate::graph::{AreaReach, Cluster, LostArea};
use crate::kernel::symbolize::Symbolized;

/// Fewer areas prove nothing, unless they are large. On the tested dumps none is lost by chance.
const LOST: u64 = 10;
/// Of RAM.
const LARGE: f64 = 0.01;
/// Of the lost, as with objects.
const ALIKE: f64 = 0.5;
/// Addresses given of each caller's.
const EXAMPLES: usize = 3;
/// Addresses given in all.
const ADDRESSES: usize = 10_000;

/// Who asked for areas that nothing points to.
#[derive(Clone, Debug, Serialize)]
pub struct AreaCaller {
    /// The function; `None` if it has no name.
    pub caller: Option<String>,
    /// Its module, unless it is the kernel's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// How many areas nothing points to.
    pub areas: u64,
    /// How many more of the same sizes only a few words into their middle point to: likely lost
    /// too.
    pub hardly_held: u64,
    /// Memory that they hold.
    pub bytes: u64,
    /// Why they are no leak, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub benign: Option<&'static str>,
    /// The first ones.
    pub examples: Vec<VirtAddr>,
}

/// The areas of vmalloc with a verdict.
#[derive(Clone, Debug, Serialize)]
pub struct AreasJudgement {
    /// What it comes to.
    pub verdict: LeakVerdict,
    /// Areas that hold memory of their own.
    pub judged: u64,
    /// Of these, those that nothing points to; `None` if the search could not tell.
    pub unreachable: Option<u64>,
    /// The memory that those hold.
    pub bytes: Option<u64>,
    /// How many of them are known to be no leak.
    pub benign: u64,
    /// Who asked for them, the most memory first.
    pub callers: Vec<AreaCaller>,
    /// Where they lie, and then those hardly held; the first ones.
    pub areas: Vec<VirtAddr>,
    /// How many there are of those: `areas` has 10,000 at most.
    pub listed_of: u64,
    /// What they begin with, but for the benign.
    pub clusters: Vec<Cluster>,
    /// Whose they are.
    pub owners: Vec<Owner>,
    /// Command lines of crash and drgn that check it.
    pub check_with: Vec<String>,
}

/// Judges the areas.
pub fn judge(reach: &AreaReach, trust: &Trust, memory_bytes: Option<u64>) -> AreasJudgement {
    let mut callers = callers(&reach.lost);
    let hardly_held = hardly_held(reach, &mut callers);
    let sum = |count: fn(&AreaCaller) -> u64, benign: bool| -> u64 {
        let chosen = callers.iter().filter(|c| c.benign.is_some() == benign);
        chosen.map(count).sum()
    };
    let lost = sum(|caller| caller.areas, false);
    let bytes = sum(|caller| caller.bytes, false);
    let large = memory_bytes.is_some_and(|memory| share(bytes, memory) > LARGE);
    let owners = owners(&callers, lost);
    let mut judgement = AreasJudgement {
        verdict: LeakVerdict {
            level: Level::Clean,
            r#for: Vec::new(),
            against: against(&callers, reach, lost),
            not_checked: trust.reasons.clone(),
        },
        judged: reach.judged,
        unreachable: trust.reliable.then_some(reach.lost.len() as u64),
        bytes: trust
            .reliable
            .then(|| bytes + sum(|caller| caller.bytes, true)),
        benign: sum(|caller| caller.areas, true),
        check_with: Vec::new(),
        areas: addresses(reach, &hardly_held).take(ADDRESSES).collect(),
        listed_of: addresses(reach, &hardly_held).count() as u64,
        clusters: reach.content.named(),
        callers,
        owners,
    };
    let verdict = &mut judgement.verdict;
    if !reach.complete {
        verdict.not_checked.push(reason(
            "areas-missing",
            "coverage",
            "not all areas of vmalloc could be read".to_owned(),
        ));
    }
    let many = lost >= LOST || large;
    verdict.level = match (many, trust.reliable) {
        (true, true) => {
            verdict.against.retain(|reason| reason.code != "reachable");
            verdict.r#for = evidence(reach, &judgement.owners, lost, bytes);
            let hidden: u64 = judgement.callers.iter().map(|c| c.hardly_held).sum();
            if let Some(first) = verdict.r#for.first_mut().filter(|_| hidden > 0) {
                first.message = format!(
                    "{}; to {hidden} more of the same callers only a few words, which may be stale",
                    first.message
                );
            }
            verdict.by_evidence()
        }
        (true, false) => Level::Inconclusive,
        (false, _) if !reach.complete => Level::Inconclusive,
        (false, _) => Level::Clean,
    };
    if many {
        judgement.check_with = commands(&judgement.callers);
    }
    judgement
}

/// kernel/fork.c: free_thread_stack() keeps two stacks on each CPU for the next tasks, by the
/// record of their area alone (`cached_stacks`).
const CACHED_STACK: &str = "stacks that are kept for the next tasks (cached_stacks)";

fn callers(lost: &[LostArea]) -> Vec<AreaCaller> {
    let mut by_caller: BTreeMap<_, AreaCaller> = BTreeMap::new();
    for area in lost {
        let caller = area.caller.as_ref();
        let function = caller.map(|caller| caller.function.clone());
        let module = caller.and_then(|caller| caller.module.clone());
        let benign = area.cached_stack.then_some(CACHED_STACK);
        let of = by_caller
            .entry((function, module, benign))
            .or_insert_with(|| AreaCaller {
                caller: caller.map(Symbolized::symbol),
                module: caller.and_then(|caller| caller.module.clone()),
                areas: 0,
                hardly_held: 0,
                bytes: 0,
                benign,
                examples: Vec::new(),
            });
        of.areas += 1;
        of.bytes = of.bytes.saturating_add(area.bytes);
        if of.examples.len() < EXAMPLES {
            of.examples.push(area.start);
        }
    }
    let mut callers: Vec<AreaCaller> = by_caller.into_values().collect();
    callers.sort_by_key(|caller| std::cmp::Reverse(caller.bytes));
    callers
}

/// The areas like those of callers that lost enough, but for a few words that point into them.
fn hardly_held<'r>(reach: &'r AreaReach, callers: &mut [AreaCaller]) -> Vec<&'r LostArea> {
    let sizes: BTreeSet<(Option<String>, u64)> = reach
        .lost
        .iter()
        .map(|area| (area.caller.as_ref().map(Symbolized::symbol), area.bytes))
        .collect();
    let mut found = Vec::new();
    for area in reach.hardly_held.iter().filter(|area| !area.cached_stack) {
        let name = area.caller.as_ref().map(Symbolized::symbol);
        let mut callers = callers.iter_mut();
        let caller = callers.find(|caller| {
            caller.caller == name && caller.benign.is_none() && caller.areas >= LOST
        });
        if let Some(caller) = caller.filter(|_| sizes.contains(&(name, area.bytes))) {
            caller.hardly_held += 1;
            found.push(area);
        }
    }
    found
}

fn addresses<'r>(
    reach: &'r AreaReach,
    more: &'r [&LostArea],
) -> impl Iterator<Item = VirtAddr> + 'r {
    let lost = reach.lost.iter().filter(|area| !area.cached_stack);
    let all = lost.chain(more.iter().copied());
    all.map(|area| area.start)
}

/// Those that asked for half of the lost areas or more.
fn owners(callers: &[AreaCaller], lost: u64) -> Vec<Owner> {
    let chosen = callers
        .iter()
        .filter(|c| c.benign.is_none() && share(c.areas, lost) >= ALIKE);
    let owners = chosen.filter_map(|caller| {
        Some(Owner {
            module: caller
                .module
                .clone()
                .unwrap_or_else(|| "vmlinux".to_owned()),
            how: format!("{} asked for them", caller.caller.as_ref()?),
            share: Some(share(caller.areas, lost)),
            sites: Vec::new(),
        })
    });
    owners.collect()
}

fn evidence(reach: &AreaReach, owners: &[Owner], lost: u64, bytes: u64) -> Vec<Reason> {
    let text = format!(
        "nothing in memory points to {lost} of {} areas, which hold {bytes} bytes",
        reach.judged
    );
    let mut found = vec![reason("unreachable", "reachability", text)];
    if let Some(owner) = owners.first() {
        let (code, text) = match owner.module.as_str() {
            "vmlinux" => ("same-caller", owner.how.clone()),
            module => ("owner", format!("module {module}: {}", owner.how)),
        };
        found.push(reason(code, "caller", text));
    }
    let alike = reach.content.clusters.first().filter(|cluster| {
        share(cluster.objects, reach.content.looked_at) >= ALIKE && cluster.text.is_some()
    });
    if let Some(text) = alike.and_then(Cluster::describe_text) {
        let text = format!("most of them are alike: they {text}");
        found.push(reason("alike", "content", text));
    }
    found
}

fn against(callers: &[AreaCaller], reach: &AreaReach, lost: u64) -> Vec<Reason> {
    let mut found = Vec::new();
    if reach.judged > 0 {
        let text = match lost {
            0 => format!("all of the {} areas can be reached", reach.judged),
            few => format!("all but {few} of the {} areas can be reached", reach.judged),
        };
        found.push(reason("reachable", "reachability", text));
    }
    let benign = callers.iter().filter_map(|caller| {
        let why = caller.benign?;
        let text = format!(
            "{} that nothing points to are meant so: {why}",
            caller.areas
        );
        Some(reason("benign", "reachability", text))
    });
    found.extend(benign);
    found
}

fn commands(callers: &[AreaCaller]) -> Vec<String> {
    let mut commands = vec!["crash> kmem -v".to_owned()];
    let lost = callers.iter().find(|caller| caller.benign.is_none());
    if let Some(example) = lost.and_then(|caller| caller.examples.first()) {
        commands.extend([
            format!("crash> rd -SS {example} 32"),
            format!("crash> search -k -m 0xfff {example}"),
            format!("drgn> find_vmap_area(prog, {example})"),
        ]);
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Coverage;

    fn area(start: u64, function: &str, cached_stack: bool) -> LostArea {
        LostArea {
            start: VirtAddr(start),
            bytes: 4096,
            caller: Some(Symbolized {
                function: function.to_owned(),
                offset: 0,
                size: 1,
                module: None,
            }),
            cached_stack,
        }
    }

    fn trust(all_tasks: bool) -> Trust {
        Trust::of(&Coverage {
            all_tasks,
            ..Coverage::default()
        })
    }

    fn reach(lost: Vec<LostArea>) -> AreaReach {
        AreaReach {
            judged: 100,
            lost,
            complete: true,
            ..AreaReach::default()
        }
    }

    #[test]
    fn cached_stacks_and_a_few_are_no_leak() {
        let stacks = (0..20).map(|at| area(at << 16, "alloc_thread_stack_node", true));
        let few = (30..39).map(|at| area(at << 16, "f", false));
        let judged = judge(&reach(stacks.chain(few).collect()), &trust(true), None);
        assert_eq!(judged.verdict.level, Level::Clean);
        assert_eq!((judged.unreachable, judged.benign), (Some(29), 20));
    }

    #[test]
    fn of_many_callers_they_are_suspect_and_of_one_a_leak() {
        let many = (0..10).map(|at| area(at << 16, &format!("f{at}"), false));
        let judged = judge(&reach(many.collect()), &trust(true), None);
        assert_eq!(judged.verdict.level, Level::Suspect);
        let one = || reach((0..10).map(|at| area(at << 16, "f", false)).collect());
        assert_eq!(judge(&one(), &trust(true), None).verdict.level, Level::Leak);
        let doubtful = judge(&one(), &trust(false), None);
        assert_eq!(doubtful.verdict.level, Level::Inconclusive);
        assert_eq!(doubtful.unreachable, None);
    }

    #[test]
    fn a_single_large_one_counts() {
        let one = || reach(vec![area(0, "f", false)]);
        let level = |memory| judge(&one(), &trust(true), memory).verdict.level;
        assert_eq!(level(Some(4096 * 99)), Level::Leak);
        assert_eq!(level(Some(4096 * 100)), Level::Clean);
    }
}
