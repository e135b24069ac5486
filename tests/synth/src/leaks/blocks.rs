//! Blocks of large kmalloc: kept and unreachable ones, in kernels that mark them.

use super::web::Web;
use crate::slub::page::make_compound;
use crate::slub::page::reference_count;

/// Text that some of the lost begin with.
const TEXT: &[u8] = b"frame-buffer-";

/// Lays all of them; the one that waits in a batch of kfree_rcu() for the caller to put there.
pub(super) fn lay(web: &mut Web<'_>) -> Option<u64> {
    web.kernel.types.enumerator("PGTY_large_kmalloc")?;
    kept(web);
    lost(web);
    // Nothing points to it, but it is not lost: it was given back.
    Some(block(web, 2))
}

/// By a variable, by an object and into the middle, by another block, by a page structure.
fn kept(web: &mut Web<'_>) {
    let [by_variable, by_object, by_block, by_page] = [2, 3, 5, 2].map(|order| block(web, order));
    web.keep(by_variable);
    let object = web.take("kmalloc-64");
    web.keep(object);
    web.point(object, 1, by_object + 5 * web.kernel.page_size() + 0x18);
    // From its last page.
    web.point(by_object + 7 * web.kernel.page_size(), 511, by_block);
    let frame = web.kernel.boot.take(0);
    web.kernel.memory.touch(frame, 1);
    let page = web.kernel.space.page(frame);
    web.kernel.set(page, "page", reference_count(web.kernel), 1);
    web.kernel.set(page, "page", "private", by_page);
    for kept in [by_variable, by_object, by_block, by_page] {
        let (first, second) = (web.take("inode_cache"), web.take("kmalloc-192"));
        web.point(kept + web.kernel.page_size(), 77, first);
        web.point(first, 31, second);
    }
}

/// One by one, each pointing to itself; behind a lost object, behind another, and what only they
/// lead to.
fn lost(web: &mut Web<'_>) {
    for number in 0..11u8 {
        let alone = lose(web, 2);
        let text = [TEXT, &[b'0' + number % 10, 0]].concat();
        web.kernel.write(alone, &text);
        web.point(alone, 300, alone + 0x40);
    }
    let holder = web.lose_source("kmalloc-64");
    let (of_object, of_block) = (lose(web, 3), lose(web, 4));
    web.point(holder, 5, of_object + 9);
    web.point(of_object, 4000, of_block);
    let held = web.lose("kmalloc-192");
    web.point(of_block, 15 * 512, held);
}

fn lose(web: &mut Web<'_>, order: u32) -> u64 {
    let start = block(web, order);
    web.truth.lost_blocks.push(start);
    start
}

/// A block that nothing points to yet.
fn block(web: &mut Web<'_>, order: u32) -> u64 {
    let frame = web.kernel.boot.take(order);
    web.kernel.memory.touch(frame, 1 << order);
    make_compound(web.kernel, frame, order);
    let page = web.kernel.space.page(frame);
    let kind = web.kernel.types.constant("PGTY_large_kmalloc") << 24;
    web.kernel.set(page, "page", "page_type", kind);
    web.kernel.set(page, "page", reference_count(web.kernel), 1);
    web.truth.block_pages += 1 << order;
    web.truth.blocks += 1;
    web.kernel.space.direct(frame << web.kernel.page_shift())
}
