// SPDX-License-Identifier: GPL-2.0 OR MIT
/* References to files, names and inodes that are never put. */
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include "incident.h"

static struct file *open_numbered(u32 number)
{
	char name[32];

	snprintf(name, sizeof(name), "/ram/incident/%05u", number);
	return filp_open(name, O_RDWR | O_CREAT, 0600);
}

/* The files are removed afterwards; what stays is the reference. */
static int pin_dentries(void)
{
	u32 count = incident_pick(5000, 9000), i;

	for (i = 0; i < count; i++) {
		struct file *file = open_numbered(i);

		if (IS_ERR(file))
			return PTR_ERR(file);
		dget(file->f_path.dentry);
		filp_close(file, NULL);
	}
	incident_truth("dentry", count, (u64)count * 192);
	incident_truth("shmem_inode_cache", count, 0);
	return 0;
}

static int pin_inodes(void)
{
	u32 count = incident_pick(4000, 7000), i;

	for (i = 0; i < count; i++) {
		struct file *file = open_numbered(i);

		if (IS_ERR(file))
			return PTR_ERR(file);
		ihold(file_inode(file));
		filp_close(file, NULL);
	}
	incident_truth("shmem_inode_cache", count, 0);
	return 0;
}

static int lose_files(void)
{
	u32 count = incident_pick(6000, 12000), i;

	for (i = 0; i < count; i++) {
		struct file *file = open_numbered(0);

		if (IS_ERR(file))
			return PTR_ERR(file);
	}
	incident_truth("filp", count, (u64)count * sizeof(struct file));
	return 0;
}

const struct incident_kind incident_files[] = {
	{ "dentry", pin_dentries },
	{ "inode", pin_inodes },
	{ "file", lose_files },
	{}
};
