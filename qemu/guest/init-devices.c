// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * init: the links /dev/harness/NAME, and where they lead to
 *
 * /harness/devices, from qemu/harness/device.py, has a line for each device:
 *
 *   NAME memory START SIZE         the block device on the memory at START
 *   NAME range START SIZE DRIVER   the DAX device of the range NAME, which has been
 *                                  given to the platform driver DRIVER
 *   NAME hmem START SIZE           a DAX device, in the mode for file systems, of all of the region
 *                                  of the driver hmem that begins at START
 *   NAME serial TEXT SIZE          the block device with that serial number
 *   NAME none START SIZE           nothing: the kernel was not told of it
 *
 * START is hexadecimal, SIZE in bytes.
 */
#include <ctype.h>
#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

#define DEVICE_WAIT_MS	3000

struct device {
	char name[64], how[16], key[64], driver[64];
};

/* The number in the file of a folder, in any notation, or 0. */
static unsigned long long number_of(const char *folder, const char *file)
{
	char path[400], *text;
	unsigned long long n;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	text = slurp(path, NULL);
	n = text ? strtoull(text, NULL, 0) : 0;
	free(text);
	return n;
}

/* Does block device @disk sit on the memory that starts at @start? */
static bool is_memory(const char *disk, unsigned long long start)
{
	char folder[300];

	snprintf(folder, sizeof(folder), "/sys/block/%s/device", disk);
	return start && number_of(folder, "resource") == start;
}

static bool is_serial(const char *disk, const char *serial)
{
	static const char *const files[] = { "serial", "device/serial" };	/* virtio, NVMe */
	bool same = false;

	for (int i = 0; i < 2 && !same; i++) {
		char path[300], *text;

		snprintf(path, sizeof(path), "/sys/block/%s/%s", disk, files[i]);
		text = slurp(path, NULL);
		if (text)
			text[strcspn(text, " \n")] = '\0';	/* NVMe fills it up */
		same = text && !strcmp(text, serial);
		free(text);
	}
	return same;
}

/* Make the link from @name to /dev/@node. */
static bool link_node(const char *name, const char *node)
{
	char to[300], from[300];

	snprintf(to, sizeof(to), "../%s", node);
	snprintf(from, sizeof(from), "/dev/harness/%s", name);
	return !symlink(to, from);
}

static bool link_block_device(const struct device *device)
{
	bool memory = !strcmp(device->how, "memory"), found = false;
	unsigned long long start = strtoull(device->key, NULL, 0);
	DIR *dir = opendir("/sys/block");
	struct dirent *d;

	while (dir && !found && (d = readdir(dir)))
		if (d->d_name[0] != '.' &&
		    (memory ? is_memory(d->d_name, start) : is_serial(d->d_name, device->key)))
			found = link_node(device->name, d->d_name);
	if (dir)
		closedir(dir);
	return found;
}

/* Is the range of the platform device @dir called @range? */
static bool is_range(const char *dir, const char *range)
{
	char path[300], *text;
	bool same;

	snprintf(path, sizeof(path), "%s/name", dir);
	text = slurp(path, NULL);
	if (text)
		text[strcspn(text, "\n")] = '\0';
	same = text && !strcmp(text, range);
	free(text);
	return same;
}

/* The DAX device of a range, daxN.M, stands below the range's platform device. */
static bool link_dax_device(const struct device *device)
{
	bool found = false;

	for (int i = 0; !found; i++) {
		char path[128];
		struct dirent *d;
		DIR *dir;

		snprintf(path, sizeof(path), "/sys/devices/platform/%s.%d", device->driver, i);
		dir = opendir(path);
		if (!dir)
			break;
		while (is_range(path, device->name) && !found && (d = readdir(dir)))
			if (!strncmp(d->d_name, "dax", 3) && isdigit(d->d_name[3]))
				found = link_node(device->name, d->d_name);
		closedir(dir);
	}
	return found;
}

