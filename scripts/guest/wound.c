// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Wounds the slab allocator or connection tracking in known places, by `wound`:
 *
 * double-free:      two pairs of wound_box objects freed as a, b, a: on a slab's own
 *                   chain and on the CPU's, or in a sheaf (7.0 and later).
 * corrupt-freelist: the next pointer of free wound_box objects overwritten: garbage on
 *                   a slab's chain and on the CPU's, and one that is encoded as the
 *                   kernel would, to an object in use.
 * in-allocator:     panics in the constructor of a new slab of wound_ctor, with the
 *                   list lock of wound_box held and a slab half taken off its list,
 *                   while another CPU allocates and frees wound_busy all the time.
 * in-conntrack:     panics with a bucket locked, an entry half inserted, one half
 *                   deleted, a chain that leads to garbage and one that leads back.
 *
 * The last two happen when something is written to the parameter `fire`.
 */
#include <linux/init.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/version.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include "ledger.h"
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
/* Only for slub_def.h's inline functions, which nothing here calls. */
struct slab {
	unsigned int objects;
};
static inline void *slab_address(const struct slab *slab)
{
	return NULL;
}
#include <linux/slub_def.h>
#define NODES_ARE_KNOWN
#endif

/* NOLEAKTRACE keeps caches apart where there is no NO_MERGE, but costs them their sheaves. */
#ifndef SLAB_NO_MERGE
#define SLAB_NO_MERGE SLAB_NOLEAKTRACE
#endif

#define BOX_SIZE 128
/* mm/slub.c keeps the pointer in the middle of a free object. */
#define NEXT_AT (BOX_SIZE / 2)
#define BOXES 1360
#define FEW 112
#define GARBAGE 0x4141414141414141UL

static char *wound = "double-free";
module_param(wound, charp, 0444);
static int in_use;
module_param(in_use, int, 0444);

static struct kmem_cache *box_cache, *ctor_cache, *busy_cache;
static void *boxes[BOXES];
static void *made[40 + 64];

static struct kmem_cache *make_cache(const char *name, void (*ctor)(void *))
{
	return kmem_cache_create(name, BOX_SIZE, 0, SLAB_NO_MERGE, ctor);
}

static int fill(int count)
{
	int i;

	for (i = 0; i < count; i++) {
		boxes[i] = kmem_cache_zalloc(box_cache, GFP_ATOMIC);
		if (!boxes[i])
			return -ENOMEM;
	}
	in_use = count;
	return 0;
}

/* Takes `count` objects of one slab out of boxes[], from `start` in steps of `step`. */
static bool take(void **out, int count, int start, int step)
{
	struct page *slab = virt_to_head_page(boxes[start]);
	int i, found = 0;

	for (i = start; i >= 0 && i < FEW && found < count; i += step) {
		if (!boxes[i] || virt_to_head_page(boxes[i]) != slab)
			continue;
		out[found++] = boxes[i];
		boxes[i] = NULL;
	}
	in_use -= found;
	return found == count;
}

static void put(const char *kind, void *object)
{
	if (kind)
		ledger_add(kind, object);
	kmem_cache_free(box_cache, object);
}

static void free_twice(void **pair)
{
	put("twice", pair[0]);
	put("once", pair[1]);
	put(NULL, pair[0]);
}

static int double_free(void)
{
	void *pair[2];

	if (!take(pair, 2, 0, 1))
		return -EINVAL;
	free_twice(pair);
	/* The youngest are of the CPU's slab. */
	if (!take(pair, 2, FEW - 1, -1))
		return -EINVAL;
	free_twice(pair);
	return 0;
}

static unsigned long *next_of(void *object)
{
	return object + NEXT_AT;
}

