/*
 * Processes that each hold kernel pages of one kind, and how many bytes of it.
 *
 *   keepers        starts them; each writes "KIND COMM PID BYTES" to standard output
 *                  once it holds them, and stays.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20 };

static char block[64 * 1024];

static void fail(const char *what)
{
    perror(what);
    _exit(1);
}

static void held(const char *kind, const char *comm, uint64_t bytes)
{
    printf("%s %s %d %llu\n", kind, comm, getpid(), (unsigned long long)bytes);
    fflush(stdout);
}

/* Full pipes of 1 MiB. */
static void pipes(const char *comm)
{
    uint64_t bytes = 0;
    int i;

    for (i = 0; i < 12; i++) {
        int ends[2];
        ssize_t done;

        if (pipe(ends) < 0 || fcntl(ends[1], F_SETPIPE_SZ, MIB) < 0)
            fail("pipe");
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
        while ((done = write(ends[1], block, sizeof block)) > 0)
            bytes += done;
    }
    held("pipe", comm, bytes);
}

/* Unread bytes of two processes that are one. */
static uint64_t fill(int from, size_t piece, uint64_t limit)
{
    uint64_t bytes = 0;
    ssize_t done;

    fcntl(from, F_SETFL, O_NONBLOCK);
    while (bytes < limit && (done = send(from, block, piece, MSG_DONTWAIT)) > 0)
        bytes += done;
    return bytes;
}

static void unix_queue(const char *comm)
{
    uint64_t bytes = 0;
    int i, size = 4 * MIB;

    for (i = 0; i < 4; i++) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
            fail("socketpair");
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
        bytes += fill(pair[0], sizeof block, 4 * MIB);
    }
    held("unix", comm, bytes);
}

static void tcp_queue(const char *comm)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7777)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), i, size = 8 * MIB;
    uint64_t bytes = 0;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    if (bind(listener, (void *)&at, sizeof at) < 0 || listen(listener, 16) < 0)
        fail("listen");
    for (i = 0; i < 4; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);

        setsockopt(client, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
        if (connect(client, (void *)&at, sizeof at) < 0 || accept(listener, NULL, NULL) < 0)
            fail("connect");
        bytes += fill(client, sizeof block, 8 * MIB);
    }
    held("tcp", comm, bytes);
}

static void packet_ring(const char *comm)
{
    struct tpacket_req ask = {
        .tp_block_size = 64 * 1024,
        .tp_block_nr = 512,
        .tp_frame_size = 2048,
        .tp_frame_nr = 512 * 32,
    };
    int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP));

    if (s < 0 || setsockopt(s, SOL_PACKET, PACKET_RX_RING, &ask, sizeof ask) < 0)
        fail("packet ring");
    held("packet_ring", comm, (uint64_t)ask.tp_block_size * ask.tp_block_nr);
}

static void io_uring(const char *comm)
{
    struct io_uring_params params;
    uint64_t bytes = 0;
    int i;

    for (i = 0; i < 4; i++) {
        memset(&params, 0, sizeof params);
        if (syscall(SYS_io_uring_setup, 4096, &params) < 0)
            fail("io_uring");
        bytes += params.sq_entries * sizeof(struct io_uring_sqe) +
                 params.cq_entries * sizeof(struct io_uring_cqe);
    }
    held("io_uring", comm, bytes);
}

static int map(int type, int key, int value, int entries, const char *name)
{
    union bpf_attr ask;
    int fd;

    memset(&ask, 0, sizeof ask);
    ask.map_type = type;
    ask.key_size = key;
    ask.value_size = value;
    ask.max_entries = entries;
    strncpy(ask.map_name, name, sizeof ask.map_name - 1);
    fd = syscall(SYS_bpf, BPF_MAP_CREATE, &ask, sizeof ask);
    if (fd < 0)
        perror(name);
    return fd;
}

static void maps(const char *comm)
{
    map(BPF_MAP_TYPE_ARRAY, 4, 4096, 2048, "keep_array");
    map(BPF_MAP_TYPE_HASH, 8, 1016, 4096, "keep_hash");
    map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8192, 128, "keep_percpu");
    map(BPF_MAP_TYPE_RINGBUF, 0, 0, 4 * MIB, "keep_ringbuf");
    held("bpf_map", comm, (uint64_t)2048 * 4096);
}

static void memory_file(const char *comm)
{
    int fd = syscall(SYS_memfd_create, "keep-memfd", 0), i;

    for (i = 0; i < 8 * MIB; i += sizeof block)
        if (write(fd, block, sizeof block) < 0)
            fail("memfd");
    held("memfd", comm, 8 * MIB);
}

static void deleted_file(const char *comm)
{
    int fd = open("/run/keep-deleted", O_CREAT | O_RDWR, 0600), i;

    unlink("/run/keep-deleted");
    for (i = 0; i < 6 * MIB; i += sizeof block)
        if (write(fd, block, sizeof block) < 0)
            fail("deleted");
    held("deleted", comm, 6 * MIB);
}

static void segment(const char *comm)
{
    int id = shmget(0x6b656570, 5 * MIB, IPC_CREAT | 0600);
    char *at = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

    if (at == (void *)-1)
        fail("shm");
    memset(at, 'k', 5 * MIB);
    shmdt(at);
    held("sysv", comm, 5 * MIB);
}

/* A page table for each page that is touched. */
static void sparse(const char *comm)
{
    enum { TABLES = 1500, STEP = 2 * MIB };
    char *at = mmap(NULL, (size_t)TABLES * STEP, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int i;

    if (at == MAP_FAILED)
        fail("mmap");
    madvise(at, (size_t)TABLES * STEP, MADV_NOHUGEPAGE);
    for (i = 0; i < TABLES; i++)
        at[(size_t)i * STEP] = 'k';
    held("page_tables", comm, (uint64_t)TABLES * PAGE);
}

static const struct {
    const char *comm;
    void (*hold)(const char *comm);
} keepers[] = {
    {"keep-pipe", pipes},       {"keep-unix", unix_queue},  {"keep-tcp", tcp_queue},
    {"keep-ring", packet_ring}, {"keep-uring", io_uring},   {"keep-bpf", maps},
    {"keep-memfd", memory_file}, {"keep-gone", deleted_file}, {"keep-sysv", segment},
    {"keep-tables", sparse},
};

int main(void)
{
    size_t i;

    memset(block, 'k', sizeof block);
    for (i = 0; i < sizeof keepers / sizeof *keepers; i++) {
        if (fork() == 0) {
            prctl(PR_SET_NAME, keepers[i].comm);
            keepers[i].hold(keepers[i].comm);
            fclose(stdout);
            for (;;)
                pause();
        }
    }
    return 0;
}
