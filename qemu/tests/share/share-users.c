// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: what goes by the host of a mapping is right for files that share: cachestat, mincore, memory errors, FIEMAP, FIBMAP, loop devices
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE BLK_DEV_LOOP PAGE_SIZE_4KB
 * image: base share base
 * image: next share next -zlz4hc,9
 * image: box share box --fingerprint
 * device: blk:base
 * device: blk:next
 * device: blk:box
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <sys/ioctl.h>

#include "ktap.h"
#include "loop.h"
#include "pages.h"
#include "share.h"

#define NAME	"f.300001"
#define BYTES	300001
#define PAGES	74
#define PAGE	4096

static const char old_disk[] = "/dev/harness/blk0", young_disk[] = "/dev/harness/blk1";
static char good[BYTES], got[BYTES];

static void residence(void)
{
	volatile char *p;
	int fd;

	drop_caches("3");
	close(share_open("/a", NAME));
	p = share_map("/b", NAME, BYTES);
	ktap_ok(share_cached("/b", NAME) == 0 && resident(p, BYTES) == 0, "nothing is cached at first (got %ld by cachestat, %d by mincore)",
		share_cached("/b", NAME), resident(p, BYTES));
	fd = share_open("/a", NAME);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	if (pread(fd, got, 10 * PAGE, 20 * PAGE) != 10 * PAGE)
		ktap_note("the older mount cannot be read");
	ktap_ok(share_cached("/a", NAME) == share_cached("/b", NAME) && share_cached("/b", NAME) >= 10,
		"cachestat tells both the same (got %ld and %ld)", share_cached("/a", NAME), share_cached("/b", NAME));
	ktap_ok(resident(p, BYTES) == share_cached("/b", NAME), "so does mincore (got %d)", resident(p, BYTES));
	share_read("/a", NAME, got, BYTES);
	ktap_ok(resident(p, BYTES) == PAGES && share_cached("/b", NAME) == PAGES, "all is cached (got %d, want %d)",
		resident(p, BYTES), PAGES);
	munmap((void *)p, BYTES);
	close(fd);
}

/* -- memory errors -- */

static sigjmp_buf bus;

static void on_bus(int sig)
{
	siglongjmp(bus, sig);
}

static void memory_error(void)
{
	volatile char *old, *young;
	uint64_t frame;

	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (access("/sys/kernel/debug/hwpoison/corrupt-pfn", F_OK)) {
		ktap_skip("memory errors", "this kernel has no HWPOISON_INJECT");
		return;
	}
	old = share_map("/a", NAME, BYTES);
	young = share_map("/b", NAME, BYTES);
	signal(SIGBUS, on_bus);
	if (sigsetjmp(bus, 1)) {
		ktap_ok(false, "a page that can be read again gives no SIGBUS");
		return;
	}
	(void)(old[5 * PAGE] + young[5 * PAGE]);
	frame = page_frame(old + 5 * PAGE);
	ktap_ok(frame && ktap_is(frame, ==, page_frame(young + 5 * PAGE)), "both map one page");
	ktap_ok(page_poison(frame), "it is lost, and the kernel deals with it");
	ktap_ok(!page_frame(old + 5 * PAGE) && !page_frame(young + 5 * PAGE), "nobody has it mapped any more");
	ktap_ok(!memcmp((char *)young, good, BYTES) && !memcmp((char *)old, good, BYTES), "both read it anew");
	ktap_ok(ktap_is(page_frame(old + 5 * PAGE), ==, page_frame(young + 5 * PAGE)) &&
		ktap_is(page_frame(old + 5 * PAGE), !=, frame),
		"from one page again, which is another one");
	ktap_ok(ktap_is(share_read("/b", NAME, got, BYTES), ==, BYTES) && !memcmp(got, good, BYTES),
		"so does read(2)");
	ktap_ok(share_counter(NULL, "failed") == 0, "no copy has failed (got %lld, want 0)", share_counter(NULL, "failed"));
	munmap((void *)old, BYTES);
	munmap((void *)young, BYTES);
	signal(SIGBUS, SIG_DFL);
}

/* -- where files are -- */

struct extents {
	struct fiemap map;
	struct fiemap_extent extent[16];
};

static struct extents extents_of(const char *dir)
{
	struct extents e = { .map = { .fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 16 } };
	int fd = share_open(dir, NAME);