static int corrupt_freelist(void)
{
	void *some[5], *used;
	unsigned long secret;
	int i;

	if (!take(some, 5, 0, 1))
		return -EINVAL;
	for (i = 0; i < 5; i++)
		put(i == 2 ? "garbage" : "free", some[i]);
	*next_of(some[2]) = GARBAGE;

	if (!take(some, 3, FEW - 1, -1))
		return -EINVAL;
	for (i = 0; i < 3; i++)
		put(i == 1 ? "garbage" : "free", some[i]);
	*next_of(some[1]) = GARBAGE;

	/* The first freed ends its chain; make it go on to one in use, and end there. */
	if (!take(some, 3, 40, 1))
		return -EINVAL;
	for (i = 41; i < FEW && (!boxes[i] || virt_to_head_page(boxes[i]) !=
				 virt_to_head_page(some[0])); i++)
		;
	if (i == FEW)
		return -EINVAL;
	used = boxes[i];
	for (i = 0; i < 3; i++)
		put(i == 0 ? "forged" : "free", some[i]);
	secret = *next_of(some[0]) ^ swab((unsigned long)next_of(some[0]));
	*next_of(some[0]) = (unsigned long)used ^ secret ^ swab((unsigned long)next_of(some[0]));
	*next_of(used) = secret ^ swab((unsigned long)next_of(used));
	ledger_add("used", used);
	return 0;
}

/* In the allocator. */

static bool armed;
static int constructed;

static void box_ctor(void *object)
{
	if (READ_ONCE(armed) && ++constructed == 5)
		panic("wound: in the constructor of %px", object);
	memset(object, 0, BOX_SIZE);
}

/* Nothing reads made[], so the compiler would drop it, and the objects were lost. */
static void *make(int i)
{
	void *object = kmem_cache_alloc(ctor_cache, GFP_ATOMIC);

	WRITE_ONCE(made[i], object);
	return object;
}

static int busy_thread(void *unused)
{
	static void *objects[64];
	int i;

	for (;;) {
		for (i = 0; i < 64; i++)
			objects[i] = kmem_cache_alloc(busy_cache, GFP_ATOMIC);
		for (i = 0; i < 64; i++)
			kmem_cache_free(busy_cache, objects[i]);
		cond_resched();
	}
	return 0;
}

static int prepare_allocator(void)
{
	void *last = NULL;
	int i;

	ctor_cache = make_cache("wound_ctor", box_ctor);
	busy_cache = make_cache("wound_busy", NULL);
	if (!ctor_cache || !busy_cache)
		return -ENOMEM;
	for (i = 0; i < 40; i++)
		if (!make(i))
			return -ENOMEM;
	/* One of each slab is given back: more slabs than the CPU's list takes. */
	for (i = 0; i < BOXES; i++) {
		void *slab = virt_to_head_page(boxes[i]);

		if (slab == last)
			continue;
		last = slab;
		kmem_cache_free(box_cache, boxes[i]);
		boxes[i] = NULL;
		in_use--;
	}
	return 0;
}

#ifdef NODES_ARE_KNOWN
/* How struct kmem_cache_node of mm/slab.h begins. */
struct node_head {
	spinlock_t list_lock;
	unsigned long nr_partial;
	struct list_head partial;
};

/* As between the two lines of remove_partial(). */
static void half_remove_partial(void)
{
	struct node_head *node = (struct node_head *)box_cache->node[0];

	spin_lock(&node->list_lock);
	if (!list_empty(&node->partial))
		list_del(node->partial.next);
}
#else
static void half_remove_partial(void) { }
#endif

static void fire_allocator(void)
{
	struct task_struct *task = kthread_create(busy_thread, NULL, "wound");
	int i;

	if (!IS_ERR(task)) {
		kthread_bind(task, num_online_cpus() - 1);
		wake_up_process(task);
	}
	msleep(200);
	local_irq_disable();
	half_remove_partial();
	armed = true;
	for (i = 40; i < ARRAY_SIZE(made) && make(i); i++)
		;
}

/* In connection tracking. */

static struct nf_conntrack_tuple_hash *before_garbage, *back_from, *back_to, *half[2];
static unsigned int locked_bucket;

static struct nf_conn *conn(struct nf_conntrack_tuple_hash *node)
{
	return nf_ct_tuplehash_to_ctrack(node);
}

static struct nf_conntrack_tuple_hash *following(struct nf_conntrack_tuple_hash *node)
{
	struct hlist_nulls_node *next = node->hnnode.next;

