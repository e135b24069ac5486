//! A [`crate::Machine`] as crash-dump files.
//!
//! | module | format |
//! |---|---|
//! | [`elf`] | ELF vmcore of /proc/vmcore, makedumpfile -E and QEMU |
//! | [`kdump`] | kdump-compressed (diskdump), whole or split |
//! | [`flattened`] | makedumpfile -F around any of them |
//! | [`images`] | LiME, AVML, savevm, VMware, raw |

pub mod codec;
pub mod elf;
pub mod flattened;
pub mod images;
pub mod kdump;
mod le;
mod lzo;
pub mod notes;

pub(crate) use le::Le;
