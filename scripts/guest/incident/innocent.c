// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What looks like a leak to who counts only. */
#include <linux/debugfs.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "incident.h"

static mempool_t *incident_pool, *incident_small_pool;
static void *incident_buckets;

/* Reserves and a table, as drivers set them aside when they are loaded. */
static int set_aside(void)
{
	incident_pool = mempool_create_kmalloc_pool(incident_pick(1000, 3000), 1024);
	incident_small_pool = mempool_create_kmalloc_pool(incident_pick(2000, 6000), 200);
	incident_buckets = vzalloc(incident_pick(2, 6) << 20);
	return incident_pool && incident_small_pool && incident_buckets ? 0 : -ENOMEM;
}

struct item {
	struct list_head link;
	struct incident_request request;
};

static struct kmem_cache *incident_items;
static LIST_HEAD(incident_items_left);

static void construct(void *object)
{
	memset(object, 0, sizeof(struct item));
}

/* A peak is over: one in so many is left, so that few slabs are empty. */
static int fragment(void)
{
	u32 size = sizeof(struct item) + 8 * incident_pick(0, 50), i;
	u32 count = incident_count(size, 8, 16), keep = incident_pick(10, 40);
	struct item *item, *next;

	incident_items = kmem_cache_create("incident_item", size, 0, 0, construct);
	if (!incident_items)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		item = kmem_cache_alloc(incident_items, GFP_KERNEL);
		if (!item)
			return -ENOMEM;
		incident_fill(&item->request, i);
		list_add_tail(&item->link, &incident_items_left);
	}
	list_for_each_entry_safe(item, next, &incident_items_left, link) {
		if (item->request.number % keep == 0)
			continue;
		list_del(&item->link);
		kmem_cache_free(incident_items, item);
	}
	return 0;
}

static u32 incident_values[64];

static int show_in_debugfs(void)
{
	u32 directories = incident_pick(60, 120), i, j;

	for (i = 0; i < directories; i++) {
		struct dentry *directory;
		char name[24];

		snprintf(name, sizeof(name), "incident-%u", i);
		directory = debugfs_create_dir(name, NULL);
		for (j = 0; j < ARRAY_SIZE(incident_values); j++) {
			snprintf(name, sizeof(name), "value-%u", j);
			debugfs_create_u32(name, 0400, directory, &incident_values[j]);
		}
	}
	return 0;
}

const struct incident_kind incident_innocent[] = {
	{ "pools", set_aside },
	{ "fragmented", fragment },
	{ "debugfs", show_in_debugfs },
	{}
};
