/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Readers that are killed while others wait for the same physical cluster, for tests in C. */
#ifndef KILLED_H
#define KILLED_H

#include "dm.h"
#include "ktap.h"
#include "share.h"

#define KILLED_NAME	"f.3000000"
#define KILLED_AT	1048576

static inline int killed_first(const char *dir, const char *name)
{
	return share_read_at(dir, name, KILLED_AT);
}

/* The page is in the cache already, and was not read: so he reads it without readahead. */
static inline int killed_second(const char *dir, const char *name)
{
	return share_read_at(dir, name, KILLED_AT + 4096);
}

/* Mount the file "image" of the file system on @disk as /a, and @younger, if there is one, as /b. */
static inline bool killed_mount(const char *disk, const char *younger)
{
	if (!share_plain(disk, "/box"))
		return false;
	if (!younger)
		return share_plain("/box/image", "/a");
	return share_mount("/box/image", "/a", NULL) && share_mount(younger, "/b", NULL);
}

/**
 * killed_joined - kill who reads a page of a physical cluster while another one waits for the next page
 * @disk:    of a file system whose file "image" is an image with compressed files
 * @younger: disk with an image that shares with it, or NULL: nothing shares
 * @reader:  "/a" or "/b"
 * @how:     what that is, for the results
 */
static inline void killed_joined(const char *disk, const char *younger, const char *reader, const char *how)
{
	char hung[32], c;
	long long before = share_counter(NULL, "failed");
	pid_t one, two;
	int status;

	ktap_ok(dm_create("hung", disk, "delay", "0", hung) && killed_mount(hung, younger), "%s: mount all", how);
	close(share_open("/a", KILLED_NAME));
	if (younger)
		close(share_open("/b", KILLED_NAME));
	drop_caches("1");
	/* metadata is there, and data is not */
	ktap_ok(read_extents("/a/" KILLED_NAME), "%s: the file's extents are known", how);
	ktap_ok(share_read("/a", "f.1", &c, 1) == 1, "%s: something else is read", how);
	ktap_ok(dm_hang("hung"), "%s: the disk hangs", how);
	one = dm_begin(killed_second, reader, KILLED_NAME);
	ktap_ok(share_kill(one, 5), "%s: a page is left that was not read", how);
	one = dm_begin(killed_first, reader, KILLED_NAME);
	two = dm_begin(killed_second, reader, KILLED_NAME);
	ktap_ok(share_kill(one, 5), "%s: who came first is killed", how);
	status = share_end(two, 2);
	ktap_ok(status == -1, "%s: the other one goes on waiting (status %#x)", how, status);
	ktap_ok(dm_reload("hung", disk, "delay", "0"), "%s: the disk goes on", how);
	if (status == -1)
		ktap_eq(share_end(two, 10), 0, "%s: and he gets his bytes", how);
	ktap_eq(share_counter(NULL, "failed") - before, 0, "%s: nothing has failed", how);
	ktap_ok((!younger || !umount("/b")) && !umount("/a") && !umount("/box") && dm_remove("hung"),
		"%s: unmount all", how);
}

#endif
