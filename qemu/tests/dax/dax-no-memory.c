// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: each allocation of a mount with DAX, of opens, faults and unmounts may fail
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_RAMDAX FAULT_INJECTION FAILSLAB
 * flavours: debug
 * image: base share base --dax
 * image: next share next --dax
 * image: blob share blob
 * device: ramdax:base
 * device: pmem:next
 * device: pmem:blob
 * device: pmem:blob.blob
 * memory: 384M
 * timeout: 300
 */
#include "ktap.h"
#include "share.h"
#include "sigbus.h"

/* opened once: an allocation of open() could be the one that fails */
static int fail_fd = -1;

/* Let the @n-th allocation from here fail. */
static void fail_nth(int n)
{
	char text[16];

	if (pwrite(fail_fd, text, snprintf(text, sizeof(text), "%d", n), 0) < 0)
		perror("fail-nth");
}

/* How many were left?  From here on, none fails. */
static int left(void)
{
	char text[16] = "";

	if (pread(fail_fd, text, sizeof(text) - 1, 0) < 0)
		perror("fail-nth");
	fail_nth(0);
	return atoi(text);
}

static char options[PATH_MAX];
static int error;

static bool mount_it(const char *device, const char *dir, const char *more)
{
	bool ok;

	snprintf(options, sizeof(options), "%s", more);
	ok = !mount(device, dir, "erofs", MS_RDONLY, options);
	error = ok ? 0 : errno;
	return ok;
}

static void mounts(const char *device, const char *more, const char *what)
{
	int n, failed = 0, wrong = 0, rest;

	for (n = 1; n < 3000; n++) {
		bool ok;

		fail_nth(n);
		ok = mount_it(device, "/m", more);
		rest = left();
		failed += error == ENOMEM;
		if (error && error != ENOMEM) {
			wrong++;
			printf("# %s, %d: %s\n", what, n, strerror(error));
		}
		if (ok)
			umount("/m");
		if (rest)
			break;
	}
	ktap_ok(n < 3000 && failed > 5 && !wrong, "mount of %s: %d of %d failed", what, failed, n);
}

static void uses(const char *device, const char *more, const char *name, size_t size, const char *what)
{
	static char good[3000000], got[3000000];
	int n;
	static int failed, wrong, bus, rest;

	failed = wrong = bus = rest = 0;

	share_plain("/dev/harness/pmem0", "/p");
	share_read("/p", name, good, size);
	umount("/p");
	sigbus_catch();
	for (n = 1; n < 3000 && !rest; n++) {
		volatile int fd;
		volatile char *volatile p;

		if (!mount_it(device, "/m", more)) {
			wrong++;
			break;
		}
		fail_nth(n);
		fd = share_open("/m", name);
		if (fd >= 0) {
			ssize_t r = pread(fd, got, size, 0);

			if (r < 0)
				failed++;
			else if (memcmp(got, good, r))
				wrong++, printf("# wrong bytes, %d\n", n);
			p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
			if (p != MAP_FAILED) {
				if (sigbus_came())
					bus++;
				else
					for (size_t i = 0; i < size; i += 4096)
						if (p[i] != good[i])
							wrong++;
				munmap((void *)p, size);
			}
		} else if (errno == ENOMEM) {
			failed++;
		} else {
			wrong++;
			printf("# open: %s\n", strerror(errno));
		}
		rest = left();
		if (fd >= 0) {
			ssize_t r = pread(fd, got, size, 0);

			if (r != (ssize_t)size || memcmp(got, good, r))
				wrong++, printf("# later: %zd, %d\n", r, n);
			close(fd);
		}
		fail_nth(n);
		error = umount("/m") ? errno : 0;
		left();
		/* its name takes memory, too */
		if (error) {
			wrong += error != ENOMEM;
			umount("/m");
		}
	}
	ktap_ok(rest && !wrong, "use of %s: %d failed, %d SIGBUS of %d", what, failed, bus, n);
}

int main(void)
{
	char real[PATH_MAX], more[PATH_MAX + 64];

	ktap_begin();
	system("cd /sys/kernel/debug; mount -t debugfs debugfs . 2>/dev/null; cd /sys/kernel/debug; for d in failslab fail_page_alloc; do echo 0 > $d/ignore-gfp-wait; echo 0 > $d/verbose; done; echo 0 > fail_page_alloc/min-order");
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	ktap_ok(fail_fd >= 0, "allocations can be made to fail");
	mkdir("/m", 0755);
	mounts("/dev/harness/ramdax0", "", "a DAX device");
	mounts("/dev/harness/ramdax0", "inode_share,domain_id=d", "a DAX device that shares");
	mounts("/dev/harness/pmem0", "dax=always,inode_share,domain_id=d", "pmem that shares");
	realpath("/dev/harness/pmem2", real);
	snprintf(more, sizeof(more), "dax=always,device=%s", real);
	mounts("/dev/harness/pmem1", more, "pmem with another device");
	snprintf(more, sizeof(more), "device=%s", real);
	mounts("/dev/harness/pmem1", more, "a disk with another device");
	uses("/dev/harness/pmem0", "dax=always,inode_share,domain_id=d", "f.65536", 65536, "pmem, alone");
	mkdir("/o", 0755);
	ktap_ok(mount_it("/dev/harness/ramdax0", "/o", "inode_share,domain_id=d"), "an older mount");
	uses("/dev/harness/pmem0", "dax=always,inode_share,domain_id=d", "f.65536", 65536, "pmem, younger, first");
	close(share_open("/o", "f.65536"));
	uses("/dev/harness/pmem0", "dax=always,inode_share,domain_id=d", "f.65536", 65536, "pmem, younger");
	umount("/o");
	share_settled(5);
	ktap_ok(shared_inodes() == 0, "shared inodes left: %ld", shared_inodes());
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}
