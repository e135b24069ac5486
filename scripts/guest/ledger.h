/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What a module lost or keeps, object by object, for /proc/scenario-objects:
 * lines of a kind and an address. Only complements are kept here, so that the
 * ledger itself leads to nothing.
 */
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#define LEDGER_LINES 16384

struct ledger_line {
	const char *kind;
	unsigned long complement;
};

static struct ledger_line ledger[LEDGER_LINES];
static int ledger_lines;

static void ledger_add(const char *kind, const void *object)
{
	if (ledger_lines == LEDGER_LINES)
		return;
	ledger[ledger_lines].kind = kind;
	ledger[ledger_lines].complement = ~(unsigned long)object;
	smp_store_release(&ledger_lines, ledger_lines + 1);
}

static int ledger_show(struct seq_file *out, void *unused)
{
	int i, lines = smp_load_acquire(&ledger_lines);

	for (i = 0; i < lines; i++)
		seq_printf(out, "%s 0x%lx\n", ledger[i].kind, ~ledger[i].complement);
	return 0;
}

static int ledger_open(void)
{
	return proc_create_single("scenario-objects", 0400, NULL, ledger_show) ? 0 : -ENOMEM;
}
