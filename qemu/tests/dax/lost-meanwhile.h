/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages that are lost while a driver lets go of their memory, one after the other. */
#ifndef LOST_MEANWHILE_H
#define LOST_MEANWHILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "pages.h"
#include "system.h"

#define MOST_PAGES	6000

struct meanwhile {
	volatile int next;			/* the page that is lost next */
	volatile bool begun, enough;
	volatile bool told[MOST_PAGES + 1];	/* a page that had a struct page when it was lost */
};

/* Lose pages until somebody has enough, or no struct page is there (ENXIO). */
static inline void lose_pages(struct meanwhile *m, uint64_t first, int pages)
{
	int fd = page_errors_open();

	for (m->begun = true; !m->enough && m->next < pages; m->next++) {
		if (page_error(fd, first + m->next) == ENXIO)
			break;
		m->told[m->next] = true;
	}
	m->next++;
	_exit(0);
}

/**
 * lost_meanwhile - unbind and bind a device, again and again, beside memory errors
 * @driver: directory of the driver in sysfs
 * @name:   of the device
 * @first:  its first page frame
 * @pages:  how many of its pages may be lost, MOST_PAGES at most
 * @rounds: how often
 *
 * Return: what was lost.
 */
static inline struct meanwhile *lost_meanwhile(const char *driver, const char *name, uint64_t first, int pages, int rounds)
{
	struct meanwhile *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char unbind[128], bind[128];
	int gone = 0, back = 0;

	snprintf(unbind, sizeof(unbind), "%s/unbind", driver);
	snprintf(bind, sizeof(bind), "%s/bind", driver);
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	klogctl(8, NULL, 1);	/* memory_failure() has a line for each */
	for (int i = 0; i < rounds; i++) {
		pid_t pid;

		m->begun = m->enough = false;
		pid = fork();
		if (!pid)
			lose_pages(m, first, pages);
		while (!m->begun)
			;
		usleep(200 + 100 * (i % 8));
		gone += write_to(unbind, name);
		m->enough = true;
		waitpid(pid, NULL, 0);
		back += write_to(bind, name);
	}
	klogctl(8, NULL, 7);
	ktap_ok(gone == rounds && back == rounds, "it goes %d times and comes back %d times", gone, back);
	return m;
}

/** meanwhile_check - @error tells whether a page cannot be read; it must be so for those that were lost, and no others */
static inline void meanwhile_check(const struct meanwhile *m, int (*error)(int page), int pages)
{
	int lost = 0, forgotten = 0, others = 0;

	for (int i = 0; i < pages; i++) {
		lost += m->told[i];
		/* the last one can have been without a struct page, too: Linux 7.3 has EBUSY for some of these */
		forgotten += m->told[i] && m->told[i + 1] && !error(i);
		/* the last one of a round can be lost although it is said that there is no page */
		others += i >= m->next && error(i);
	}
	ktap_ok(lost > 0, "%d pages were lost", lost);
	ktap_eq(forgotten, 0, "none of them can be read");
	ktap_eq(others, 0, "all others can");
}

#endif
