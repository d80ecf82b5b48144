// SPDX-License-Identifier: GPL-2.0-or-later
/* What a program in a guest says to the harness; guest.h says more. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest.h"

#define MAX_NAME	63

static int send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

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

/* Send "VERB TEXT" as one line and wait for the answer "ok". */
static int request(const char *verb, const char *text)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t len = strlen(text);
	char *line, answer[8];
	int fd, ret = -1;
	ssize_t n;

	line = malloc(len + 1);
	if (!line)
		return -1;
	for (size_t i = 0; i < len; i++)
		line[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
	line[len] = '\n';

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto free;
	memcpy(sa.sun_path + 1, GUEST_SOCKET, strlen(GUEST_SOCKET));
	if (connect(fd, (struct sockaddr *)&sa,
		    offsetof(struct sockaddr_un, sun_path) + 1 + strlen(GUEST_SOCKET)) ||
	    send_all(fd, verb, strlen(verb)) || send_all(fd, " ", 1) ||
	    send_all(fd, line, len + 1))
		goto close;
	do {
		n = recv(fd, answer, sizeof(answer), 0);
	} while (n < 0 && errno == EINTR);
	if (n == 3 && !memcmp(answer, "ok\n", 3))
		ret = 0;
	else if (n >= 0)
		errno = EPROTO;
close:
	close(fd);
free:
	free(line);
	return ret;
}

int guest_barrier(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > MAX_NAME ||
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
