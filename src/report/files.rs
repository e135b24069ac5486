//! The part of `files`: file systems and files by what is in memory of them.

use serde::Serialize;

use crate::subsys::fs::{FileFacts, FilesFacts, MountFacts, SegmentFacts};

/// Over all file systems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FilesTotals {
    /// Bytes in RAM.
    pub cached_bytes: u64,
    /// Of these, memory of its own: tmpfs and shared memory, which only swap can take.
    pub shmem_bytes: u64,
    /// Swapped out.
    pub swapped_bytes: u64,
    /// Of files that no directory has any more.
    pub deleted_bytes: u64,
}

/// The part of `files`.
#[derive(Clone, Debug, Serialize)]
pub struct FilesReport {
    /// Over all.
    pub totals: FilesTotals,
    /// Those with the most first.
    pub mounts: Vec<MountFacts>,
    /// Those with the most first, as many as were asked for.
    pub files: Vec<FileFacts>,
    /// Segments of shared memory by System V, as `ipcs -m` has them.
    pub segments: Vec<SegmentFacts>,
}

impl FilesReport {
    /// Sums up.
    pub fn new(facts: FilesFacts) -> Self {
        let mut totals = FilesTotals::default();
        for mount in &facts.mounts {
            totals.cached_bytes += mount.cached_bytes;
            totals.swapped_bytes += mount.swapped_bytes;
            totals.deleted_bytes += mount.deleted_bytes;
            if mount.shmem {
                totals.shmem_bytes += mount.cached_bytes;
            }
        }
        Self {
            totals,
            mounts: facts.mounts,
            files: facts.files,
            segments: facts.segments,
        }
    }
}
