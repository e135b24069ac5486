// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Loses one object of 160 bytes (kmalloc-192) at a time, until `objects` are lost:
 * a pointer to drip_done, two small numbers, no text, and nothing points there.
 */
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "ledger.h"

static int objects = 300;
static int interval_ms = 40;
static int lost;
module_param(objects, int, 0444);
module_param(interval_ms, int, 0444);
module_param(lost, int, 0444);

struct drip_request {
	unsigned long born;
	void (*done)(struct drip_request *request);
	u32 number;
	u32 state;
	u8 body[136];
};

static void drip_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(drip_timer, drip_work);

static noinline void drip_done(struct drip_request *request)
{
	pr_info("drip: request %u done\n", request->number);
}

static void drip_work(struct work_struct *work)
{
	struct drip_request *request = kzalloc(sizeof(*request), GFP_KERNEL);

	if (request) {
		request->born = jiffies;
		request->done = drip_done;
		request->number = lost;
		request->state = 1;
		ledger_add("request", request);
		lost++;
	}
	if (lost < objects)
		schedule_delayed_work(&drip_timer, msecs_to_jiffies(interval_ms));
}

static int __init drip_init(void)
{
	int error = ledger_open();

	if (!error)
		schedule_delayed_work(&drip_timer, 0);
	return error;
}

module_init(drip_init);
MODULE_DESCRIPTION("leaks kernel memory slowly, in known numbers");
MODULE_LICENSE("Dual MIT/GPL");
