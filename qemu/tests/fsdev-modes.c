// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a DAX device goes from device_dax to fsdev_dax and back, and is mounted in the one mode only
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_PMEM X86_PMEM_LEGACY
 * image: tree tree
 * device: blk:tree
 * append: memmap=16M!128M
 *
 * A namespace in devdax mode, as "ndctl create-namespace -m devdax" leaves it: an info
 * block (struct nd_pfn_sb of drivers/nvdimm/pfn.h) at byte 4096 says that what lies
 * behind DATA is a DAX device.  The image is put there first, by the block device.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"

#define DATA		(2UL << 20)
#define INFO		4096
#define SUPER		1024
#define EROFS_MAGIC	0xe0f5e1e2
#define ROUNDS		3
#define NODE		"/dev/dax0.0"
#define BUS_DAX		"/sys/bus/dax/drivers/"
#define BUS_ND		"/sys/bus/nd/drivers/"

struct nd_pfn_sb {
	uint8_t signature[16], uuid[16], parent_uuid[16];
	uint32_t flags;
	uint16_t version_major, version_minor;
	uint64_t dataoff, npfns;
	uint32_t mode, start_pad, end_trunc, align, page_size;
	uint16_t page_struct_size;
	uint8_t padding[3994];
	uint64_t checksum;
} __attribute__((packed));
_Static_assert(sizeof(struct nd_pfn_sb) == 4096, "info block");

static char kernel_log[1 << 16];

/* Write @device to a file of a driver.  Return: 0 or an errno. */
static int driver(const char *file, const char *device)
{
	int fd = open(file, O_WRONLY), error = 0;

	if (fd < 0 || write(fd, device, strlen(device)) < 0)
		error = errno;
	close(fd);
	return error;
}

static bool is_bound(const char *name)
{
	char path[128], target[256] = "";

	snprintf(path, sizeof(path), "/sys/bus/dax/devices/dax0.0/driver");
	if (readlink(path, target, sizeof(target) - 1) < 0)
		return !*name;
	return !strcmp(strrchr(target, '/') + 1, name);
}

static bool said(const char *what)
{
	int n = klogctl(3, kernel_log, sizeof(kernel_log) - 1);

	kernel_log[n > 0 ? n : 0] = 0;
	return strstr(kernel_log, what);
}

/* What the device has at SUPER, if it can be mapped by its node; errno if not. */
static uint32_t magic_by_mapping(void)
{
	int fd = open(NODE, O_RDWR);
	uint32_t magic = 0;
	char *p;

	if (fd < 0)
		return 0;
	p = mmap(NULL, DATA, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED) {
		memcpy(&magic, p + SUPER, sizeof(magic));
		munmap(p, DATA);
	}
	close(fd);
	return magic;
}

/* A driver shows as bound before it has done all that it has to do. */
static bool image_can_be_mapped(void)
{
	for (int i = 0; i < 100; i++) {
		if (magic_by_mapping() == EROFS_MAGIC)
			return true;
		usleep(50000);
	}
	return false;
}

/* The image and the info block.  Return: 0 or an errno. */
static int fill(void)
{
	static char buf[1 << 16];
	struct nd_pfn_sb info = {
		.signature = "NVDIMM_DAX_INFO", .uuid = "erofs-ramdax",
		.version_major = 1, .version_minor = 4, .dataoff = DATA, .mode = 1 /* struct pages in RAM */,
		.align = 2 << 20, .page_size = 4096, .page_struct_size = 64,
	};
	int from = open("/dev/harness/blk0", O_RDONLY), to = open("/dev/pmem0", O_RDWR);
	uint32_t low = 0, word;
	uint64_t high = 0;
	off_t at = DATA;
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0 && pwrite(to, buf, n, at) == n)
		at += n;
	/* Fletcher, 64 bits */
	for (size_t i = 0; i < sizeof(info); i += sizeof(word)) {
		memcpy(&word, (char *)&info + i, sizeof(word));
		low += word;
		high += low;
	}
	info.checksum = high << 32 | low;
	if (n || at == DATA || pwrite(to, &info, sizeof(info), INFO) != sizeof(info) || fsync(to))
		return errno ?: EIO;
	close(from);
	close(to);
	return 0;
}

