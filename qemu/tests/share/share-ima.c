// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: IMA measures a file again when its bytes come from another mount
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE IMA SECURITYFS
 * image: base share base
 * image: forged share forged
 * device: blk:base
 * device: blk:forged
 * cpus: 2
 * timeout: 120
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "ktap.h"
#include "share.h"
#include "system.h"

#define NAME	"f.65536"

/* Load a policy, which IMA takes one write(2) of. */
static bool policy(const char *rules)
{
	int fd = open("/sys/kernel/security/ima/policy", O_WRONLY);
	bool ok = fd >= 0 && write(fd, rules, strlen(rules)) == (ssize_t)strlen(rules);

	return !close(fd) && ok;
}

/* How many contents of a file have been measured? */
static int measured(const char *path)
{
	FILE *f = fopen("/sys/kernel/security/ima/ascii_runtime_measurements", "r");
	char line[4096], *at;
	int n = 0;

	/* a signature can follow */
	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, path);
		n += at && strchr(" \n", at[strlen(path)]);
	}
	if (f)
		fclose(f);
	return n;
}

int main(void)
{
	ktap_begin();
	ktap_ok(!mount("none", "/sys/kernel/security", "securityfs", 0, NULL) &&
		policy("measure func=FILE_CHECK mask=MAY_READ fsmagic=0xe0f5e1e2\n"), "IMA measures what is read from EROFS");
	ktap_ok(share_mount("/dev/harness/blk0", "/a", NULL) && share_mount("/dev/harness/blk1", "/b", NULL),
		"mount an image, and a younger one that lies");
	close(share_open("/a", NAME));
	close(share_open("/b", NAME));
	ktap_eq(measured("/b/" NAME), 1, "the younger file is measured by the older one's bytes");
	close(share_open("/b", NAME));
	ktap_eq(measured("/b/" NAME), 1, "and again, which tells nothing new");
	ktap_ok(!umount("/a"), "unmount the older one");
	drop_caches("1");
	close(share_open("/b", NAME));
	ktap_eq(measured("/b/" NAME), 2, "by its own bytes now");
	ktap_ok(!umount("/b"), "unmount the other one");
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}
