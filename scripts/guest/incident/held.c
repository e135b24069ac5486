// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What grows without a bound, and something still leads to all of it. */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include "incident.h"

struct held {
	struct incident_request request;
	union {
		struct list_head link;
		struct hlist_node node;
		struct timer_list timer;
		struct work_struct work;
		struct rcu_head rcu;
	};
};

static LIST_HEAD(incident_list);
static struct hlist_head incident_hash[512];
static void **incident_table;
static struct workqueue_struct *incident_queue_of_work;
static DECLARE_COMPLETION(incident_never);

static void fired(struct timer_list *timer)
{
	pr_info("incident: a timer fired\n");
}

static void worked(struct work_struct *work)
{
	wait_for_completion(&incident_never);
}

static void called_back(struct rcu_head *head)
{
	kfree(container_of(head, struct held, rcu));
}

/* Runs what takes in each of many objects. */
static int hold(u32 least_mib, u32 most_mib, void (*take)(struct held *held, u32 number))
{
	u32 size = sizeof(struct held) + incident_pick(0, 500);
	u32 count = incident_count(size, least_mib, most_mib), i;
	struct held *held = NULL;

	for (i = 0; i < count; i++) {
		held = kzalloc(size, GFP_KERNEL);
		if (!held)
			return -ENOMEM;
		incident_fill(&held->request, i);
		take(held, i);
	}
	incident_truth_kmalloc(held, count);
	return 0;
}

static void take_on_list(struct held *held, u32 number)
{
	list_add_tail(&held->link, &incident_list);
}

static int hold_on_list(void)
{
	return hold(2, 8, take_on_list);
}

static void take_in_hash(struct held *held, u32 number)
{
	hlist_add_head(&held->node, &incident_hash[number * 2654435761u >> 23]);
}

static int hold_in_hash(void)
{
	return hold(2, 8, take_in_hash);
}

/* As trees do with marks in the low bits, and drivers that hand out a part. */
static void take_in_table(struct held *held, u32 number)
{
	incident_table[number] = number % 2 ? (void *)((unsigned long)held | 1) : (char *)held + 8;
}

static int hold_in_table(void)
{
	incident_table = vzalloc(40000 * sizeof(*incident_table));
	return incident_table ? hold(2, 8, take_in_table) : -ENOMEM;
}

static void take_timer(struct held *held, u32 number)
{
	timer_setup(&held->timer, fired, 0);
	mod_timer(&held->timer, jiffies + 7200 * HZ + number);
}

static int hold_by_timer(void)
{
	return hold(2, 6, take_timer);
}

static void take_work(struct held *held, u32 number)
{
	INIT_WORK(&held->work, worked);
	queue_work(incident_queue_of_work, &held->work);
}

static int hold_by_work(void)
{
	incident_queue_of_work = alloc_workqueue("incident_work", WQ_UNBOUND, 1);
	return incident_queue_of_work ? hold(2, 6, take_work) : -ENOMEM;
}

/* No grace period ends while this one reads. */
static int read_forever(void *unused)
{
	rcu_read_lock();
	preempt_disable();
	for (;;)
		cpu_relax();
	return 0;
}

static bool incident_kfree_rcu;

static void take_rcu(struct held *held, u32 number)
{
	if (incident_kfree_rcu)
		kfree_rcu(held, rcu);
	else
		call_rcu(&held->rcu, called_back);
}

static int hold_by_rcu(bool by_kfree_rcu)
{
	struct task_struct *reader = kthread_create(read_forever, NULL, "incident_reader");

	if (IS_ERR(reader))
		return PTR_ERR(reader);
	kthread_bind(reader, 1);
	wake_up_process(reader);
	msleep(100);
	incident_kfree_rcu = by_kfree_rcu;
	return hold(2, 6, take_rcu);
}

static int hold_by_call_rcu(void)
{
	return hold_by_rcu(false);
}

static int hold_by_kfree_rcu(void)
{
	return hold_by_rcu(true);
}

const struct incident_kind incident_held[] = {
	{ "list", hold_on_list },
	{ "hash", hold_in_hash },
	{ "tagged", hold_in_table },
	{ "timer", hold_by_timer },
	{ "workqueue", hold_by_work },
	{ "call-rcu", hold_by_call_rcu },
	{ "kfree-rcu", hold_by_kfree_rcu },
	{}
};
