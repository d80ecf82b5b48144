// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a device whose probe failed for want of memory can be bound later
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_PMEM X86_PMEM_LEGACY FAULT_INJECTION FAILSLAB
 * flavours: debug
 * timeout: 150
 * image: tree tree
 * device: blk:tree
 * append: memmap=16M!128M
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

#include "devdax.h"
#include "ktap.h"
#include "system.h"

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
	return ktap_end();
}
