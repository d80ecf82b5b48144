// SPDX-License-Identifier: GPL-2.0-or-later
/* What a program in a guest says to the harness; guest.h says more. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		p += done;
		n -= done;
	}
	return 0;
}

/* Send "VERB TOKEN TEXT" as one line and wait for the answer "ok". */
static int request(const char *verb, const char *text)
{
	char token[GUEST_TOKEN], path[sizeof(GUEST_ANSWER) + GUEST_TOKEN], reply[8];
	size_t len = strlen(text), head;
	int fd = -1, back = -1, ret = -1;
	struct timespec now;
	char *line;
	ssize_t n;

	line = malloc(len + 2 * GUEST_TOKEN);
	if (!line)
		return -1;
	/* A process id alone repeats in another pid name space. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(token, sizeof(token), "%d.%lld.%ld", (int)getpid(),
		 (long long)now.tv_sec, now.tv_nsec);
	snprintf(path, sizeof(path), GUEST_ANSWER "%s", token);
	head = sprintf(line, "%.20s %s ", verb, token);
	for (size_t i = 0; i < len; i++)
		line[head + i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
	line[head + len] = '\n';

	fd = open(GUEST_REQUESTS, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || mkfifo(path, 0600))
		goto out;
	/* For both ways, so that init finds a reader and the read no early end. */
	back = open(path, O_RDWR | O_CLOEXEC);
	if (back < 0 || flock(fd, LOCK_EX))
		goto unlink;
	n = write_all(fd, line, head + len + 1);
	flock(fd, LOCK_UN);
	if (n)
		goto unlink;
	do {
		n = read(back, reply, sizeof(reply));
	} while (n < 0 && errno == EINTR);
	if (n == 3 && !memcmp(reply, "ok\n", 3))
		ret = 0;
	else if (n >= 0)
		errno = EPROTO;
unlink:
	unlink(path);
out:
	if (back >= 0)
		close(back);
	if (fd >= 0)
		close(fd);
	free(line);
	return ret;
}

int guest_barrier(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= GUEST_NAME ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != len) {
		errno = EINVAL;
		return -1;
	}
	return request("ready", name);
}

int guest_result(const char *json)
{
	return request("result", json);
}
