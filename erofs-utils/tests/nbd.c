// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The side of NBD that the kernel has, to be preloaded: /sys/block is $FAKE, and what is
 * answered to the requests of $ASK, "TYPE FROM LEN,...", goes to $FAKE/answers.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct request { uint32_t magic, type; uint64_t cookie, from; uint32_t len; } __attribute__((packed));
struct reply { uint32_t magic, error; uint64_t cookie; } __attribute__((packed));

static const char *fake(const char *path, char *buf)
{
	const char *dir = getenv("FAKE");

	if (!strcmp(path, "/dev/nbd0"))
		return "/dev/null";
	if (strncmp(path, "/sys/block", 10))
		return path;
	snprintf(buf, 4096, "%s%s", dir, path + 10);
	return buf;
}

DIR *opendir(const char *path)
{
	DIR *(*real)(const char *) = dlsym(RTLD_NEXT, "opendir");
	char buf[4096];

	return real(fake(path, buf));
}

int open(const char *path, int flags, ...)
{
	char buf[4096];

	return openat(AT_FDCWD, fake(path, buf), flags, 0600);
}
int open64(const char *path, int flags, ...) __attribute__((alias("open")));

static void put(const char *name, int n)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/nbd0/%s", getenv("FAKE"), name);
	f = fopen(path, "w");
	fprintf(f, "%d\n", n);
	fclose(f);
}

static int serve(int fd)
{
	struct timeval limit = { .tv_sec = 60 };
	char *ask = strdup(getenv("ASK")), *s;
	uint64_t cookie = 1;
	unsigned long i;
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/answers", getenv("FAKE"));
	out = fopen(path, "w");
	if (getsid(0) != getpid())
		fprintf(out, "who answers is no daemon\n");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (s = strtok(ask, ","); s; s = strtok(NULL, ","), cookie++) {
		struct request rq = { htobe32(0x25609513), 0, cookie };
		unsigned long type, from, len, sum = 0;
		struct reply re;
		unsigned char c;

		sscanf(s, "%lu %lu %lu", &type, &from, &len);
		rq.type = htobe32(type);
		rq.from = htobe64(from);
		rq.len = htobe32(len);
		if (write(fd, &rq, sizeof(rq)) != sizeof(rq) ||
		    recv(fd, &re, sizeof(re), MSG_WAITALL) != sizeof(re)) {
			fprintf(out, "%lu: no answer\n", cookie);
			break;
		}
		if (re.magic != htobe32(0x67446698) || re.cookie != cookie) {
			fprintf(out, "%lu: not a reply\n", cookie);
			break;
		}
		if (re.error) {
			fprintf(out, "%lu: error\n", cookie);
			continue;
		}
		for (i = 0; !type && i < len && recv(fd, &c, 1, MSG_WAITALL) == 1; i++)
			sum += c * (i % 251 + 1);
		fprintf(out, "%lu: %lu bytes, sum %lu\n", cookie, i, sum);
	}
	fclose(out);
	if (s)
		_exit(1);	/* who does not answer may never end */
	snprintf(path, sizeof(path), "%s/mounted", getenv("FAKE"));
	for (i = 0; i < 2000 && access(path, F_OK); i++)
		usleep(10000);
	shutdown(fd, SHUT_RDWR);
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	static int sock = -1;
	va_list ap;
	long arg;

	va_start(ap, request);
	arg = va_arg(ap, long);
	va_end(ap);
	if (request == 0xab00)
		sock = dup(arg);
	if (request == 0xab03) {
		put("size", 1);
		put("pid", getpid());
		return serve(sock);
	}
	return 0;
}

int mount(const char *s, const char *t, const char *type, unsigned long flags, const void *data)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/mounted", getenv("FAKE"));
	close(creat(path, 0600));
	return 0;
}
