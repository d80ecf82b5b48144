// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a DAX device does not grow while a driver has it, by whichever file of sysfs
 * config: DEV_DAX_HMEM DEV_DAX_FSDEV EROFS_FS_RAMDAX
 * append: memmap=64M%128M-1+0xefffffff dax_hmem.region_idle=1
 * timeout: 60
 */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

#include "devdax.h"
#include "guest.h"
#include "ktap.h"

/* RAM at 128 MiB, which the kernel parameter makes specific-purpose, as firmware would. */
#define DEVICE	"/sys/bus/dax/devices/dax0.0/"
#define HALF	(32L << 20)
#define SECOND	"0xa000000-0xbffffff"

static sigjmp_buf jump;

static void on_bus(int sig)
{
	siglongjmp(jump, sig);
}

/* Can byte @at of the device be read by a mapping? */
static bool is_there(long at)
{
	int fd = open(NODE, O_RDWR);
	volatile char *p = mmap(NULL, 2 << 20, PROT_READ, MAP_SHARED, fd, at);
	volatile bool there = false;

	close(fd);
	if (p == MAP_FAILED)
		return false;
	signal(SIGBUS, on_bus);
	if (!sigsetjmp(jump, 1)) {
		(void)*p;
		there = true;
	}
	munmap((void *)p, 2 << 20);
	return there;
}

int main(void)
{
	ktap_begin();
	ktap_ok(!driver(DEVICE "size", "33554432") && !driver(BUS_DAX "device_dax/bind", "dax0.0") &&
		is_bound("device_dax"), "half of a region is a device of device_dax");
	ktap_eq(is_there(0), true, "it can be mapped");
	ktap_eq(is_there(HALF), false, "and nothing behind it");
	ktap_eq(driver(DEVICE "size", "67108864"), EBUSY, "it does not grow by size");
	ktap_eq(driver(DEVICE "mapping", SECOND), EBUSY, "nor by mapping");
	ktap_ok(number_in(DEVICE "size") == HALF, "it is as large as it was");
	ktap_ok(is_there(0) && !is_there(HALF), "nothing behind it can be mapped");
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"),
		"give it to fsdev_dax");
	ktap_eq(driver(DEVICE "mapping", SECOND), EBUSY, "nor does it grow there");
	ktap_ok(!driver(BUS_DAX "fsdev_dax/unbind", "dax0.0") && !driver(DEVICE "mapping", SECOND) &&
		number_in(DEVICE "size") == 2 * HALF, "without a driver it does");
	ktap_ok(!driver(BUS_DAX "device_dax/bind", "dax0.0") && is_there(0) && is_there(HALF), "and all of it can be mapped");
	return ktap_end();
}
