// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Page pools of a network device of its own, pools0, in known states:
 *
 *   live     has given 200 pages, which an array holds, and has taken back 40 more
 *   blocks   gives blocks of four pages: 20, which an array holds
 *   closing  is destroyed while 300 of its pages are out: an array holds 60 of them, and nobody
 *            knows of the other 240
 *
 * The kernel can't let go of "closing" before all have come back: it asks each second.
 * Besides, the device's NAPI holds packets of three flows that wait for more, and three that are
 * on their way to the stack.
 */
#include <linux/etherdevice.h>
#include <linux/init.h>
#include <linux/ip.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/random.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/version.h>
#include <net/ip.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#include <net/page_pool/helpers.h>
#else
#include <net/page_pool.h>
#endif
#include <net/xdp.h>
#include "ledger.h"

enum { LIVE = 200, BACK = 40, BLOCKS = 20, BLOCK_ORDER = 2, KNOWN = 60, LOST = 240, PACKETS = 3 };

struct pools_device {
	struct napi_struct napi;
	struct xdp_rxq_info queue;
};

static struct net_device *pools_device;
/* What each holds. */
static struct page **live_ring, **block_ring, **closing_ring;

static netdev_tx_t pools_xmit(struct sk_buff *skb, struct net_device *device)
{
	dev_kfree_skb(skb);
	return NETDEV_TX_OK;
}

static const struct net_device_ops pools_operations = { .ndo_start_xmit = pools_xmit };

static int pools_poll(struct napi_struct *napi, int budget)
{
	return 0;
}

/* Only one has the NAPI, which it must not lose before it is gone. */
static struct page_pool *make(u32 size, u32 order, bool with_napi)
{
	struct page_pool_params parameters = {
		.pool_size = size, .order = order, .nid = NUMA_NO_NODE,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
		.netdev = pools_device,
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
		.napi = with_napi ? &((struct pools_device *)netdev_priv(pools_device))->napi : NULL,
#endif
		.dev = &pools_device->dev,
	};

	return page_pool_create(&parameters);
}

/* Nothing that its content would tell. */
static struct page *take(struct page_pool *pool, const char *kind)
{
	struct page *page;

	local_bh_disable();
	page = page_pool_alloc_pages(pool, GFP_ATOMIC);
	local_bh_enable();
	if (page) {
		get_random_bytes(page_address(page), PAGE_SIZE);
		ledger_add(kind, page_address(page));
	}
	return page;
}

static struct page **fill(struct page_pool *pool, int count, const char *kind)
{
	struct page **ring = kcalloc(count, sizeof(*ring), GFP_KERNEL);
	int i;

	for (i = 0; ring && i < count; i++)
		ring[i] = take(pool, kind);
	return ring;
}

static struct page_pool *live(void)
{
	struct page *back[BACK];
	struct page_pool *pool = make(256, 0, true);
	int i;

	if (IS_ERR(pool))
		return pool;
	live_ring = fill(pool, LIVE, "live");
	for (i = 0; i < BACK; i++)
		back[i] = take(pool, "back");
	for (i = 0; i < BACK; i++) {
		local_bh_disable();
		/* A half to the cache of the pool's user, the other to the ring. */
		if (back[i])
			page_pool_put_full_page(pool, back[i], i % 2);
		local_bh_enable();
	}
	return pool;
}

static int closing(void)
{
	struct page_pool *pool = make(64, 0, false);
	int i;

	if (IS_ERR(pool))
		return PTR_ERR(pool);
	closing_ring = fill(pool, KNOWN, "known");
	for (i = 0; i < LOST; i++)
		take(pool, "lost");
	page_pool_destroy(pool);
	return 0;
}

static struct sk_buff *packet(struct net_device *device, int number, u8 protocol)
{
	enum { DATA = 100 };
	int transport = protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
	int whole = ETH_HLEN + sizeof(struct iphdr) + transport + DATA;
	struct sk_buff *skb = netdev_alloc_skb(device, whole);
	struct ethhdr *ethernet;
	struct iphdr *ip;

	if (!skb)
		return NULL;
	memset(skb_put(skb, whole), 0, whole);
	ethernet = (struct ethhdr *)skb->data;
	ether_addr_copy(ethernet->h_dest, device->dev_addr);
	ethernet->h_proto = htons(ETH_P_IP);
	ip = (struct iphdr *)(skb->data + ETH_HLEN);
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->frag_off = htons(IP_DF);
	ip->tot_len = htons(whole - ETH_HLEN);
	ip->saddr = htonl(0xc6120001 + number);
	ip->daddr = htonl(0xc6130001);
	ip->check = ip_fast_csum((u8 *)ip, ip->ihl);
	if (protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (struct tcphdr *)(ip + 1);

		tcp->source = htons(4000 + number);
		tcp->dest = htons(80);
		tcp->seq = htonl(1000);
		tcp->doff = 5;
		tcp->ack = 1;
	} else {
		struct udphdr *udp = (struct udphdr *)(ip + 1);

		udp->source = htons(4000 + number);
		udp->dest = htons(53);
		udp->len = htons(transport + DATA);
	}
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	skb->protocol = eth_type_trans(skb, device);
	return skb;
}

static void receive(struct napi_struct *napi, u8 protocol, const char *kind)
{
	int i;

	for (i = 0; i < PACKETS; i++) {
		struct sk_buff *skb = packet(pools_device, i, protocol);

		if (!skb)
			return;
		ledger_add(kind, skb);
		local_bh_disable();
		napi_gro_receive(napi, skb);
		local_bh_enable();
	}
}

static int __init pools_init(void)
{
	int error = ledger_open();
	struct pools_device *own;
	struct page_pool *pool;

	pools_device = alloc_etherdev(sizeof(struct pools_device));
	if (error || !pools_device)
		return -ENOMEM;
	strscpy(pools_device->name, "pools0", IFNAMSIZ);
	pools_device->netdev_ops = &pools_operations;
	eth_hw_addr_random(pools_device);
	own = netdev_priv(pools_device);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
	netif_napi_add(pools_device, &own->napi, pools_poll);
#else
	netif_napi_add(pools_device, &own->napi, pools_poll, 64);
#endif
	error = register_netdev(pools_device);
	if (error)
		return error;
	napi_enable(&own->napi);
	pool = live();
	if (IS_ERR(pool))
		return PTR_ERR(pool);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	error = xdp_rxq_info_reg(&own->queue, pools_device, 0, 0);
#else
	error = xdp_rxq_info_reg(&own->queue, pools_device, 0);
#endif
	if (!error)
		error = xdp_rxq_info_reg_mem_model(&own->queue, MEM_TYPE_PAGE_POOL, pool);
	if (error)
		return error;
	pool = make(64, BLOCK_ORDER, false);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	block_ring = fill(pool, BLOCKS, "block");
	error = closing();
	receive(&own->napi, IPPROTO_TCP, "gro");
	receive(&own->napi, IPPROTO_UDP, "passed");
	pr_info("pools: %d\n", error);
	return error;
}

module_init(pools_init);
MODULE_DESCRIPTION("page pools in known states");
MODULE_LICENSE("Dual MIT/GPL");
