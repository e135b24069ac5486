/*
 * Sockets with something on every queue, and nobody who reads it.
 *
 *   queues hold      what stays as it is for hours; prints a line for each
 *   queues pass      what goes by itself within a minute: TIME_WAIT, SYN_RECV
 *   queues spoof FROM TO PORT COUNT     SYNs of a neighbour that does not answer
 *   queues fragment FROM TO COUNT       first fragments, of which no more come
 *   queues flood FROM TO PORT COUNT     datagrams
 *   queues foreign NETNS                a socket of a namespace that this process is not in
 *
 * Each holder is a process of its own, named after what it holds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static char block[65536];

static int fine(const char *what, int result)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static struct sockaddr_in at(const char *address, int port)
{
    struct sockaddr_in it = {.sin_family = AF_INET, .sin_port = htons(port)};

    inet_pton(AF_INET, address, &it.sin_addr);
    return it;
}

static int bound(int type, int protocol, const char *address, int port)
{
    struct sockaddr_in it = at(address, port);
    int one = 1, s = fine("socket", socket(AF_INET, type, protocol));

    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    fine("bind", bind(s, (struct sockaddr *)&it, sizeof it));
    return s;
}

static int joined(int type, int protocol, const char *address, int port)
{
    struct sockaddr_in it = at(address, port);
    int s = fine("socket", socket(AF_INET, type, protocol));

    fine("connect", connect(s, (struct sockaddr *)&it, sizeof it));
    return s;
}

static int listening(int protocol, int port, int backlog)
{
    int s = bound(SOCK_STREAM, protocol, "127.0.0.1", port);

    fine("listen", listen(s, backlog));
    return s;
}

/* Writes until there is no room left, or limit bytes are written. */
static long fill(int s, long limit)
{
    long sum = 0;

    fcntl(s, F_SETFL, O_NONBLOCK);
    while (sum < limit) {
        ssize_t n = write(s, block, limit - sum < 4096 ? limit - sum : 4096);

        if (n <= 0)
            break;
        sum += n;
    }
    return sum;
}

static void udp_unread(void)
{
    int room = 8 << 20, i, s = bound(SOCK_DGRAM, 0, "127.0.0.1", 5001);
    int from = joined(SOCK_DGRAM, 0, "127.0.0.1", 5001);

    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    for (i = 0; i < 2000; i++)
        fine("write", write(from, block, 1000));
    close(from);
}

static void udp_dropped(void)
{
    int room = 4096, i, s = bound(SOCK_DGRAM, 0, "127.0.0.1", 5002);
    int from = joined(SOCK_DGRAM, 0, "127.0.0.1", 5002);

    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    for (i = 0; i < 100; i++)
        fine("write", write(from, block, 500));
    close(from);
}

static void udp_odd(void)
{
    int one = 1, mark = 0x2a, s = bound(SOCK_DGRAM, 0, "127.0.0.1", 5003);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(5006)};
    int v6 = fine("socket", socket(AF_INET6, SOCK_DGRAM, 0));
    int lite = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
    int error = joined(SOCK_DGRAM, 0, "127.0.0.1", 5999);
    int cork = joined(SOCK_DGRAM, 0, "127.0.0.1", 5003);

    setsockopt(s, SOL_SOCKET, SO_MARK, &mark, sizeof mark);
    setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
    fine("bind", bind(v6, (struct sockaddr *)&six, sizeof six));
    if (lite >= 0) {
        struct sockaddr_in it = at("127.0.0.1", 5004);
        bind(lite, (struct sockaddr *)&it, sizeof it);
    }
    /* Nobody listens there: the answer stays on the error queue. */
    setsockopt(error, IPPROTO_IP, IP_RECVERR, &one, sizeof one);
    fine("write", write(error, block, 100));
    setsockopt(cork, IPPROTO_UDP, UDP_CORK, &one, sizeof one);
    fine("write", write(cork, block, 700));
}

