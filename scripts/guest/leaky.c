// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Leaks on purpose, in known numbers.
 *
 * buffers:  objects of 200 bytes (kmalloc-256) that nothing points to any
 *           more; each begins with the text "leaky-buf-NNNNNN".
 * sessions: objects of a cache of its own; the first `kept` hang on
 *           live_sessions, the others only point to themselves.
 */
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#define BUFFER_SIZE 200

#ifndef SLAB_NO_MERGE
#define SLAB_NO_MERGE 0
#endif

static int buffers = 600;
static int sessions = 350;
static int kept = 50;
module_param(buffers, int, 0444);
module_param(sessions, int, 0444);
module_param(kept, int, 0444);

struct leaky_session {
	struct list_head link;
	void (*expire)(struct leaky_session *session);
	unsigned long born;
	u32 id;
	u32 state;
	char peer[64];
};

static LIST_HEAD(live_sessions);
static struct kmem_cache *session_cache;

static noinline void leaky_session_expire(struct leaky_session *session)
{
	pr_info("leaky: session %u expired\n", session->id);
}

static noinline int leak_buffers(void)
{
	int i;

	for (i = 0; i < buffers; i++) {
		char *buffer = kzalloc(BUFFER_SIZE, GFP_KERNEL);

		if (!buffer)
			return -ENOMEM;
		snprintf(buffer, BUFFER_SIZE, "leaky-buf-%06d", i);
	}
	return 0;
}

static noinline int leak_sessions(void)
{
	int i;

	for (i = 0; i < sessions; i++) {
		struct leaky_session *session = kmem_cache_zalloc(session_cache, GFP_KERNEL);

		if (!session)
			return -ENOMEM;
		INIT_LIST_HEAD(&session->link);
		session->expire = leaky_session_expire;
		session->born = jiffies;
		session->id = i;
		session->state = i < kept;
		snprintf(session->peer, sizeof(session->peer), "leaky-session-%06d", i);
		if (i < kept)
			list_add_tail(&session->link, &live_sessions);
	}
	return 0;
}

static int __init leaky_init(void)
{
	int error;

	session_cache = kmem_cache_create("leaky_session", sizeof(struct leaky_session),
					  0, SLAB_NO_MERGE, NULL);
	if (!session_cache)
		return -ENOMEM;
	error = leak_buffers();
	if (!error)
		error = leak_sessions();
	pr_info("leaky: %d kmalloc-256, %d named leaked, %d kept\n",
		buffers, sessions - kept, kept);
	return error;
}

module_init(leaky_init);
MODULE_DESCRIPTION("leaks kernel memory in known numbers");
MODULE_LICENSE("Dual MIT/GPL");
