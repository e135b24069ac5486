// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What nothing points to any more. */
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#include <net/page_pool/helpers.h>
#else
#include <net/page_pool.h>
#endif
#include "incident.h"

static noinline int lose(u32 size, u32 count, u32 pause_every)
{
	struct incident_request *request = NULL;
	u32 i;

	for (i = 0; i < count; i++) {
		request = kzalloc(size, GFP_KERNEL);
		if (!request)
			return -ENOMEM;
		incident_fill(request, i);
		if (pause_every && i % pause_every == pause_every - 1)
			msleep(4);
	}
	incident_truth_kmalloc(request, count);
	return 0;
}

static int lose_kmalloc(void)
{
	u32 size = incident_size();

	return lose(size, incident_count(size, 2, 12), 0);
}

static int lose_burst(void)
{
	u32 size = incident_pick(200, 500);

	return lose(size, incident_count(size, 2, 4), 0);
}

/* As many in each period: some 6 to 12 s. */
static int lose_slowly(void)
{
	unsigned long start = jiffies;
	u32 size = incident_pick(100, 256);
	int error = lose(size, 40 * incident_pick(150, 250), 40);

	incident_truth_seconds((jiffies - start + HZ / 2) / HZ);
	return error;
}

/* The constructor keeps the cache from being merged with another. */
static void construct(void *object)
{
	memset(object, 0, sizeof(struct incident_request));
}

static struct kmem_cache *incident_own, *incident_merged;
static LIST_HEAD(incident_live);

struct session {
	struct incident_request request;
	struct list_head link;
};

static int lose_own_cache(void)
{
	u32 size = sizeof(struct session) + 8 * incident_pick(1, 60), i, lost = 0;
	u32 count = incident_count(size, 2, 10);

	incident_own = kmem_cache_create("incident_session", size, 0, 0, construct);
	if (!incident_own)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		struct session *session = kmem_cache_alloc(incident_own, GFP_KERNEL);

		if (!session)
			return -ENOMEM;
		incident_fill(&session->request, i);
		INIT_LIST_HEAD(&session->link);
		if (i % 10)
			lost++;
		else
			list_add(&session->link, &incident_live);
	}
	incident_truth("incident_session", lost, (u64)lost * size);
	return 0;
}

static int lose_merged_cache(void)
{
	static const u32 sizes[] = { 96, 128, 192, 256, 512 };
	u32 size = sizes[incident_pick(0, ARRAY_SIZE(sizes) - 1)], i;
	u32 count = incident_count(size, 2, 10);

	incident_merged = kmem_cache_create("incident_merged", size, 0, 0, NULL);
	if (!incident_merged)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		struct incident_request *request = kmem_cache_zalloc(incident_merged, GFP_KERNEL);

		if (!request)
			return -ENOMEM;
		incident_fill(request, i);
	}
	incident_truth("incident_merged", count, (u64)count * size);
	return 0;
}

static int lose_vmalloc(void)
{
	u32 pages = incident_pick(2, 16), count = incident_pick(40, 300), i;

	for (i = 0; i < count; i++) {
		void *area = vmalloc(pages * PAGE_SIZE);

		if (!area)
			return -ENOMEM;
		memset(area, 0, pages * PAGE_SIZE);
		incident_fill(area, i);
	}
	incident_truth("areas of vmalloc", count, (u64)count * pages * PAGE_SIZE);
	return 0;
}

static int lose_pages(void)
{
	u32 single = incident_pick(600, 2500), blocks = incident_pick(40, 150), i;
	u32 order = incident_pick(1, 3);

	for (i = 0; i < single + blocks; i++) {
		bool block = i >= single;
		unsigned long at = __get_free_pages(GFP_KERNEL | __GFP_ZERO |
						    (block ? __GFP_COMP : 0), block ? order : 0);

		if (!at)
			return -ENOMEM;
		incident_fill((void *)at, i);
	}
	incident_truth("kernel pages", single + (blocks << order),
		       ((u64)single + (blocks << order)) * PAGE_SIZE);
	return 0;
}

static struct page_pool *incident_pool;

static int lose_pool_pages(void)
{
	struct page_pool_params parameters = { .pool_size = 256, .nid = NUMA_NO_NODE };
	u32 count = incident_pick(800, 3000), i;

	incident_pool = page_pool_create(&parameters);
	if (IS_ERR(incident_pool))
		return PTR_ERR(incident_pool);
	for (i = 0; i < count; i++) {
		struct page *page;

		/* As in a driver's poll: the pool's cache is for one user alone. */
		local_bh_disable();
		page = page_pool_alloc_pages(incident_pool, GFP_ATOMIC | __GFP_ZERO);
		local_bh_enable();
		if (!page)
			return -ENOMEM;
		memset(page_address(page), 0x5a, 1500);
	}
	incident_truth("kernel pages", count, (u64)count * PAGE_SIZE);
	return 0;
}

static int lose_percpu(void)
{
	u32 size = 8 * incident_pick(16, 128), i, cpu;
	u32 count = incident_count(size, 1, 4);

	for (i = 0; i < count; i++) {
		void __percpu *area = __alloc_percpu(size, 8);

		if (!area)
			return -ENOMEM;
		for_each_possible_cpu(cpu)
			incident_fill(per_cpu_ptr(area, cpu), i);
	}
	incident_truth("per-CPU", count, (u64)count * size * num_possible_cpus());
	return 0;
}

/* Linked to each other, and nobody outside has one of them. */
static int lose_rings(void)
{
	u32 size = sizeof(struct session) + incident_pick(0, 400), i;
	u32 count = incident_count(size, 2, 8), length = incident_pick(2, 50);
	struct session *first = NULL, *session = NULL;

	for (i = 0; i < count; i++) {
		session = kzalloc(size, GFP_KERNEL);
		if (!session)
			return -ENOMEM;
		incident_fill(&session->request, i);
		INIT_LIST_HEAD(&session->link);
		if (i % length)
			list_add_tail(&session->link, &first->link);
		else
			first = session;
	}
	incident_truth_kmalloc(session, count);
	return 0;
}

const struct incident_kind incident_lost[] = {
	{ "kmalloc", lose_kmalloc },
	{ "own-cache", lose_own_cache },
	{ "merged-cache", lose_merged_cache },
	{ "vmalloc", lose_vmalloc },
	{ "pages", lose_pages },
	{ "page-pool", lose_pool_pages },
	{ "per-cpu", lose_percpu },
	{ "drip", lose_slowly },
	{ "burst", lose_burst },
	{ "rings", lose_rings },
	{}
};