static bool mounts(void)
{
	return !mount(NODE, "/mnt", "erofs", MS_RDONLY, NULL);
}

static bool content_is_right(void)
{
	return !system("cd /mnt && sha256sum -c SHA256SUMS > /tmp/sums");
}

int main(void)
{
	const char *namespace;
	glob_t namespaces;
	int fd, error;
	char c;

	ktap_begin();
	if (!ktap_ok(!(error = fill()), "write an image and an info block"))
		ktap_note("%s", strerror(error));
	driver(BUS_ND "nd_pmem/unbind", "namespace0.0");
	driver(BUS_ND "nd_pmem/bind", "namespace0.0");
	if (!ktap_ok(image_can_be_mapped() && is_bound("device_dax"), "the kernel finds a DAX device, for device_dax") ||
	    !ktap_ok(!glob(BUS_ND "dax_pmem/dax*", 0, NULL, &namespaces), "of a namespace in devdax mode"))
		return ktap_end();

	for (int round = 1; round <= ROUNDS; round++) {
		ktap_ok(image_can_be_mapped(), "%d: device_dax maps the image", round);
		ktap_ok(!mounts() && errno == EOPNOTSUPP, "%d: it cannot be mounted", round);
		ktap_ok(said("not in fsdev mode, bind it to /sys/bus/dax/drivers/fsdev_dax"), "%d: it is said why", round);
		ktap_ok(driver(BUS_DAX "fsdev_dax/bind", "dax0.0") == EBUSY && is_bound("device_dax"),
			"%d: fsdev_dax gets it only after an unbind", round);
		ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0") &&
			is_bound("fsdev_dax"), "%d: go over to fsdev_dax", round);
		errno = 0;
		ktap_ok(!magic_by_mapping() && errno == ENXIO, "%d: its node cannot be mapped", round);
		ktap_ok(mounts() && content_is_right(), "%d: mount it, with all of its content", round);
		ktap_ok(driver(BUS_DAX "fsdev_dax/unbind", "dax0.0") == EBUSY && is_bound("fsdev_dax"),
			"%d: unbind is refused while mounted", round);
		ktap_ok(driver(BUS_DAX "device_dax/bind", "dax0.0") && is_bound("fsdev_dax"),
			"%d: so is another driver", round);
		ktap_ok(content_is_right() && !umount("/mnt"), "%d: the mount has not noticed", round);
		ktap_ok(!driver(BUS_DAX "fsdev_dax/unbind", "dax0.0") && is_bound("") && !mounts() && errno == ENXIO,
			"%d: without a driver there is no mount", round);
		ktap_ok(!driver(BUS_DAX "device_dax/bind", "dax0.0") && is_bound("device_dax"), "%d: and back", round);
	}

	/* the namespace goes, and with it the device */
	driver(BUS_DAX "device_dax/unbind", "dax0.0");
	driver(BUS_DAX "fsdev_dax/bind", "dax0.0");
	ktap_ok(mounts(), "mount");
	fd = open("/mnt/data.65536", O_RDONLY);
	namespace = strrchr(namespaces.gl_pathv[0], '/') + 1;
	ktap_ok(!driver(BUS_ND "dax_pmem/unbind", namespace), "remove the namespace under it");
	ktap_ok(pread(fd, &c, 1, 8192) < 0 && errno == EIO, "an open file gives EIO");
	close(fd);
	ktap_ok(access("/mnt/one", F_OK) && errno == EIO, "a lookup gives EIO");
	ktap_ok(!umount("/mnt"), "unmount what is left");
	ktap_ok(!driver(BUS_ND "dax_pmem/bind", namespace), "the namespace comes back");
	ktap_ok(image_can_be_mapped() && is_bound("device_dax"), "with the device and its content");
	return ktap_end();
}
