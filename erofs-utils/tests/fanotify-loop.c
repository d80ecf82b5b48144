// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fanotify-loop SPARSE BLOB WRONG RANGE... - answer events as mount.erofs does
 *
 * A socket stands in for fanotify, and BLOB for what a registry has.  RANGE is OFFSET+COUNT in
 * bytes, or x for an event of another version.  WRONG is none, fail=N[-M] or short=N[-M]: of the
 * reads of BLOB, from the first one on, those fail, or lack their second half.
 *
 * Prints for each range "denied", "right", or "wrong" if SPARSE has other bytes there than BLOB;
 * and "left" if the one who answers leaves when nobody has SPARSE open any more.
 */
#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "erofs/internal.h"
#include "erofs/io.h"
#include "liberofs_fanotify.h"

#define FIRST_FD	100

static int blob, reads, first, last;
static bool fails;

static ssize_t read_blob(struct erofs_vfile *vf, void *buf, size_t len, u64 offset)
{
	if (++reads < first || reads > last)
		return pread(blob, buf, len, offset);
	return fails ? -EIO : pread(blob, buf, len / 2, offset);
}

static struct erofs_vfops ops = { .pread = read_blob };

/* Send an event, and return the answer, or -1 if there is none. */
static int ask(int sock, int fd, u64 offset, u64 count, u8 version)
{
	struct {
		struct fanotify_event_metadata meta;
		erofs_fanotify_event_info_range_t range;
	} event = {
		.meta = {
			.event_len = sizeof(event), .vers = version,
			.metadata_len = sizeof(event.meta), .mask = EROFS_FAN_PRE_ACCESS, .fd = fd,
		},
		.range = {
			.hdr = { .info_type = EROFS_FAN_EVENT_INFO_TYPE_RANGE, .len = sizeof(event.range) },
			.offset = offset, .count = count,
		},
	};
	struct fanotify_response response;

	if (write(sock, &event, sizeof(event)) != sizeof(event) ||
	    read(sock, &response, sizeof(response)) != sizeof(response))
		return -1;
	return response.response;
}

static bool is_right(int sparse, u64 offset, u64 count, u64 size)
{
	char *a, *b;
	bool same;

	if (!count)
		count = size;
	if (count > size - offset)
		count = size - offset;
	a = malloc(2 * count);
	b = a + count;
	same = a && pread(sparse, a, count, offset) == (ssize_t)count &&
		pread(blob, b, count, offset) == (ssize_t)count && !memcmp(a, b, count);
	free(a);
	return same;
}

int main(int argc, char **argv)
{
	struct erofs_fanotify_ctx ctx = { .vd = { .ops = &ops, .fd = -1 } };
	int sock[2], guard, status = -1, i;
	struct stat st;
	pid_t child;

	if (argc < 5)
		return 2;
	blob = open(argv[2], O_RDONLY);
	ctx.sparse_fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
	guard = open(argv[1], O_RDONLY);
	if (blob < 0 || ctx.sparse_fd < 0 || guard < 0 || fstat(blob, &st) || ftruncate(ctx.sparse_fd, st.st_size) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock))
		return 2;
	ctx.image_size = st.st_size;
	fails = !strncmp(argv[3], "fail", 4);
	if (strchr(argv[3], '=')) {
		i = sscanf(strchr(argv[3], '=') + 1, "%d-%d", &first, &last);
		if (i == 1)
			last = first;
	}

	/* each event has a descriptor, which the one who answers closes */
	for (i = 4; i < argc; ++i)
		if (dup2(ctx.sparse_fd, FIRST_FD + i) < 0)
			return 2;
	child = fork();
	if (!child) {
		close(sock[0]);
		close(guard);
		fcntl(sock[1], F_SETFL, O_NONBLOCK);
		ctx.fan_fd = sock[1];
		_exit(erofs_fanotify_loop(&ctx) ? 1 : 0);
	}
	close(sock[1]);
	for (i = 4; i < argc; ++i) {
		unsigned long long offset = 0, count = 0;
		bool known = sscanf(argv[i], "%llu+%llu", &offset, &count) == 2;
		int answer = ask(sock[0], FIRST_FD + i, offset, count, FANOTIFY_METADATA_VERSION + !known);

		puts(answer == FAN_DENY ? "denied" : answer != FAN_ALLOW ? "nobody answers" :
		     is_right(ctx.sparse_fd, offset, count, st.st_size) ? "right" : "wrong");
	}
	sleep(2);	/* that is longer than it takes him to look */
	if (waitpid(child, NULL, WNOHANG))
		puts("left early");
	close(guard);
	for (i = 0; i < 100 && !waitpid(child, &status, WNOHANG); ++i)
		usleep(100000);
	puts(status ? "stays" : "left");
	kill(child, SIGKILL);
	return 0;
}
