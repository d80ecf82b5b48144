// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a device whose probe failed for want of memory can be bound later
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_PMEM X86_PMEM_LEGACY FAULT_INJECTION FAILSLAB
 * flavours: debug
 * timeout: 150
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
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktap.h"
#include "system.h"

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

/* Write @device to a file of a driver.  Return: 0 or an errno. */
static int driver(const char *file, const char *device)
{
	return write_to(file, device) ? 0 : errno;
}

static bool is_bound(const char *name)
{
	char path[128], target[256] = "";

	snprintf(path, sizeof(path), "/sys/bus/dax/devices/dax0.0/driver");
	if (readlink(path, target, sizeof(target) - 1) < 0)
		return !*name;
	return !strcmp(strrchr(target, '/') + 1, name);
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

#define FAIL "/sys/kernel/debug/failslab/"

/* Let allocations fail that function @name makes. */
static bool let_fail(const char *name)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	unsigned long at, first = 0, next = 0;
	char symbol[200], text[32];

	while (symbols && fscanf(symbols, "%lx %*c %199s%*[^\n]", &at, symbol) == 2) {
		if (!strcmp(symbol, name))
			first = at;
		else if (first && at > first && (!next || at < next))
			next = at;
	}
	if (symbols)
		fclose(symbols);
	/* the list is sorted, but by no promise: look for what follows once more */
	snprintf(text, sizeof(text), "%#lx", first);
	if (!first || !next || !write_to(FAIL "require-start", text))
		return false;
	snprintf(text, sizeof(text), "%#lx", next);
	return write_to(FAIL "require-end", text) && write_to(FAIL "ignore-gfp-wait", "N") &&
		write_to(FAIL "times", "1") && write_to(FAIL "verbose", "0") && write_to(FAIL "probability", "100");
}

int main(void)
{
	int error;

	ktap_begin();
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	ktap_ok(!fill(), "write an image and an info block");
	driver(BUS_ND "nd_pmem/unbind", "namespace0.0");
	driver(BUS_ND "nd_pmem/bind", "namespace0.0");
	if (!ktap_ok(image_can_be_mapped() && is_bound("device_dax"), "a DAX device"))
		return ktap_end();
	driver(BUS_DAX "device_dax/unbind", "dax0.0");
	ktap_ok(let_fail("cdev_add"), "let cdev_add() fail");
	error = driver(BUS_DAX "device_dax/bind", "dax0.0");
	ktap_ok(error == ENOMEM, "bind has no memory: %s", strerror(error));
	write_to(FAIL "probability", "0");
	error = driver(BUS_DAX "device_dax/bind", "dax0.0");
	ktap_ok(!error && is_bound("device_dax"), "the next one goes through: %s", strerror(error));
	ktap_ok(!times_said("still open"), "nobody has it open");
	return ktap_end();
}
