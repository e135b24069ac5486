//! Allocations of per-CPU memory that nothing points to, judged as blocks of large kmalloc are.

use serde::Serialize;

use super::super::accounting::Reason;
use super::coverage::Trust;
use super::{LeakVerdict, Owner, alike, reason};
use crate::graph::{Cluster, LostPercpu, PercpuReach};

/// Fewer allocations prove nothing, as with objects. On eight dumps without such a leak none of 57 to
/// 1,832 was known to nobody.
const LOST: u64 = 50;
/// Allocations given.
const LISTED: usize = 10_000;

/// The allocations with a verdict.
#[derive(Clone, Debug, Serialize)]
pub struct PercpuJudgement {
    /// What it comes to.
    pub verdict: LeakVerdict,
    /// Allocations that could be judged; `None` if this kernel's can't be told.
    pub judged: Option<u64>,
    /// Of these, those that nothing points to; `None` if the search could not tell.
    pub unreachable: Option<u64>,
    /// The memory that those take on all CPUs.
    pub bytes: Option<u64>,
    /// By pointer; the first ones.
    pub allocations: Vec<LostPercpu>,
    /// What they begin with.
    pub clusters: Vec<Cluster>,
    /// Whose they seem to be.
    pub owners: Vec<Owner>,
    /// Command lines of crash and drgn that check it.
    pub check_with: Vec<String>,
}

/// Judges them.
pub fn judge(reach: &PercpuReach, trust: &Trust) -> PercpuJudgement {
    let lost = reach.lost.len() as u64;
    let many = lost >= LOST;
    let owners = alike::owners_of(&reach.content, lost);
    let reliable = trust.reliable && reach.judged.is_some();
    let mut verdict = LeakVerdict::undecided(trust);
    if reach.judged.is_none() {
        verdict.not_checked.push(reason(
            "percpu-not-told",
            "coverage",
            "what is allocated of per-CPU memory can't be told, or not all of it: that nothing points to it is not said".to_owned(),
        ));
    }
    if many && reliable {
        verdict.r#for = evidence(reach, &owners);
    }
    if many {
        verdict.level = verdict.by_evidence();
    }
    let known = |count: u64| reliable.then_some(count);
    PercpuJudgement {
        verdict,
        judged: reach.judged,
        unreachable: known(lost),
        bytes: known(reach.lost_bytes()),
        allocations: reach.lost.iter().take(LISTED).copied().collect(),
        clusters: reach.content.named(),
        owners,
        check_with: match reach.lost.first() {
            Some(example) if many => commands(example),
            _ => Vec::new(),
        },
    }
}

fn evidence(reach: &PercpuReach, owners: &[Owner]) -> Vec<Reason> {
    let message = format!(
        "nothing in memory points to {} of {} per-CPU allocations made since boot, which take {} bytes on {} CPUs",
        reach.lost.len(),
        reach.judged.unwrap_or(0),
        reach.lost_bytes(),
        reach.cpus
    );
    let mut found = vec![reason("unreachable", "reachability", message)];
    found.extend(alike::evidence(&reach.content, owners));
    found
}

fn commands(example: &LostPercpu) -> Vec<String> {
    let LostPercpu {
        pointer, address, ..
    } = example;
    vec![
        format!("crash> rd {address} 16"),
        format!("crash> search -k {pointer}"),
        format!("drgn> per_cpu_ptr(Object(prog, 'void *', {pointer}), 0)"),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::super::accounting::Level;
    use super::*;
    use crate::addr::VirtAddr;
    use crate::graph::{Content, Coverage};

    fn reach(lost: u64, text: Option<&str>) -> PercpuReach {
        let cluster = Cluster {
            text: text.map(str::to_owned),
            text_at: 0,
            format: None,
            symbols: Vec::new(),
            empty_lists: Vec::new(),
            objects: lost,
            examples: Vec::new(),
            members: Vec::new(),
        };
        let one = |number| LostPercpu {
            pointer: VirtAddr(0x60fe_c000_0000 + number * 64),
            address: VirtAddr(0xffff_e8ff_ffc0_0000 + number * 64),
            bytes: 64,
        };
        PercpuReach {
            judged: Some(1000),
            lost: (0..lost).map(one).collect(),
            cpus: 4,
            content: Content {
                looked_at: lost,
                clusters: vec![cluster],
            },
        }
    }

    fn trust(all_tasks: bool) -> Trust {
        Trust::of(&Coverage {
            all_tasks,
            ..Coverage::default()
        })
    }

    #[test]
    fn many_are_suspect_and_if_alike_a_leak() {
        let level = |lost, text| judge(&reach(lost, text), &trust(true)).verdict.level;
        assert_eq!(level(49, Some("text")), Level::Clean);
        assert_eq!(level(50, None), Level::Suspect);
        assert_eq!(level(50, Some("text")), Level::Leak);
        assert_eq!(
            judge(&reach(50, None), &trust(true)).bytes,
            Some(50 * 64 * 4)
        );
    }

    #[test]
    fn nothing_is_said_to_be_lost_where_that_can_not_be_told() {
        let unreliable = judge(&reach(100, Some("text")), &trust(false));
        assert_eq!(unreliable.verdict.level, Level::Inconclusive);
        let of = PercpuReach {
            judged: None,
            ..reach(100, Some("text"))
        };
        let unknown = judge(&of, &trust(true));
        assert_eq!(unknown.verdict.level, Level::Inconclusive);
        assert_eq!((unknown.unreachable, unknown.bytes), (None, None));
        assert_eq!(unknown.verdict.not_checked[0].code, "percpu-not-told");
    }
}
