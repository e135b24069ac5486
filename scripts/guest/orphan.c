// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Takes references to conntrack entries, has them deleted and forgets them: they
 * are off the hash, counted still, and never freed. Only UDP over IPv6 without
 * NAT, whose sources no other table remembers.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <net/net_namespace.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_extend.h>
#include "ledger.h"

static int entries = 600;
static int orphaned;
static int extension_size;
module_param(entries, int, 0444);
module_param(orphaned, int, 0444);
module_param(extension_size, int, 0444);

static int orphan_one(struct nf_conn *ct, void *unused)
{
	if (orphaned == entries || nf_ct_l3num(ct) != AF_INET6 ||
	    nf_ct_protonum(ct) != IPPROTO_UDP || ct->master ||
	    (ct->status & IPS_NAT_DONE_MASK) || !nf_ct_is_confirmed(ct))
		return 0;
	nf_conntrack_get(&ct->ct_general);
	ledger_add("entry", ct);
	if (ct->ext) {
		ledger_add("extension", ct->ext);
		extension_size = ksize(ct->ext);
	}
	orphaned++;
	return 1;
}

static int __init orphan_init(void)
{
	int error = ledger_open();

	if (error)
		return error;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 0, 0)
	nf_ct_iterate_cleanup_net(orphan_one, &(struct nf_ct_iter_data){ .net = &init_net });
#else
	nf_ct_iterate_cleanup_net(&init_net, orphan_one, NULL, 0, 0);
#endif
	pr_info("orphan: %d entries lost\n", orphaned);
	return 0;
}

module_init(orphan_init);
MODULE_DESCRIPTION("loses conntrack entries in known numbers");
MODULE_LICENSE("Dual MIT/GPL");
