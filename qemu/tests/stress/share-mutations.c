// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: images with wrong fingerprints, prefixes and superblocks harm nobody who shares
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE
 * image: base share base
 * device: blk:base
 * memory: 384M
 * cpus: 2
 * stress: 20
 * timeout: 120
 */
#include <dirent.h>
#include <sys/xattr.h>

#include "ktap.h"
#include "share.h"

#define NAME	"f.65536"

static unsigned char image[4 << 20], changed[4 << 20];
static size_t size, marks[64];
static int nr_marks;
static char good[65536], got[65536];
static unsigned int errors;

static void learn(void)
{
	int fd = open("/dev/harness/blk0", O_RDONLY);
	uint32_t start;

	size = read(fd, image, sizeof(image));
	close(fd);
	memcpy(&start, image + 1024 + 92, 4);
	marks[nr_marks++] = 4UL * start;
	for (size_t i = 0; i + 7 < size && nr_marks < 60; i++)
		if (!memcmp(image + i, "sha256:", 7))
			marks[nr_marks++] = i;
	printf("# %zu bytes, %d marks, prefixes at %zu\n", size, nr_marks, marks[0]);
}

static void mutate(void)
{
	int n = 1 + rand() % 3;

	memcpy(changed, image, size);
	while (n--) {
		size_t at;
		unsigned char with[] = { 0, 1, 0xff, 0x80, 0x7f, rand() % 256, rand() % 256 };

		switch (rand() % 4) {
		case 0:
			at = 1024 + 4 + rand() % 124;
			break;
		case 1:
			at = marks[0] + rand() % 48;
			break;
		default:
			at = marks[1 + rand() % (nr_marks - 1)] - 100 + rand() % 140;
		}
		if (at < size)
			changed[at] = with[rand() % 7];
	}
	/* without a checksum */
	changed[1024 + 8] &= ~1;
}

static void walk(const char *dir)
{
	DIR *d = opendir(dir);
	char path[600], value[300];

	for (struct dirent *e; d && (e = readdir(d)); ) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_type != DT_REG)
			continue;
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		errors += pread(fd, got, sizeof(got), 0) < 0;
		flistxattr(fd, value, sizeof(value));
		fgetxattr(fd, "user.fingerprint", value, sizeof(value));
		close(fd);
	}
	if (d)
		closedir(d);
}

int main(void)
{
	double end = seconds_now() + (getenv("STRESS_SECONDS") ? atoi(getenv("STRESS_SECONDS")) : 60);
	int n = 0, mounted = 0, wrong = 0;

	ktap_begin();
	learn();
	mkdir("/r", 0755);
	mount("ram", "/r", "ramfs", 0, NULL);
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) &&
		share_read("/a", NAME, good, sizeof(good)) == sizeof(good), "mount the true image");
	mkdir("/m", 0755);
	for (; seconds_now() < end; n++) {
		int fd = open("/r/image", O_RDWR | O_CREAT | O_TRUNC, 0644);

		mutate();
		if (write(fd, changed, size) != (ssize_t)size)
			return 1;
		close(fd);
		if (mount("/r/image", "/m", "erofs", MS_RDONLY, SHARE_OPTIONS))
			continue;
		mounted++;
		walk("/m");
		if (n % 16 == 0) {
			drop_caches("1");
			wrong += share_read("/a", NAME, got, sizeof(got)) != sizeof(got) || memcmp(got, good, sizeof(good));
		}
		if (umount("/m"))
			return 1;
	}
	ktap_ok(mounted > 10 && !wrong, "%d images, %d mounted, %u errors, %d wrong", n, mounted, errors, wrong);
	ktap_ok(!umount("/a"), "unmount");
	share_settled(5);
	ktap_ok(shared_inodes() == 0, "shared inodes left: %ld", shared_inodes());
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}
