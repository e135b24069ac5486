/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the parts of incident.ko share: numbers chosen by the seed, and the
 * truth of what was planted, told in parts. Nothing of it holds an address.
 */
#ifndef INCIDENT_H
#define INCIDENT_H

#include <linux/types.h>

struct incident_kind {
	const char *name;
	int (*plant)(void);
};

/* Each ends with an entry without a name. */
extern const struct incident_kind incident_lost[], incident_held[], incident_files[],
	incident_network[], incident_innocent[];

/* A number from low to high, both included; the same ones for the same seed. */
u32 incident_pick(u32 low, u32 high);

/* So many objects of a cache, or of what else vmleak calls it. */
void incident_truth(const char *subject, u64 objects, u64 bytes);
/* So many objects of kmalloc, like this one. */
void incident_truth_kmalloc(const void *object, u64 objects);
/* For how long the objects came, so that the rate is known. */
void incident_truth_seconds(u32 seconds);
/* Nothing in what is lost tells whose it was. */
void incident_truth_unowned(void);

/*
 * A request as drivers have them: when, what to call, which. Of some seeds it
 * holds a function of the module, of others text, or the address of a static
 * structure.
 */
struct incident_request {
	u64 born;
	void (*done)(struct incident_request *request);
	const void *owner;
	u32 number;
	u32 state;
	char text[40];
};

void incident_fill(struct incident_request *request, u32 number);
/* Sizes that a request fits into. */
u32 incident_size(void);
/* As many objects of a size as make some MiB. */
u32 incident_count(u32 size, u32 least_mib, u32 most_mib);

#endif
