// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: what uprobes say of a file whose disk is gone does not depend on a younger image
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE UPROBE_EVENTS
 * image: base share base
 * image: forged share forged
 * device: blk:base
 * device: blk:forged
 * timeout: 90
 */
#include "ktap.h"
#include "share.h"

#define TRACING	"/sys/kernel/tracing/"
#define NAME	"f.65536"
#define SIZE	65536
#define PLACES	24

/* Set a probe on a place of the file of /a, as root can. Return: 0, or what the kernel says */
static int probe(int n, int at)
{
	char text[128], event[64];
	int error = 0;

	snprintf(text, sizeof(text), "p:p%d /a/" NAME ":%#x", n, at);
	snprintf(event, sizeof(event), TRACING "events/uprobes/p%d/enable", n);
	if (!write_to(TRACING "uprobe_events", text)) {
		printf("# %s: %s\n", text, strerror(errno));
		return -1;
	}
	if (!write_to(event, "1"))
		error = errno;
	write_to(event, "0");
	snprintf(text, sizeof(text), "-:p%d", n);
	write_to(TRACING "uprobe_events", text);
	return error;
}

int main(void)
{
	static char good[SIZE], bad[SIZE];
	int fd, errors[PLACES], differ = 0;
	char *p;

	ktap_begin();
	mount("none", "/sys/kernel/tracing", "tracefs", 0, NULL);
	ktap_ok(share_plain("/dev/harness/blk0", "/a") && share_read("/a", NAME, good, SIZE) == SIZE && !umount("/a") &&
		share_plain("/dev/harness/blk1", "/b") && share_read("/b", NAME, bad, SIZE) == SIZE && !umount("/b"),
		"what both images have");
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL), "mount both");
	fd = share_open("/a", NAME);
	p = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	ktap_ok(p != MAP_FAILED && share_open("/b", NAME) >= 0, "map it in the older one, open it in the younger");
	ktap_eq(probe(1000, 0), 0, "alive: a probe can be set, or not, by what is there");
	ktap_ok(share_unplug("/dev/harness/blk0"), "take the disk of the older one away");
	for (int i = 0; i < 300 && pread(fd, good, 0, 0) == 0 && pread(fd, good + SIZE - 1, 1, SIZE - 1) == 1; i++)
		usleep(10000);
	drop_caches("1");
	for (int i = 0; i < PLACES; i++) {
		errors[i] = probe(i, 4096 + i);
		printf("# at %d: older '%c', younger '%c': errno %d (%s)\n", 4096 + i, good[4096 + i], bad[4096 + i], errors[i],
		       strerror(errors[i]));
		differ += errors[i] != errors[0];
	}
	ktap_eq(differ, 0, "the same is said of each byte");
	printf("# cached by /b: %ld\n", share_cached("/b", NAME));
	return ktap_end();
}
