// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Loses pages, single ones and blocks of eight; each block begins with the text
 * "lost-page-NNNNNN". Nothing knows of them any more but the page allocator.
 */
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include "ledger.h"

#define BLOCK_ORDER 3

static int pages = 1000;
module_param(pages, int, 0444);
static int blocks = 50;
module_param(blocks, int, 0444);

static noinline int lose(int count, unsigned int order, const char *kind)
{
	int i;

	for (i = 0; i < count; i++) {
		unsigned long at = __get_free_pages(GFP_KERNEL | __GFP_ZERO |
						    (order ? __GFP_COMP : 0), order);

		if (!at)
			return -ENOMEM;
		snprintf((char *)at, PAGE_SIZE, "lost-page-%06d", i);
		ledger_add(kind, (void *)at);
	}
	return 0;
}

static int __init pages_init(void)
{
	int error = ledger_open();

	if (!error)
		error = lose(pages, 0, "page");
	if (!error)
		error = lose(blocks, BLOCK_ORDER, "block");
	pr_info("pages: %d pages and %d blocks lost\n", pages, blocks);
	return error;
}

module_init(pages_init);
MODULE_DESCRIPTION("loses pages in known numbers");
MODULE_LICENSE("Dual MIT/GPL");
