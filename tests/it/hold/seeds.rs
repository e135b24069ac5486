//! The seeds of the fuzz targets, and the inputs that once made one fail, on the stable toolchain.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::fuzz;

/// Generous: the slowest takes a second.
const LIMIT: Duration = Duration::from_secs(20);

fn seeds(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/seeds");
    let entries = std::fs::read_dir(folder.join(target)).expect("a folder of seeds");
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_seed_comes_back() {
    for (target, run) in fuzz::ALL {
        let seeds = seeds(target);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for seed in seeds {
            let data = std::fs::read(&seed).expect("a seed reads");
            let started = Instant::now();
            run(&data);
            assert!(started.elapsed() < LIMIT, "{}", seed.display());
        }
    }
}

/// A fuzz target without a function here would never be replayed.
#[test]
fn every_target_is_replayed() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let named = manifest.lines().filter(|line| *line == "[[bin]]").count();
    assert_eq!(named, fuzz::ALL.len());
    for (target, _) in fuzz::ALL {
        assert!(manifest.contains(&format!("path = \"targets/{target}.rs\"")));
    }
}
