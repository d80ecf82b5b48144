// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a DAX device does not grow while a driver has it, by whichever file of sysfs
 * config: DEV_DAX_HMEM DEV_DAX_FSDEV EROFS_FS_RAMDAX
 * append: memmap=64M%128M-1+0xefffffff dax_hmem.region_idle=1
 * timeout: 60
 */
#include <stdlib.h>

#include "guest.h"
#include "hmem.h"
#include "ktap.h"
#include "sigbus.h"

#define HALF	(32L << 20)
#define SECOND	"0xa000000-0xbffffff"

/* Can byte @at of the device be read by a mapping? */
static bool is_there(long at)
{
	int fd = open(NODE, O_RDWR);
	volatile char *p = mmap(NULL, 2 << 20, PROT_READ, MAP_SHARED, fd, at);
	bool there;

	close(fd);
	if (p == MAP_FAILED)
		return false;
	there = !gives_sigbus(p);
	munmap((void *)p, 2 << 20);
	return there;
}

int main(void)
{
	ktap_begin();
	sigbus_catch();
	ktap_ok(!hmem_resize(HALF) && !driver(BUS_DAX "device_dax/bind", "dax0.0") &&
		is_bound("device_dax"), "half of a region is a device of device_dax");
	ktap_eq(is_there(0), true, "it can be mapped");
	ktap_eq(is_there(HALF), false, "and nothing behind it");
	ktap_eq(hmem_resize(2 * HALF), EBUSY, "it does not grow by size");
	ktap_eq(driver(HMEM_DEVICE "mapping", SECOND), EBUSY, "nor by mapping");
	ktap_ok(number_in(HMEM_DEVICE "size") == HALF, "it is as large as it was");
	ktap_ok(is_there(0) && !is_there(HALF), "nothing behind it can be mapped");
	ktap_ok(!driver(BUS_DAX "device_dax/unbind", "dax0.0") && !driver(BUS_DAX "fsdev_dax/bind", "dax0.0"),
		"give it to fsdev_dax");
	ktap_eq(driver(HMEM_DEVICE "mapping", SECOND), EBUSY, "nor does it grow there");
	ktap_ok(!driver(BUS_DAX "fsdev_dax/unbind", "dax0.0") && !driver(HMEM_DEVICE "mapping", SECOND) &&
		number_in(HMEM_DEVICE "size") == 2 * HALF, "without a driver it does");
	ktap_ok(!driver(BUS_DAX "device_dax/bind", "dax0.0") && is_there(0) && is_there(HALF), "and all of it can be mapped");
	return ktap_end();
}