/*
 * What the administrator of specific-purpose memory does: give the device of a region all of it, which
 * then says where it is, and give the device to the driver for file systems.
 */
static bool link_hmem_device(const struct device *device)
{
	unsigned long long start = strtoull(device->key, NULL, 0);
	bool found = false;
	glob_t devices;

	if (glob("/sys/bus/platform/devices/hmem.*/dax*.*", 0, NULL, &devices))
		return false;
	for (size_t i = 0; i < devices.gl_pathc && !found; i++) {
		const char *dir = devices.gl_pathv[i], *name = strrchr(dir, '/') + 1;
		char path[400], size[32];

		if (!number_of(dir, "size")) {
			snprintf(size, sizeof(size), "%llu", number_of(dir, "../dax_region/size"));
			snprintf(path, sizeof(path), "%s/size", dir);
			put(path, size);
		}
		if (number_of(dir, "mapping0/start") == start) {
			put("/sys/bus/dax/drivers/fsdev_dax/bind", name);
			found = link_node(device->name, name);
		}
	}
	globfree(&devices);
	return found;
}

/* Write the name of each file that @pattern matches, unless @but stands in it, to @file. */
static void for_each_device(const char *pattern, const char *but, const char *file)
{
	char path[300];
	glob_t found;

	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		snprintf(path, sizeof(path), "%s/%s", found.gl_pathv[i], but);
		if (access(path, F_OK))
			put(file, strrchr(found.gl_pathv[i], '/') + 1);
	}
	globfree(&found);
}

/*
 * An NVDIMM without labels gets no struct pages from nd_pmem, hence no DAX.  If
 * nd_pmem has it, take it away and let the platform driver try again.
 */
static void take_nvdimm(const struct device *device)
{
	char path[300], bind[128];
	glob_t found;

	/* other devices of nd_pmem stay where they are */
	if (!glob("/sys/bus/nd/drivers/nd_pmem/namespace*", 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			if (number_of(found.gl_pathv[i], "resource") == strtoull(device->key, NULL, 0))
				put("/sys/bus/nd/drivers/nd_pmem/unbind", strrchr(found.gl_pathv[i], '/') + 1);
		}
		globfree(&found);
	}
	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s.*", device->driver);
	snprintf(bind, sizeof(bind), "/sys/bus/platform/drivers/%s/bind", device->driver);
	for_each_device(path, "driver", bind);
}

/* Make the link of the device of one line, as soon as the kernel shows it. */
static int link_device(const char *line, int *waited)
{
	struct device device = { .driver = "" };
	bool hmem, dax;

	if (sscanf(line, "%63s %15s %63s %*s %63s", device.name, device.how, device.key, device.driver) < 3) {
		send_error("/harness/devices: bad line '%s'", line);
		return -1;
	}
	if (!strcmp(device.how, "none"))
		return 0;
	hmem = !strcmp(device.how, "hmem");
	dax = hmem || !strcmp(device.how, "range");
	while (!(hmem ? link_hmem_device(&device) : dax ? link_dax_device(&device) : link_block_device(&device))) {
		if (*waited >= DEVICE_WAIT_MS) {
			send_error("the kernel shows no %s device for %s; does it have the driver%s%s?",
				   dax ? "DAX" : "block", device.name, dax ? " " : "", hmem ? "hmem" : device.driver);
			return -1;
		}
		if (dax && !strncmp(device.name, "nvdimm", 6))
			take_nvdimm(&device);
		usleep(20000);
		*waited += 20;
	}
	return 0;
}

int link_devices(void)
{
	char *text = slurp("/harness/devices", NULL), *line, *save;
	int waited = 0, rc = 0;

	mkdir("/dev/harness", 0755);
	for (line = text ? strtok_r(text, "\n", &save) : NULL; line && !rc;
	     line = strtok_r(NULL, "\n", &save))
		rc = link_device(line, &waited);
	free(text);
	return rc;
}
