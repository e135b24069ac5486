//! Blocks of large kmalloc that nothing points to, judged as areas of vmalloc are: by their
//! number and size. Nobody records who asked for them; what they hold may tell.

use serde::Serialize;

use super::super::accounting::{Level, Reason, share};
use super::coverage::Trust;
use super::{LeakVerdict, Owner, alike, reason};
use crate::addr::VirtAddr;
use crate::graph::{BlockReach, Cluster};

/// Fewer blocks prove nothing, unless they are large. On the tested dumps none is lost by chance.
const LOST: u64 = 10;
/// Of RAM.
const LARGE: f64 = 0.01;
/// Of the lost, as with objects.
const ALIKE: f64 = 0.5;
/// Addresses given.
const ADDRESSES: usize = 10_000;

/// Blocks of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BlockSize {
    /// Bytes of each.
    pub size: u64,
    /// How many there are.
    pub blocks: u64,
    /// Of these, those that nothing points to.
    pub unreachable: u64,
}

/// The blocks of large kmalloc with a verdict.
#[derive(Clone, Debug, Serialize)]
pub struct BlocksJudgement {
    /// What it comes to.
    pub verdict: LeakVerdict,
    /// Blocks that could be judged; `None` if the kernel does not mark them.
    pub judged: Option<u64>,
    /// Of these, those that nothing points to; `None` if the search could not tell.
    pub unreachable: Option<u64>,
    /// The memory that those hold.
    pub bytes: Option<u64>,
    /// By size, the smallest first.
    pub sizes: Vec<BlockSize>,
    /// Where those lie that nothing points to; the first ones.
    pub blocks: Vec<VirtAddr>,
    /// What they begin with.
    pub clusters: Vec<Cluster>,
    /// Whose they seem to be.
    pub owners: Vec<Owner>,
    /// Command lines of crash and drgn that check it.
    pub check_with: Vec<String>,
}

/// Judges the blocks.
pub fn judge(reach: &BlockReach, trust: &Trust, memory_bytes: Option<u64>) -> BlocksJudgement {
    let lost = reach.lost.len() as u64;
    let bytes = reach.lost_bytes();
    let large = memory_bytes.is_some_and(|memory| share(bytes, memory) > LARGE);
    let many = lost >= LOST || large;
    let owners = alike::owners_of(&reach.content, lost);
    let verdict = verdict(reach, trust, &owners, many);
    let known = |count: u64| (reach.marked && trust.reliable).then_some(count);
    BlocksJudgement {
        verdict,
        judged: reach.marked.then(|| reach.judged()),
        unreachable: known(lost),
        bytes: known(bytes),
        sizes: sizes(reach),
        blocks: reach.lost.iter().take(ADDRESSES).copied().collect(),
        clusters: reach.content.named(),
        owners,
        check_with: match many {
            true => commands(reach),
            false => Vec::new(),
        },
    }
}

/// `many` are more than chance makes.
fn verdict(reach: &BlockReach, trust: &Trust, owners: &[Owner], many: bool) -> LeakVerdict {
    let mut verdict = LeakVerdict::undecided(trust);
    if !reach.marked {
        verdict.not_checked.push(reason(
            "blocks-not-marked",
            "coverage",
            "this kernel does not mark the pages of large kmalloc (6.15 and later do): none of them is searched for".to_owned(),
        ));
    }
    verdict.level = match (many, trust.reliable) {
        (true, true) => {
            verdict.r#for = evidence(reach, owners);
            verdict.by_evidence()
        }
        (true, false) => Level::Inconclusive,
        (false, _) => {
            verdict.against.extend(reachable(reach));
            Level::Clean
        }
    };
    verdict
}

fn sizes(reach: &BlockReach) -> Vec<BlockSize> {
    let sizes = reach.sizes.iter();
    sizes
        .map(|(size, of)| BlockSize {
            size: *size,
            blocks: of.blocks,
            unreachable: of.unreachable,
        })
        .collect()
}

fn evidence(reach: &BlockReach, owners: &[Owner]) -> Vec<Reason> {
    let (lost, bytes) = (reach.lost.len() as u64, reach.lost_bytes());
    let text = format!(
        "nothing in memory points to {lost} of {} blocks, which hold {bytes} bytes",
        reach.judged()
    );
    let mut found = vec![reason("unreachable", "reachability", text)];
    // One block alone is always like itself.
    if lost < LOST {
        return found;
    }
    found.extend(alike::evidence(&reach.content, owners));
    let leader = reach.led_by.first();
    if let Some(from) = leader.filter(|from| share(from.references, lost) >= ALIKE) {
        let text = format!(
            "{} of them hang on unreachable objects of {}",
            from.references, from.holder
        );
        found.push(reason("led-by", "reachability", text));
    }
    found
}

fn reachable(reach: &BlockReach) -> Option<Reason> {
    let judged = reach.judged();
    let text = match reach.lost.len() {
        0 => format!("all of the {judged} blocks can be reached"),
        few => format!("all but {few} of the {judged} blocks can be reached"),
    };
    (judged > 0).then(|| reason("reachable", "reachability", text))
}

fn commands(reach: &BlockReach) -> Vec<String> {
    let Some(example) = reach.lost.first() else {
        return Vec::new();
    };
    vec![
        format!("crash> kmem {example}"),
        format!("crash> rd -SS {example} 32"),
        format!("crash> search -k -m 0xfff {example}"),
        format!("drgn> virt_to_page({example})"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{BlocksOfSize, Content, Coverage};

    const SIZE: u64 = 16 << 10;

    fn trust(all_tasks: bool) -> Trust {
        Trust::of(&Coverage {
            all_tasks,
            ..Coverage::default()
        })
    }

    fn reach(lost: u64, text: Option<&str>) -> BlockReach {
        let of = BlocksOfSize {
            blocks: 100,
            unreachable: lost,
        };
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
        BlockReach {
            marked: true,
            sizes: [(SIZE, of)].into(),
            lost: (0..lost).map(|at| VirtAddr(at * SIZE)).collect(),
            content: Content {
                looked_at: lost,
                clusters: vec![cluster],
            },
            ..BlockReach::default()
        }
    }

    #[test]
    fn many_are_suspect_and_if_alike_a_leak() {
        let level = |lost, text| judge(&reach(lost, text), &trust(true), None).verdict.level;
        assert_eq!(level(9, Some("text")), Level::Clean);
        assert_eq!(level(10, None), Level::Suspect);
        assert_eq!(level(10, Some("text")), Level::Leak);
        let doubtful = judge(&reach(10, Some("text")), &trust(false), None);
        assert_eq!(doubtful.verdict.level, Level::Inconclusive);
        assert_eq!((doubtful.unreachable, doubtful.bytes), (None, None));
    }

    #[test]
    fn a_single_large_one_is_suspect_whatever_it_holds() {
        let one = reach(1, Some("text"));
        let judged = |memory| judge(&one, &trust(true), Some(memory));
        assert_eq!(judged(SIZE * 99).verdict.level, Level::Suspect);
        assert_eq!(judged(SIZE * 100).verdict.level, Level::Clean);
        assert_eq!(judged(SIZE * 100).unreachable, Some(1));
    }

    #[test]
    fn a_kernel_that_does_not_mark_them_says_so() {
        let judged = judge(&BlockReach::default(), &trust(true), None);
        assert_eq!((judged.judged, judged.unreachable), (None, None));
        assert_eq!(judged.verdict.not_checked[0].code, "blocks-not-marked");
    }
}
