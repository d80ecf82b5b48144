/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory errors while a driver lets go of its memory; debugfs has to be mounted. */
#ifndef UNBIND_ERRORS_H
#define UNBIND_ERRORS_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pages.h"
#include "system.h"

/*
 * Report errors in the page @frame, one after the other, until killed.  The child tells by the
 * pipe that it has begun, so that the parent's unbind falls between two steps of one of them.
 */
static inline pid_t errors_in(uint64_t frame, int begun)
{
	pid_t parent = getpid(), pid = fork();
	int fd;

	if (pid)
		return pid;
	die_with(parent);
	fd = page_errors_open();
	if (fd < 0 || write(begun, "", 1) != 1)
		_exit(1);
	for (;;) {
		page_error(fd, frame);
		usleep(1000);	/* the log keeps what the drivers say */
	}
}

/**
 * unbind_beside - take a device from its driver beside memory errors
 * @frame: page frame number of a page of the device that somebody uses
 * @unbind: file of the driver
 * @name: of the device
 *
 * Return: whether it went, and who reported the errors lived until it had
 */
static inline bool unbind_beside(uint64_t frame, const char *unbind, const char *name)
{
	int ends[2], status = 0;
	bool done;
	pid_t pid;
	char c;

	if (!frame || pipe(ends))
		return false;
	pid = errors_in(frame, ends[1]);
	close(ends[1]);
	done = pid > 0 && read(ends[0], &c, 1) == 1;
	usleep(100000);
	done = write_to(unbind, name) && done;
	usleep(100000);
	kill(pid, SIGKILL);
	/* killed by us, and not by an oops: kernel_is_content() looks at that */
	done = waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && done;
	close(ends[0]);
	return done;
}

#endif