/* Both ends are full. */
static void tcp_unread(void)
{
    int i, s = listening(0, 6001, 64);

    for (i = 0; i < 8; i++) {
        int one = joined(SOCK_STREAM, 0, "127.0.0.1", 6001);

        fine("accept", accept(s, NULL, NULL));
        fill(one, 4 << 20);
    }
}

static void tcp_overflow(void)
{
    int i, s = listening(0, 6002, 2);

    (void)s;
    for (i = 0; i < 8; i++) {
        struct sockaddr_in it = at("127.0.0.1", 6002);
        int one = fine("socket", socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));

        connect(one, (struct sockaddr *)&it, sizeof it);
    }
}

static void tcp_close_wait(void)
{
    int i, s = listening(0, 6003, 64);

    for (i = 0; i < 5; i++) {
        int one = joined(SOCK_STREAM, 0, "127.0.0.1", 6003);

        fine("accept", accept(s, NULL, NULL));
        close(one);
    }
}

/* Closed with more to send than the other end takes. */
static void tcp_orphans(void)
{
    int i, s = listening(0, 6004, 64);

    for (i = 0; i < 12; i++) {
        int room = 4096, here, one = fine("socket", socket(AF_INET, SOCK_STREAM, 0));
        struct sockaddr_in it = at("127.0.0.1", 6004);

        fine("connect", connect(one, (struct sockaddr *)&it, sizeof it));
        here = fine("accept", accept(s, NULL, NULL));
        setsockopt(here, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        fill(one, 1 << 20);
        close(one);
    }
}

static void tcp_six(void)
{
    struct sockaddr_in6 it = {
        .sin6_family = AF_INET6, .sin6_port = htons(6006), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int one = 1, keep, s = fine("socket", socket(AF_INET6, SOCK_STREAM, 0));

    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    fine("bind", bind(s, (struct sockaddr *)&it, sizeof it));
    fine("listen", listen(s, 16));
    keep = fine("socket", socket(AF_INET6, SOCK_STREAM, 0));
    setsockopt(keep, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    fine("connect", connect(keep, (struct sockaddr *)&it, sizeof it));
    fine("write", write(fine("accept", accept(s, NULL, NULL)), block, 3000));
}

static void tcp_closed(void)
{
    fine("socket", socket(AF_INET, SOCK_STREAM, 0));
    bound(SOCK_STREAM, 0, "127.0.0.1", 6007);
}

static void mptcp(void)
{
    int s = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

    if (s < 0)
        return;
    close(s);
    s = listening(IPPROTO_MPTCP, 6008, 4);
    fine("write", write(joined(SOCK_STREAM, IPPROTO_MPTCP, "127.0.0.1", 6008), block, 5000));
    fine("accept", accept(s, NULL, NULL));
}

static socklen_t path(struct sockaddr_un *it, const char *name)
{
    size_t length = strlen(name);

    it->sun_family = AF_UNIX;
    memcpy(it->sun_path, name, length);
    if (name[0] == '@') {
        it->sun_path[0] = 0;
        return offsetof(struct sockaddr_un, sun_path) + length;
    }
    return offsetof(struct sockaddr_un, sun_path) + length + 1;
}

static void unix_unread(void)
{
    struct sockaddr_un it = {0};
    int pair[2], i, s;

    fine("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    fill(pair[0], 1 << 20);
    s = fine("socket", socket(AF_UNIX, SOCK_DGRAM, 0));
    fine("bind", bind(s, (struct sockaddr *)&it, path(&it, "/run/queues.socket")));
    for (i = 0; i < 7; i++)
        fine("sendto", sendto(fine("socket", socket(AF_UNIX, SOCK_DGRAM, 0)), block, 300, 0,
                              (struct sockaddr *)&it, sizeof it));
}

static void unix_waiting(void)
{
    struct sockaddr_un it = {0};
    socklen_t length = path(&it, "@queues-abstract");
    int i, s = fine("socket", socket(AF_UNIX, SOCK_SEQPACKET, 0));

    fine("bind", bind(s, (struct sockaddr *)&it, length));
    fine("listen", listen(s, 5));
    for (i = 0; i < 3; i++)
        fine("connect", connect(fine("socket", socket(AF_UNIX, SOCK_SEQPACKET, 0)),
                                (struct sockaddr *)&it, length));
}

/* A socket that is in no table of descriptors: it is in flight. */
static void unix_in_flight(void)
{
    char room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec data = {block, 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int pair[2], lost = bound(SOCK_DGRAM, 0, "127.0.0.1", 5005);

    fine("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &lost, sizeof lost);
    fine("sendmsg", sendmsg(pair[0], &message, 0));
    close(lost);
}

static void packet_ring(void)
{
    struct tpacket_req ring = {
        .tp_block_size = 65536, .tp_block_nr = 16, .tp_frame_size = 2048, .tp_frame_nr = 512};
    int s = fine("packet", socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP)));
    int plain = fine("packet", socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_LOOP)));

    (void)plain;
    fine("ring", setsockopt(s, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring));
    fine("mmap", mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, s, 0) == MAP_FAILED ? -1 : 0);
}

static void raw(void)
{
    struct sockaddr_in it = at("127.0.0.1", 0);
    int i, s = fine("raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    static const char echo[] = {8, 0, (char)0xf7, (char)0xf6, 0, 7, 0, 2};

    fine("raw6", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
    for (i = 0; i < 4; i++)
        fine("sendto", sendto(s, echo, sizeof echo, 0, (struct sockaddr *)&it, sizeof it));
}

/* Every address that comes and goes is told, and not read. */
static void netlink(void)
{
    struct sockaddr_nl it = {
        .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR};
    int s = fine("netlink", socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));

    fine("bind", bind(s, (struct sockaddr *)&it, sizeof it));
    fine("system", system("/usr/bin/ip addr add 127.0.0.77/32 dev lo"));
}

static const struct {
    const char *name;
    void (*hold)(void);
    int twice;
} holders[] = {
    {"udp-unread", udp_unread, 0},   {"udp-dropped", udp_dropped, 0},
    {"udp-odd", udp_odd, 0},         {"tcp-unread", tcp_unread, 0},
    {"tcp-overflow", tcp_overflow, 0}, {"tcp-close-wait", tcp_close_wait, 1},
    {"tcp-orphans", tcp_orphans, 0}, {"tcp-six", tcp_six, 0},
    {"tcp-closed", tcp_closed, 0},   {"mptcp", mptcp, 0},
    {"unix-unread", unix_unread, 0}, {"unix-waiting", unix_waiting, 0},
    {"unix-in-flight", unix_in_flight, 0}, {"packet-ring", packet_ring, 0},
    {"raw", raw, 0},                 {"netlink", netlink, 0},
};

static void hold_one(int index, int wire)
{
    setsid();
    prctl(PR_SET_NAME, holders[index].name);
    holders[index].hold();
    if (holders[index].twice && fork() == 0) {
        prctl(PR_SET_NAME, "heir");
        close(wire);
        for (;;)
            pause();
    }
    if (write(wire, "!", 1) < 0)
        exit(1);
    close(wire);
    for (;;)
        pause();
}

static int hold(void)
{
    unsigned index;

    for (index = 0; index < sizeof holders / sizeof *holders; index++) {
        int wire[2];
        char word = 0;

        fine("pipe", pipe(wire));
        fflush(stdout);
        if (fork() == 0) {
            close(wire[0]);
            hold_one(index, wire[1]);
        }
        close(wire[1]);
        printf("queues: %s %s\n", holders[index].name,
               read(wire[0], &word, 1) == 1 ? "held" : "FAILED");
        close(wire[0]);
    }
    return 0;
}

static int pass(void)
{
    int i, s = listening(0, 6005, 256);

    for (i = 0; i < 60; i++) {
        int one = joined(SOCK_STREAM, 0, "127.0.0.1", 6005);
        int here = fine("accept", accept(s, NULL, NULL));

        close(one);
        usleep(2000);
        close(here);
    }
    close(s);
    return 0;
}

static uint16_t checksum(const void *data, size_t length, uint32_t sum)
{
    const uint16_t *words = data;

    for (; length > 1; length -= 2)
        sum += *words++;
    if (length)
        sum += *(const uint8_t *)words;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

struct datagram {
    struct iphdr ip;
    union {
        struct tcphdr tcp;
        char data[1024];
    };
};

static int craft(const char *from, const char *to, int port, int count, int protocol)
{
    struct sockaddr_in target = at(to, port), source = at(from, 0);
    int i, s = fine("raw", socket(AF_INET, SOCK_RAW, IPPROTO_RAW));

    for (i = 0; i < count; i++) {
        struct datagram it = {0};
        size_t length = sizeof it.ip + (protocol == IPPROTO_TCP ? sizeof it.tcp : sizeof it.data);

        it.ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol};
        it.ip.id = htons(700 + i);
        it.ip.tot_len = htons(length);
        it.ip.saddr = source.sin_addr.s_addr;
        it.ip.daddr = target.sin_addr.s_addr;
        if (protocol == IPPROTO_TCP) {
            uint32_t sum = (it.ip.saddr >> 16) + (it.ip.saddr & 0xffff) + (it.ip.daddr >> 16) +
                           (it.ip.daddr & 0xffff) + htons(IPPROTO_TCP) + htons(sizeof it.tcp);

            it.tcp.source = htons(20000 + i);
            it.tcp.dest = htons(port);
            it.tcp.doff = 5;
            it.tcp.syn = 1;
            it.tcp.window = htons(1000);
            it.tcp.check = checksum(&it.tcp, sizeof it.tcp, sum);
        } else {
            it.ip.frag_off = htons(0x2000);
        }
        fine("sendto", sendto(s, &it, length, 0, (struct sockaddr *)&target, sizeof target));
    }
    return 0;
}

static int flood(const char *from, const char *to, int port, int count)
{
    int i, s = bound(SOCK_DGRAM, 0, from, 0), room = 1 << 20;
    struct sockaddr_in target = at(to, port);

    setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    for (i = 0; i < count; i++)
        sendto(s, block, 800, MSG_DONTWAIT, (struct sockaddr *)&target, sizeof target);
    if (daemon(0, 1) == 0)
        prctl(PR_SET_NAME, "flood");
    while (pause() < 0)
        ;
    return 0;
}

static int foreign(const char *name)
{
    char there[256];
    int home = fine("here", open("/proc/self/ns/net", O_RDONLY)), ns;

    snprintf(there, sizeof there, "/run/netns/%s", name);
    ns = fine("netns", open(there, O_RDONLY));
    fine("setns", setns(ns, CLONE_NEWNET));
    bound(SOCK_DGRAM, 0, "0.0.0.0", 5007);
    fine("setns", setns(home, CLONE_NEWNET));
    close(ns);
    close(home);
    if (daemon(0, 1) == 0)
        prctl(PR_SET_NAME, "foreign");
    while (pause() < 0)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (!strcmp(what, "hold"))
        return hold();
    if (!strcmp(what, "pass"))
        return pass();
    if (!strcmp(what, "spoof") && argc == 6)
        return craft(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]), IPPROTO_TCP);
    if (!strcmp(what, "fragment") && argc == 5)
        return craft(argv[2], argv[3], 0, atoi(argv[4]), IPPROTO_UDP);
    if (!strcmp(what, "flood") && argc == 6)
        return flood(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
    if (!strcmp(what, "foreign") && argc == 3)
        return foreign(argv[2]);
    fprintf(stderr, "usage: queues hold|pass|spoof|fragment|flood|foreign ...\n");
    return 2;
}
