// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * verify - compare every file of a mounted tree with a list of digests
 *
 * usage: verify [--read] ROOT LIST
 *
 * Reads each file of LIST (see filelist.h) below ROOT twice over, once by
 * read(2) and once through a shared mapping, so that both ways into the image
 * are checked; with --read by read(2) alone.  Behind the end of a file a mapping must show nothing but
 * zeroes.  Prints one JSON object: {"files_verified", "files_wrong", "bytes"}; the first ten wrong files are named on stderr.
 *
 * Exit status: 0 all equal, 1 something differs or cannot be read, 2 usage.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nettle/sha2.h>

#include "filelist.h"

#define MAX_NAMED	10
#define READ_BYTES	(128 * 1024)

static void to_hex(const unsigned char *md, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < SHA256_DIGEST_SIZE; i++) {
		*hex++ = digits[md[i] >> 4];
		*hex++ = digits[md[i] & 15];
	}
}

/* Digest of @fd by read(2). Return: 0 or an errno. */
static int digest_read(int fd, unsigned char *md)
{
	static unsigned char buf[READ_BYTES];
	struct sha256_ctx ctx;
	ssize_t n;

	sha256_init(&ctx);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sha256_update(&ctx, n, buf);
	if (n < 0)
		return errno;
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, md);
	return 0;
}

/*
 * Digest of the @size bytes of @fd through a mapping, and whether anything but zeroes
 * shows behind them in the last page. Return: 0 or an errno.
 */
static int digest_mmap(int fd, size_t size, unsigned char *md, bool *behind)
{
	size_t page = sysconf(_SC_PAGESIZE);
	const uint8_t *p;
	struct sha256_ctx ctx;

	*behind = false;
	sha256_init(&ctx);
	if (size) {
		p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED)
			return errno;
		sha256_update(&ctx, size, p);
		for (size_t i = size; i % page; i++)
			*behind |= p[i] != 0;
		munmap((void *)p, size);
	}
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, md);
	return 0;
}

/* Return: NULL if the file is as it should be, else what is wrong with it. */
static const char *check(int root, const struct file_entry *e, bool map,
			 unsigned long long *bytes)
{
	unsigned char md[SHA256_DIGEST_SIZE];
	char hex[2 * SHA256_DIGEST_SIZE];
	const char *wrong = NULL;
	struct stat st;
	bool behind;
	int fd, ret;

	fd = openat(root, e->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return strerror(errno);
	ret = fstat(fd, &st) ? errno : digest_read(fd, md);
	if (ret) {
		wrong = strerror(ret);
		goto out;
	}
	to_hex(md, hex);
	if (memcmp(hex, e->digest, sizeof(hex))) {
		wrong = "read(2) gives other bytes than the host has";
		goto out;
	}
	*bytes += st.st_size;
	if (!map)
		goto out;
	ret = digest_mmap(fd, st.st_size, md, &behind);
	if (ret) {
		wrong = strerror(ret);
		goto out;
	}
	to_hex(md, hex);
	if (memcmp(hex, e->digest, sizeof(hex)))
		wrong = "mmap(2) gives other bytes than the host has";
	else if (behind)
		wrong = "mmap(2) shows something behind the end of the file";
out:
	close(fd);
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned long long bytes = 0;
	size_t good = 0, bad = 0;
	struct file_list list;
	bool map = argc < 2 || strcmp(argv[1], "--read");
	int root = file_list_arguments(&list, argc - !map, argv + !map,
				       NULL);

	for (size_t i = 0; i < list.count; i++) {
		const char *wrong = check(root, &list.entries[i], map, &bytes);

		if (!wrong) {
			good++;
			continue;
		}
		if (bad++ < MAX_NAMED)
			fprintf(stderr, "%s: %s\n", list.entries[i].path, wrong);
	}
	printf("{\"files_verified\": %zu, \"files_wrong\": %zu, \"bytes\": %llu}\n",
	       good, bad, bytes);
	return bad || !good;
}
