// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What processes do in the incidents of scripts/evidence, and stay alive with
 * where something is theirs. The argument behind the kind is how many, or how
 * much. Says "ready" when all of it is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void write_text(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CREAT, 0600);

	if (file < 0 || write(file, text, strlen(text)) < 0)
		die(path);
	close(file);
}

/* In the background with what it has, until the machine dies. */
static void stay(void)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (child) {
		puts("ready");
		exit(0);
	}
	close(1);
	for (;;)
		pause();
}

/* A group for each, with a process that writes some pages into a file and goes. */
static void cgroups(int count, int keep_files)
{
	char group[64], procs[96], name[64], pages[4 * 4096];
	int i;

	memset(pages, 'g', sizeof(pages));
	for (i = 0; i < count; i++) {
		pid_t child;

		snprintf(group, sizeof(group), "/sys/fs/cgroup/gone-%d", i);
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", group);
		snprintf(name, sizeof(name), "/ram/of-group-%d", i);
		if (mkdir(group, 0700))
			die(group);
		child = fork();
		if (child < 0)
			die("fork");
		if (!child) {
			int file;

			write_text(procs, "0");
			file = open(name, O_RDWR | O_CREAT, 0600);
			if (file < 0 || write(file, pages, sizeof(pages)) < 0)
				die(name);
			_exit(0);
		}
		waitpid(child, NULL, 0);
		if (!keep_files)
			unlink(name);
		/* The last process may not have left yet. */
		while (rmdir(group) && errno == EBUSY)
			usleep(1000);
	}
}

/* Of each the module keeps a reference, and no process has one. */
static void hold_namespaces(int count)
{
	int i;

	for (i = 0; i < count; i++) {
		if (unshare(CLONE_NEWNET))
			die("unshare");
		write_text("/proc/incident", "hold-namespace 0");
	}
}

/* Every tenth has a process of its own, the others are open files. */
static void live_namespaces(int count)
{
	int i;

	for (i = 0; i < count; i++) {
		if (unshare(CLONE_NEWNET))
			die("unshare");
		if (open("/proc/self/ns/net", O_RDONLY) < 0)
			die("ns/net");
		if (i % 10 == 0 && !fork())
			for (;;)
				pause();
	}
	stay();
}

static int bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

/* A hash that gets an element for each new key and loses none. */
static void grow_map(int count)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	union bpf_attr attributes = {
		.map_type = BPF_MAP_TYPE_HASH, .key_size = 8, .value_size = 200,
		.max_entries = 1 << 20, .map_flags = BPF_F_NO_PREALLOC,
	};
	char value[200] = "flow";
	int map;
	__u64 key;

	setrlimit(RLIMIT_MEMLOCK, &all);
	strcpy(attributes.map_name, "flows");
	map = bpf(BPF_MAP_CREATE, &attributes);
	if (map < 0)
		die("bpf map");
	for (key = 0; key < (__u64)count; key++) {
		memset(&attributes, 0, sizeof(attributes));
		attributes.map_fd = map;
		attributes.key = (unsigned long)&key;
		attributes.value = (unsigned long)value;
		if (bpf(BPF_MAP_UPDATE_ELEM, &attributes))
			die("bpf element");
	}
	stay();
}

static void huge_pages(int count)
{
	size_t size = (size_t)count << 21;
	char *at;

	at = mmap(NULL, size, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (at == MAP_FAILED)
		die("huge pages");
	for (; count; count--)
		at[((size_t)count - 1) << 21] = 1;
	stay();
}

/* Directories of 50 files, and each name looked at, and one beside it that is not there. */
static void tree(const char *top, int directories)
{
	char path[128];
	struct stat status;
	int i, j;

	for (i = 0; i < directories; i++) {
		snprintf(path, sizeof(path), "%s/d%d", top, i);
		if (mkdir(path, 0700))
			die(path);
		for (j = 0; j < 50; j++) {
			int file;

			snprintf(path, sizeof(path), "%s/d%d/f%d", top, i, j);
			file = open(path, O_WRONLY | O_CREAT, 0600);
			if (file < 0)
				die(path);
			close(file);
			snprintf(path, sizeof(path), "%s/d%d/n%d", top, i, j);
			stat(path, &status);
		}
	}
}

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[2]) : 0;
	const char *kind = argc > 1 ? argv[1] : "";

	if (!strcmp(kind, "dying-cgroups"))
		cgroups(count, 1);
	else if (!strcmp(kind, "cgroups"))
		cgroups(count, 0);
	else if (!strcmp(kind, "hold-namespaces"))
		hold_namespaces(count);
	else if (!strcmp(kind, "namespaces"))
		live_namespaces(count);
	else if (!strcmp(kind, "map"))
		grow_map(count);
	else if (!strcmp(kind, "huge-pages"))
		huge_pages(count);
	else if (!strcmp(kind, "tree") && argc > 3)
		tree(argv[3], count);
	else
		return fprintf(stderr, "plant: what is %s?\n", kind), 2;
	puts("ready");
	return 0;
}