	if (ioctl(fd, FS_IOC_FIEMAP, &e))
		ktap_note("FIEMAP of %s: %s", dir, strerror(errno));
	close(fd);
	return e;
}

/* block @n of a file; -1: refused */
static int block_of(const char *dir, int n)
{
	int fd = share_open(dir, NAME);

	if (ioctl(fd, FIBMAP, &n))
		n = -1;
	close(fd);
	return n;
}

static void places(void)
{
	struct extents want[2], have;
	int block[2];

	for (int i = 0; i < 2; i++) {
		share_plain(i ? young_disk : old_disk, "/plain");
		want[i] = extents_of("/plain");
		block[i] = block_of("/plain", 3);
		umount("/plain");
	}
	ktap_ok(share_mount(old_disk, "/a", NULL) && share_mount(young_disk, "/b", NULL), "mount both");
	share_read("/a", NAME, got, BYTES);
	for (int i = 0; i < 2; i++) {
		const char *dir = i ? "/b" : "/a";
		int b;

		have = extents_of(dir);
		ktap_ok(have.map.fm_mapped_extents && !memcmp(&have, &want[i], sizeof(have)),
			"FIEMAP of %s is that of its own image (got %u extents, the first at %llu, want %u, %llu)", dir,
			have.map.fm_mapped_extents, have.extent[0].fe_physical, want[i].map.fm_mapped_extents,
			want[i].extent[0].fe_physical);
		b = block_of(dir, 3);
		ktap_ok(b == -1 || b == block[i], "FIBMAP of %s is right or refused (got %d, want -1 or %d)", dir, b, block[i]);
	}
}

/* -- a loop device with direct I/O, on a file of a disk with blocks of 4 KiB -- */

static int loop_blocks(const char *file, char *device, unsigned int block, unsigned int flags)
{
	struct loop_config config = { .block_size = block, .info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | flags };
	int control = open("/dev/loop-control", O_RDWR), fd = open(file, O_RDONLY), loop;

	config.fd = fd;
	snprintf(device, 32, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	loop = open(device, O_RDONLY);
	if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config)) {
		ktap_note("%s on %s: %s", device, file, strerror(errno));
		close(loop);
		loop = -1;
	}
	close(fd);
	close(control);
	return loop;
}

/* Read all of a device in pieces of 512 bytes' alignment. Return: bytes, or -1 */
static ssize_t device_reads(int fd)
{
	ssize_t n, all = 0;

	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, got, 3 * 512)) > 0)
		all += n;
	return n < 0 ? -1 : all;
}

static void direct_loop(void)
{
	char disk[32], inner[32];
	struct stat st;
	int below, above;

	/* the file with the image is on a disk of 4 KiB blocks */
	ktap_ok(share_plain("/dev/harness/blk2", "/box"), "mount the disk with an image in a file");
	stat("/box/image", &st);
	umount("/box");
	below = loop_blocks("/dev/harness/blk2", disk, 4096, 0);
	ktap_ok(ktap_is(below, >=, 0) && share_mount(disk, "/box", NULL),
		"mount it on a disk of 4 KiB blocks, sharing");
	for (unsigned int block = 0; block <= 4096; block += 4096) {
		above = loop_blocks("/box/image", inner, block, LO_FLAGS_DIRECT_IO);
		if (above < 0 && block == 0) {
			ktap_ok(false, "a loop device with direct I/O on it");
			continue;
		}
		ktap_ok(device_reads(above) == st.st_size / 512 * 512, "it can be read, blocks of %u bytes (got %zd bytes, want %lld)",
			block ? block : 512, device_reads(above), (long long)st.st_size / 512 * 512);
		ktap_ok(share_plain(inner, "/inner") && sums_ok("/inner"), "the image in it is right");
		umount("/inner");
		close(above);
	}
	ktap_ok(!umount("/box"), "unmount");
	close(below);
}

int main(void)
{
	ktap_begin();
	ktap_ok(share_plain(old_disk, "/plain") && ktap_is(share_read("/plain", NAME, good, BYTES), ==, BYTES) &&
		!umount("/plain"),
		"learn what the file has");
	places();
	residence();
	memory_error();
	ktap_ok(!umount("/b") && !umount("/a"), "unmount");
	direct_loop();
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}
