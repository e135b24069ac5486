/*
 * Processes that keep a kernel busy.
 *
 *   load files COUNT DIRECTORY    create, write, read, rename and delete files
 *   load pipes COUNT              pairs of processes with a pipe each way
 *   load sockets COUNT            the same, every other pair over TCP, else AF_UNIX
 *   load epoll COUNT              each waits on a timer, an eventfd and a pipe
 *   load forks COUNT              each starts a short-lived child, again and again
 *   load names PRESENT ABSENT DIRECTORY
 *                                 makes files, and asks for some that are not there
 *
 * All but names go to the background and never end. They pause between rounds and
 * are nice, so that the guest can still say what it knows.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAUSE_US = 50000, BLOCK = 4096, BLOCKS = 8, KEPT_FILES = 40 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void pause_a_little(int number)
{
    usleep(PAUSE_US + number * 1000);
}

static void one_file(const char *directory, int number, int round)
{
    static char block[BLOCK];
    char name[256], new[256];
    int i, fd;

    snprintf(name, sizeof name, "%s/%d.%d.new", directory, number, round % KEPT_FILES);
    snprintf(new, sizeof new, "%s/%d.%d", directory, number, round % KEPT_FILES);
    fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0644);
    if (fd < 0)
        return;
    for (i = 0; i < round % BLOCKS; i++)
        if (write(fd, block, sizeof block) < 0)
            break;
    lseek(fd, 0, SEEK_SET);
    while (read(fd, block, sizeof block) > 0)
        ;
    close(fd);
    if (round % 3)
        rename(name, new);
    else
        unlink(name);
    if (round % 7 == 0)
        unlink(new);
}

static void files(int number, const char *directory)
{
    int round;

    for (round = number;; round++) {
        one_file(directory, number, round);
        pause_a_little(number);
    }
}

/* Talks to a child of its own over two descriptors each way. */
static void converse(int here, int back, int there_in, int there_out, int number)
{
    char word[512] = "x";

    if (fork() == 0) {
        while (read(there_in, word, sizeof word) > 0)
            if (write(there_out, word, sizeof word) < 0)
                break;
        exit(0);
    }
    for (;;) {
        if (write(here, word, sizeof word) < 0 || read(back, word, sizeof word) <= 0)
            exit(1);
        pause_a_little(number);
    }
}

static void pipes(int number)
{
    int there[2], back[2];

    if (pipe(there) < 0 || pipe(back) < 0)
        fail("pipe");
    converse(there[1], back[0], there[0], back[1], number);
}

static void tcp_pair(int pair[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof at;
    int listening = socket(AF_INET, SOCK_STREAM, 0);

    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listening, (struct sockaddr *)&at, length) < 0 || listen(listening, 1) < 0 ||
        getsockname(listening, (struct sockaddr *)&at, &length) < 0 ||
        connect(pair[0], (struct sockaddr *)&at, length) < 0)
        fail("tcp");
    pair[1] = accept(listening, NULL, NULL);
    close(listening);
}

static void sockets(int number)
{
    int pair[2];

    if (number % 2)
        tcp_pair(pair);
    else if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        fail("socketpair");
    converse(pair[0], pair[0], pair[1], pair[1], number);
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll");
}

static void events(int number)
{
    struct itimerspec often = {{0, PAUSE_US * 1000L}, {0, PAUSE_US * 1000L}};
    struct epoll_event event;
    int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    int bell = eventfd(0, EFD_NONBLOCK), wires[2];
    uint64_t word = number + 1;

    if (pipe(wires) < 0 || timerfd_settime(timer, 0, &often, NULL) < 0)
        fail("events");
    watch(epoll, timer);
    watch(epoll, bell);
    watch(epoll, wires[0]);
    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            continue;
        if (read(event.data.fd, &word, sizeof word) < 0)
            continue;
        if (event.data.fd == timer && (write(bell, &word, sizeof word) < 0 ||
                                       write(wires[1], &word, sizeof word) < 0))
            exit(1);
    }
}

static void forks(int number)
{
    enum { MAPPED = 64 * 1024 };
    pid_t child;

    for (;;) {
        child = fork();
        if (child == 0) {
            char *memory = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (memory != MAP_FAILED)
                memset(memory, number, MAPPED);
            usleep(PAUSE_US);
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
}

static int names(int present, int absent, const char *directory)
{
    char name[256];
    struct stat st;
    int i, fd, made = 0, missed = 0;

    for (i = 0; i < present; i++) {
        snprintf(name, sizeof name, "%s/a-name-that-is-there-%06d", directory, i);
        fd = open(name, O_CREAT | O_WRONLY, 0644);
        if (fd < 0)
            fail(name);
        close(fd);
        made++;
    }
    for (i = 0; i < absent; i++) {
        snprintf(name, sizeof name, "%s/a-name-that-is-not-there-%06d", directory, i);
        missed += stat(name, &st) < 0;
    }
    printf("%s: %d names made, %d missed\n", directory, made, missed);
    return 0;
}

static void work(const char *kind, int number, const char *directory)
{
    if (!strcmp(kind, "files"))
        files(number, directory);
    else if (!strcmp(kind, "pipes"))
        pipes(number);
    else if (!strcmp(kind, "sockets"))
        sockets(number);
    else if (!strcmp(kind, "epoll"))
        events(number);
    else if (!strcmp(kind, "forks"))
        forks(number);
    fprintf(stderr, "load: no work called %s\n", kind);
    exit(2);
}

int main(int argc, char **argv)
{
    int i;

    if (argc == 5 && !strcmp(argv[1], "names"))
        return names(atoi(argv[2]), atoi(argv[3]), argv[4]);
    if (argc < 3) {
        fprintf(stderr, "usage: load KIND COUNT [DIRECTORY]\n");
        return 2;
    }
    if (nice(19) < 0)
        perror("nice");
    for (i = 0; i < atoi(argv[2]); i++)
        if (fork() == 0) {
            setsid();
            work(argv[1], i, argc > 3 ? argv[3] : ".");
        }
    return 0;
}
