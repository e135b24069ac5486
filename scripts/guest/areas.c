// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Loses vmalloc areas of three pages; each begins with the text
 * "lost-area-NNNNNN". The kernel's own list of areas still has them.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>
#include "ledger.h"

#define AREA_PAGES 3

static int areas = 40;
module_param(areas, int, 0444);

static noinline int lose_areas(void)
{
	int i;

	for (i = 0; i < areas; i++) {
		char *area = vmalloc(AREA_PAGES * PAGE_SIZE);

		if (!area)
			return -ENOMEM;
		memset(area, 0, AREA_PAGES * PAGE_SIZE);
		snprintf(area, PAGE_SIZE, "lost-area-%06d", i);
		ledger_add("area", area);
	}
	return 0;
}

static int __init areas_init(void)
{
	int error = ledger_open();

	if (!error)
		error = lose_areas();
	pr_info("areas: %d areas lost\n", areas);
	return error;
}

module_init(areas_init);
MODULE_DESCRIPTION("loses vmalloc areas in known numbers");
MODULE_LICENSE("Dual MIT/GPL");
