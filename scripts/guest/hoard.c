// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Takes references and never puts them; all of it stays reachable.
 *
 * skbs:  packets on hoard_queue, each with a head of 832 bytes (kmalloc-1k).
 * files: one file opened so often; the module's reference is the last.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include "ledger.h"

#define PAYLOAD 512

static int skbs = 4000;
static int files = 300;
module_param(skbs, int, 0444);
module_param(files, int, 0444);

static struct sk_buff_head hoard_queue;
static struct file **hoard_files;

static noinline int hoard_skbs(void)
{
	int i;

	for (i = 0; i < skbs; i++) {
		struct sk_buff *skb = alloc_skb(PAYLOAD, GFP_KERNEL);

		if (!skb)
			return -ENOMEM;
		skb_put_zero(skb, 64);
		ledger_add("skb", skb);
		ledger_add("head", skb->head);
		skb_queue_tail(&hoard_queue, skb_get(skb));
		kfree_skb(skb);
	}
	return 0;
}

static noinline int hoard_open_files(void)
{
	int i;

	hoard_files = kcalloc(files, sizeof(*hoard_files), GFP_KERNEL);
	if (!hoard_files)
		return -ENOMEM;
	for (i = 0; i < files; i++) {
		struct file *file = filp_open("/tmp/hoard", O_RDWR | O_CREAT, 0600);

		if (IS_ERR(file))
			return PTR_ERR(file);
		ledger_add("file", file);
		hoard_files[i] = get_file(file);
		filp_close(file, NULL);
	}
	return 0;
}

static int __init hoard_init(void)
{
	int error = ledger_open();

	skb_queue_head_init(&hoard_queue);
	if (!error)
		error = hoard_skbs();
	if (!error)
		error = hoard_open_files();
	pr_info("hoard: keeps %u skbs and %d files\n", skb_queue_len(&hoard_queue), files);
	return error;
}

module_init(hoard_init);
MODULE_DESCRIPTION("keeps references for ever, in known numbers");
MODULE_LICENSE("Dual MIT/GPL");
