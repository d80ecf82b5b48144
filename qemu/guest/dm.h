/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Device mapper for tests in C: disks that are slow or fail. */
#ifndef DM_H
#define DM_H

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ktap.h"

static inline void dm_head(struct dm_ioctl *head, const char *name, uint32_t size)
{
	*head = (struct dm_ioctl){ .version = { 4, 0, 0 }, .data_size = size, .data_start = sizeof(*head) };
	snprintf(head->name, sizeof(head->name), "%s", name);
}

static inline bool dm_suspend(const char *name, uint32_t flags)
{
	int control = open("/dev/mapper/control", O_RDWR);
	struct dm_ioctl head;
	bool ok;

	dm_head(&head, name, sizeof(head));
	head.flags = flags;
	ok = control >= 0 && !ioctl(control, DM_DEV_SUSPEND, &head);
	close(control);
	return ok;
}

/** dm_hang - let reads of a device wait until dm_go(); true if that is so */
static inline bool dm_hang(const char *name)
{
	return dm_suspend(name, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
}

/** dm_go - undo dm_hang() */
static inline bool dm_go(const char *name)
{
	return dm_suspend(name, 0);	/* that is, resume */
}

/** dm_sectors - size of a disk in sectors, or 0 with errno set */
static inline uint64_t dm_sectors(const char *disk)
{
	int fd = open(disk, O_RDONLY);
	uint64_t bytes = 0;

	if (fd >= 0 && ioctl(fd, BLKGETSIZE64, &bytes))
		bytes = 0;
	close(fd);
	return bytes / 512;
}

struct dm_piece {
	uint64_t sectors;
	const char *target;
	char params[248];
};

/**
 * dm_load - give a device another table
 * @name:  name of the device
 * @piece: its targets, one behind the other
 * @n:     number of them, up to 3
 *
 * Return: true, or false with errno set.
 */
static inline bool dm_load(const char *name, const struct dm_piece *piece, int n)
{
	struct {
		struct dm_ioctl head;
		struct { struct dm_target_spec spec; char params[sizeof(piece->params)]; } target[3];
	} request = { 0 };
	int control = open("/dev/mapper/control", O_RDWR);
	uint64_t start = 0;
	bool ok;

	dm_head(&request.head, name, sizeof(request));
	request.head.target_count = n;
	request.head.flags = DM_READONLY_FLAG;
	for (int i = 0; i < n; start += piece[i++].sectors) {
		struct dm_target_spec *spec = &request.target[i].spec;

		spec->sector_start = start;
		spec->length = piece[i].sectors;
		spec->next = sizeof(request.target[i]);
		snprintf(spec->target_type, sizeof(spec->target_type), "%s", piece[i].target);
		memcpy(request.target[i].params, piece[i].params, sizeof(piece[i].params));
	}
	ok = control >= 0 && !ioctl(control, DM_TABLE_LOAD, &request);
	close(control);
	return ok && dm_go(name);
}

/**
 * dm_reload - give a device another target over the same disk
 * @name:   name of the device
 * @disk:   path of the disk
 * @target: "delay", "flakey", ... see Documentation/admin-guide/device-mapper
 * @params: words of the target after the disk and its offset 0
 *
 * Return: true, or false with errno set.
 */
static inline bool dm_reload(const char *name, const char *disk, const char *target, const char *params)
{
	struct dm_piece whole = { .sectors = dm_sectors(disk), .target = target };

	snprintf(whole.params, sizeof(whole.params), "%s 0 %s", disk, params);
	return whole.sectors && dm_load(name, &whole, 1);
}

/**
 * dm_create - make a read-only device of one target over a whole disk
 * @name, @disk, @target, @params: as of dm_reload()
 * @device: gets the path of the device, 32 bytes
 *
 * Return: true, or false with errno set.
 */
static inline bool dm_create(const char *name, const char *disk, const char *target, const char *params,
			     char *device)
{
	int control = open("/dev/mapper/control", O_RDWR);
	struct dm_ioctl head;
	bool ok;

	dm_head(&head, name, sizeof(head));
	ok = control >= 0 && !ioctl(control, DM_DEV_CREATE, &head);
	snprintf(device, 32, "/dev/dm-%u", minor(head.dev));
	close(control);
	return ok && dm_reload(name, disk, target, params);
}

/** dm_remove - undo dm_create(); true if it is gone */
static inline bool dm_remove(const char *name)
{
	int control = open("/dev/mapper/control", O_RDWR);
	struct dm_ioctl head;
	bool ok;

	dm_head(&head, name, sizeof(head));
	ok = !ioctl(control, DM_DEV_REMOVE, &head);
	close(control);
	return ok;
}

/** dm_waits - does a process wait for a disk (state D of /proc/PID/stat)? */
static inline bool dm_waits(pid_t pid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(file);
	return state == 'D';
}

/** dm_wait_all - wait until all of @n processes wait for a disk, some 20 s. Return: how many do */
static inline int dm_wait_all(const pid_t *pids, int n)
{
	int waiting = 0;

	for (int tries = 0; tries < 200 && waiting < n; tries++) {
		usleep(100000);
		waiting = 0;
		for (int i = 0; i < n; i++)
			waiting += dm_waits(pids[i]);
	}
	return waiting;
}

/**
 * dm_begin - do something in a process of its own, and wait until it hangs: one result
 * @call: what to do; it gets @dir and @name, and its value is the exit status
 *
 * Return: the process.
 */
static inline pid_t dm_begin(int (*call)(const char *, const char *), const char *dir, const char *name)
{
	pid_t pid = fork();
	int n = 0;

	if (!pid)
		_exit(call(dir, name));
	for (int i = 0; i < 3000 && n < 50; i++) {
		n = dm_waits(pid) ? n + 1 : 0;
		usleep(2000);
	}
	ktap_ok(n == 50, "a read of %s/%s hangs", dir, name);
	return pid;
}

#endif /* DM_H */
