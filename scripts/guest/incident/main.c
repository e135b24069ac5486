// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Plants one incident: "KIND SEED" written to /proc/incident plants it, and
 * reading the file tells what was planted, as members of a JSON object.
 */
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "incident.h"

static u64 incident_random = 1;
static char incident_answer[4096];
static size_t incident_told;
static u32 incident_style, incident_seconds;
static bool incident_unowned;
static DEFINE_MUTEX(incident_mutex);

static const struct incident_kind *const incident_all[] = {
	incident_lost, incident_held, incident_files, incident_network, incident_innocent,
};

u32 incident_pick(u32 low, u32 high)
{
	/* xorshift64 */
	incident_random ^= incident_random << 13;
	incident_random ^= incident_random >> 7;
	incident_random ^= incident_random << 17;
	return low + (u32)(incident_random >> 32) % (high - low + 1);
}

static __printf(1, 2) void incident_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	incident_told += vscnprintf(incident_answer + incident_told,
				    sizeof(incident_answer) - incident_told, format, arguments);
	va_end(arguments);
}

void incident_truth(const char *subject, u64 objects, u64 bytes)
{
	incident_say("%s{\"subject\": \"%s\", \"objects\": %llu, \"bytes\": %llu}",
		     incident_told ? ", " : "\"parts\": [", subject, objects, bytes);
}

void incident_truth_kmalloc(const void *object, u64 objects)
{
	size_t size = ksize(object);
	char name[24];

	if (size > 8192)
		strscpy(name, "large kmalloc", sizeof(name));
	else if (size >= 1024 && size % 1024 == 0)
		snprintf(name, sizeof(name), "kmalloc-%zuk", size / 1024);
	else
		snprintf(name, sizeof(name), "kmalloc-%zu", size);
	incident_truth(name, objects, objects * size);
}

void incident_truth_seconds(u32 seconds)
{
	incident_seconds = seconds;
}

void incident_truth_unowned(void)
{
	incident_unowned = true;
}

static noinline void incident_done(struct incident_request *request)
{
	pr_info("incident: request %u done\n", request->number);
}

static struct {
	int users;
	char name[16];
} incident_driver = { 1, "driver" };

void incident_fill(struct incident_request *request, u32 number)
{
	request->born = ktime_get_ns();
	request->number = number;
	request->state = 1;
	if (incident_style == 1)
		snprintf(request->text, sizeof(request->text), "incident-request-%06u", number);
	else if (incident_style == 2)
		request->owner = &incident_driver;
	else
		request->done = incident_done;
}

u32 incident_size(void)
{
	static const u32 sizes[] = { 96, 128, 160, 192, 250, 400, 512, 800, 1024 };

	return sizes[incident_pick(0, ARRAY_SIZE(sizes) - 1)];
}

u32 incident_count(u32 size, u32 least_mib, u32 most_mib)
{
	return min_t(u32, 40000, incident_pick(least_mib * 16, most_mib * 16) * 65536 / size);
}

static int incident_plant(const char *kind, u32 seed)
{
	const struct incident_kind *one;
	const char *letter;
	int i;

	/* Other numbers for each kind, too. */
	incident_random = seed * 0x9e3779b97f4a7c15ULL + 0x1234567;
	for (letter = kind; *letter; letter++)
		incident_random = incident_random * 31 + *letter;
	for (i = 0; i < 8; i++)
		incident_pick(0, 1);
	incident_style = incident_pick(0, 0xffff) % 3;
	for (i = 0; i < ARRAY_SIZE(incident_all); i++)
		for (one = incident_all[i]; one->name; one++)
			if (!strcmp(one->name, kind))
				return one->plant();
	return -ENOENT;
}

static int incident_show(struct seq_file *out, void *unused)
{
	if (incident_told)
		seq_printf(out, "%s], ", incident_answer);
	else
		seq_puts(out, "\"parts\": [], ");
	seq_printf(out, "\"style\": %u, \"seconds\": %u, \"unowned\": %s\n", incident_style,
		   incident_seconds, incident_unowned ? "true" : "false");
	return 0;
}

static int incident_open(struct inode *inode, struct file *file)
{
	return single_open(file, incident_show, NULL);
}

static ssize_t incident_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char line[64] = "", kind[48];
	u32 seed;
	int error;

	if (size >= sizeof(line) || copy_from_user(line, from, size))
		return -EINVAL;
	if (sscanf(line, "%47s %u", kind, &seed) != 2)
		return -EINVAL;
	mutex_lock(&incident_mutex);
	error = incident_plant(kind, seed);
	mutex_unlock(&incident_mutex);
	return error ? error : size;
}

static const struct proc_ops incident_operations = {
	.proc_open = incident_open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
	.proc_write = incident_write,
};

static int __init incident_init(void)
{
	return proc_create("incident", 0600, NULL, &incident_operations) ? 0 : -ENOMEM;
}

module_init(incident_init);
MODULE_DESCRIPTION("plants leaks, and what is none, in known numbers");
MODULE_LICENSE("Dual MIT/GPL");
