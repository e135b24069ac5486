// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A module that is unloaded: with its objects left behind, or with all freed
 * (keep=0), as one that is loaded again and again should do.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

static unsigned int seed = 1;
static bool leave = true;
static unsigned int count, size;
module_param(seed, uint, 0444);
module_param(leave, bool, 0444);
module_param(count, uint, 0444);
module_param(size, uint, 0444);

struct left {
	struct left *next;
	void (*release)(struct left *left);
	u64 number;
};

static struct left *gone_first;

static noinline void gone_release(struct left *left)
{
	pr_info("gone: %llu released\n", left->number);
}

static int __init gone_init(void)
{
	unsigned int i, ask = 64 + seed * 2654435761u % 900;
	struct left *left = NULL;

	count = min(30000u, (2 + seed % 5) * (1 << 20) / ask);
	for (i = 0; i < count; i++) {
		left = kzalloc(ask, GFP_KERNEL);
		if (!left)
			return -ENOMEM;
		left->release = gone_release;
		left->number = i;
		left->next = gone_first;
		gone_first = left;
	}
	size = ksize(left);
	return 0;
}

static void __exit gone_exit(void)
{
	while (gone_first) {
		struct left *left = gone_first;

		gone_first = left->next;
		left->next = NULL;
		if (!leave)
			kfree(left);
	}
}

module_init(gone_init);
module_exit(gone_exit);
MODULE_DESCRIPTION("is unloaded, and may leave its objects behind");
MODULE_LICENSE("Dual MIT/GPL");