	return is_a_nulls(next) ? NULL : hlist_nulls_entry(next, typeof(*node), hnnode);
}

static bool alone(struct nf_conntrack_tuple_hash *node)
{
	struct hlist_nulls_node **from = node->hnnode.pprev;

	return !following(node) && (void *)from >= (void *)nf_conntrack_hash &&
	       (void *)from < (void *)(nf_conntrack_hash + nf_conntrack_htable_size);
}

static bool original_behind(struct nf_conntrack_tuple_hash *node)
{
	while ((node = following(node)))
		if (NF_CT_DIRECTION(node) == IP_CT_DIR_ORIGINAL)
			return true;
	return false;
}

static void choose_in(unsigned int bucket)
{
	struct hlist_nulls_node *head = nf_conntrack_hash[bucket].first;
	struct nf_conntrack_tuple_hash *first, *node;
	struct nf_conn *ct;

	if (is_a_nulls(head))
		return;
	first = hlist_nulls_entry(head, typeof(*first), hnnode);
	ct = conn(first);
	if (!following(first)) {
		int which = NF_CT_DIRECTION(first);

		/* half[0]: only its original direction stays; half[1]: only its reply. */
		if (!half[which] && alone(first) && alone(&ct->tuplehash[!which]) &&
		    (which == 0 || !half[0] || ct != conn(half[0]))) {
			half[which] = &ct->tuplehash[!which];
			refcount_inc(&ct->ct_general.use);
			ledger_add(which ? "half-deleted" : "half-inserted", ct);
		}
		return;
	}
	if (!before_garbage && original_behind(first)) {
		before_garbage = first;
		locked_bucket = bucket;
		ledger_add("before-garbage", ct);
		for (node = following(first); node; node = following(node))
			ledger_add(NF_CT_DIRECTION(node) ? "reply-behind" : "behind", conn(node));
	} else if (!back_from) {
		for (node = first; following(node); node = following(node))
			;
		back_from = node;
		back_to = first;
		ledger_add("cycle", conn(node));
	}
}

static int prepare_conntrack(void)
{
	unsigned int bucket;

	local_bh_disable();
	for (bucket = 0; bucket < nf_conntrack_htable_size; bucket++)
		choose_in(bucket);
	local_bh_enable();
	return before_garbage && back_from && half[0] && half[1] ? 0 : -ENOENT;
}

static void fire_conntrack(void)
{
	local_bh_disable();
	spin_lock(&nf_conntrack_locks[locked_bucket % CONNTRACK_LOCKS]);
	hlist_nulls_del_rcu(&half[0]->hnnode);
	hlist_nulls_del_rcu(&half[1]->hnnode);
	back_from->hnnode.next = &back_to->hnnode;
	before_garbage->hnnode.next = (void *)GARBAGE - 1;
	panic("wound: with bucket %u locked", locked_bucket);
}

static int fire(const char *value, const struct kernel_param *parameter)
{
	if (!strcmp(wound, "in-allocator"))
		fire_allocator();
	else if (!strcmp(wound, "in-conntrack"))
		fire_conntrack();
	return -EINVAL;
}

static const struct kernel_param_ops fire_ops = { .set = fire };
module_param_cb(fire, &fire_ops, NULL, 0200);

static int hurt_boxes(void)
{
	int error;

	box_cache = make_cache("wound_box", NULL);
	if (!box_cache)
		return -ENOMEM;
	if (!strcmp(wound, "in-allocator"))
		return fill(BOXES) ?: prepare_allocator();
	/* All on one CPU, so that the youngest are in its slab. */
	get_cpu();
	error = fill(FEW);
	if (!error)
		error = strcmp(wound, "double-free") ? corrupt_freelist() : double_free();
	put_cpu();
	return error;
}

static int __init wound_init(void)
{
	int error = ledger_open();

	if (!error)
		error = strcmp(wound, "in-conntrack") ? hurt_boxes() : prepare_conntrack();
	pr_info("wound: %s: %d\n", wound, error);
	return 0;
}

module_init(wound_init);
MODULE_DESCRIPTION("wounds the slab allocator and connection tracking in known places");
MODULE_LICENSE("Dual MIT/GPL");
