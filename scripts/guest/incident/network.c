// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Packets, sockets, connections and namespaces. */
#include <linux/in.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_zones.h>
#include "incident.h"

static struct sk_buff_head incident_queue;

static void destroyed(struct sk_buff *skb)
{
	pr_info("incident: a packet is gone\n");
}

static int make_skbs(bool queued)
{
	u32 payload = incident_pick(520, 1500), count = incident_pick(2000, 6000), i;
	bool marked = incident_pick(0, 1);
	struct sk_buff *skb = NULL;

	skb_queue_head_init(&incident_queue);
	for (i = 0; i < count; i++) {
		skb = alloc_skb(payload, GFP_KERNEL);
		if (!skb)
			return -ENOMEM;
		memset(skb_put(skb, payload), i, payload);
		skb->dev = init_net.loopback_dev;
		/* Only of these, once lost, can be told whose they were. */
		if (marked)
			skb->destructor = destroyed;
		if (queued)
			skb_queue_tail(&incident_queue, skb);
	}
	if (!marked && !queued)
		incident_truth_unowned();
	incident_truth("skbuff_head_cache", count, (u64)count * 256);
	incident_truth_kmalloc(skb->head, count);
	return 0;
}

static int lose_skbs(void)
{
	return make_skbs(false);
}

static int queue_skbs(void)
{
	return make_skbs(true);
}

/* The kernel's own, of which no process knows. */
static int lose_sockets(void)
{
	u32 count = incident_pick(2000, 4000), i;
	bool stream = incident_pick(0, 1);
	struct socket *socket;

	for (i = 0; i < count; i++) {
		int error = sock_create_kern(&init_net, AF_INET, stream ? SOCK_STREAM : SOCK_DGRAM,
					     stream ? IPPROTO_TCP : IPPROTO_UDP, &socket);

		if (error)
			return error;
	}
	incident_truth(stream ? "TCP" : "UDP", count, 0);
	incident_truth("sock_inode_cache", count, 0);
	return 0;
}

static struct nf_conn *make_connection(u32 number)
{
	struct nf_conntrack_tuple there = {
		.src.u3.ip = cpu_to_be32(0x0a000000 + number),
		.src.u.udp.port = cpu_to_be16(1024 + number % 60000),
		.src.l3num = AF_INET,
		.dst.u3.ip = cpu_to_be32(0x0b000001),
		.dst.u.udp.port = cpu_to_be16(53),
		.dst.protonum = IPPROTO_UDP,
		.dst.dir = IP_CT_DIR_ORIGINAL,
	};
	struct nf_conntrack_tuple back = {
		.src.u3.ip = there.dst.u3.ip,
		.src.u.udp.port = there.dst.u.udp.port,
		.src.l3num = AF_INET,
		.dst.u3.ip = there.src.u3.ip,
		.dst.u.udp.port = there.src.u.udp.port,
		.dst.protonum = IPPROTO_UDP,
		.dst.dir = IP_CT_DIR_REPLY,
	};

	return nf_conntrack_alloc(&init_net, &nf_ct_zone_dflt, &there, &back, GFP_KERNEL);
}

static int lose_connections(void)
{
	u32 count = incident_pick(8000, 16000), i;

	for (i = 0; i < count; i++) {
		struct nf_conn *connection = make_connection(i);

		if (IS_ERR(connection))
			return PTR_ERR(connection);
	}
	incident_truth("nf_conntrack", count, (u64)count * sizeof(struct nf_conn));
	return 0;
}

/* None is lost: a table that is as full as on a busy gateway. */
static int insert_connections(void)
{
	u32 count = incident_pick(10000, 20000), i;

	for (i = 0; i < count; i++) {
		struct nf_conn *connection = make_connection(i);

		if (IS_ERR(connection))
			return PTR_ERR(connection);
		connection->timeout = (u32)jiffies + 3600 * HZ;
		if (nf_conntrack_hash_check_insert(connection))
			return -EEXIST;
	}
	return 0;
}

/* Whoever writes leaves a reference to his network namespace behind. */
static int hold_namespace(void)
{
	get_net(current->nsproxy->net_ns);
	return 0;
}

const struct incident_kind incident_network[] = {
	{ "skb-lost", lose_skbs },
	{ "skb-queued", queue_skbs },
	{ "socket", lose_sockets },
	{ "conntrack", lose_connections },
	{ "conntrack-full", insert_connections },
	{ "hold-namespace", hold_namespace },
	{}
};
