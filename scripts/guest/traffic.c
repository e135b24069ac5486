/*
 * Connections for a NAT gateway to track.
 *
 *   traffic serve udp|tcp ADDRESS PORT               answers for ever
 *   traffic open udp|tcp FROM ADDRESS PORT COUNT     opens COUNT flows, prints how
 *                                                    many were answered, holds them
 *   traffic tftp FROM ADDRESS COUNT                  read requests to port 69
 *
 * serve and open go to the background once they are ready.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WAIT_SEC = 2, SOCKETS = 4096 };

struct endpoint {
    struct sockaddr_storage address;
    socklen_t length;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct endpoint endpoint(const char *text, int port)
{
    struct endpoint e = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&e.address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&e.address;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        e.length = sizeof *v4;
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        e.length = sizeof *v6;
    } else {
        fprintf(stderr, "not an address: %s\n", text);
        exit(2);
    }
    return e;
}

static int socket_on(int type, const struct endpoint *e)
{
    int one = 1;
    int s = socket(e->address.ss_family, type, 0);

    if (s < 0)
        fail("socket");
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (const struct sockaddr *)&e->address, e->length) < 0)
        fail("bind");
    return s;
}

static void to_background(void)
{
    fflush(stdout);
    if (daemon(0, 1) < 0)
        fail("daemon");
}

static void serve_udp(int s)
{
    char buffer[512];

    for (;;) {
        struct endpoint from = {.length = sizeof from.address};
        ssize_t n = recvfrom(s, buffer, sizeof buffer, 0,
                             (struct sockaddr *)&from.address, &from.length);
        if (n >= 0)
            sendto(s, buffer, n, 0, (struct sockaddr *)&from.address, from.length);
    }
}

static void serve_tcp(int s)
{
    if (listen(s, 256) < 0)
        fail("listen");
    for (;;) {
        int peer = accept(s, NULL, NULL);
        if (peer >= 0 && write(peer, "hello", 5) < 0)
            close(peer);
    }
}

static int serve(int type, const char *address, int port)
{
    struct endpoint at = endpoint(address, port);
    int s = socket_on(type, &at);

    to_background();
    if (type == SOCK_DGRAM)
        serve_udp(s);
    else
        serve_tcp(s);
    return 0;
}

static int open_flow(int type, const struct endpoint *from, const struct endpoint *to)
{
    struct timeval patience = {WAIT_SEC, 0};
    int s = socket_on(type, from);

    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(s, (const struct sockaddr *)&to->address, to->length) < 0) {
        close(s);
        return -1;
    }
    if (type == SOCK_DGRAM && write(s, "?", 1) < 0)
        perror("write");
    return s;
}

static int open_flows(int type, const char *from, const char *to, int port, int count)
{
    static int flows[SOCKETS];
    struct endpoint source = endpoint(from, 0), target = endpoint(to, port);
    char answer[16];
    int i, answered = 0;

    if (count > SOCKETS)
        count = SOCKETS;
    for (i = 0; i < count; i++)
        flows[i] = open_flow(type, &source, &target);
    for (i = 0; i < count; i++) {
        if (flows[i] < 0)
            continue;
        /* One that stays silent speaks for the rest. */
        if (recv(flows[i], answer, sizeof answer, 0) < 0)
            break;
        answered++;
    }
    printf("%s to %s port %d: %d flows, %d answered\n",
           type == SOCK_DGRAM ? "udp" : "tcp", to, port, count, answered);
    to_background();
    while (pause() < 0)
        ;
    return 0;
}

static int tftp(const char *from, const char *to, int count)
{
    static const char request[] = "\0\1file\0octet";
    struct endpoint target = endpoint(to, 69);
    int i;

    for (i = 0; i < count; i++) {
        struct endpoint source = endpoint(from, 40000 + i);
        int s = socket_on(SOCK_DGRAM, &source);

        if (sendto(s, request, sizeof request, 0,
                   (struct sockaddr *)&target.address, target.length) < 0)
            perror("sendto");
        close(s);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit files = {SOCKETS + 64, SOCKETS + 64};
    const char *what = argc > 1 ? argv[1] : "";
    int type = argc > 2 && !strcmp(argv[2], "tcp") ? SOCK_STREAM : SOCK_DGRAM;

    setrlimit(RLIMIT_NOFILE, &files);
    if (!strcmp(what, "serve") && argc == 5)
        return serve(type, argv[3], atoi(argv[4]));
    if (!strcmp(what, "open") && argc == 7)
        return open_flows(type, argv[3], argv[4], atoi(argv[5]), atoi(argv[6]));
    if (!strcmp(what, "tftp") && argc == 5)
        return tftp(argv[2], argv[3], atoi(argv[4]));
    fprintf(stderr, "usage: traffic serve|open|tftp ...\n");
    return 2;
}
