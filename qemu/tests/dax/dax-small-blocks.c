// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: files of 1 KiB blocks whose pages are whole can be mapped by DAX to their end
 * config: EROFS_FS_RAMDAX
 * image: base share base -b1024 -Enoinline_data --dsunit=4
 * device: pmem:base
 * timeout: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <stdio.h>

#include "ktap.h"
#include "sigbus.h"
#include "system.h"

static char buf[4 << 20];

int main(void)
{
	DIR *d;
	struct dirent *e;

	ktap_begin();
	ktap_ok(!mount("/dev/harness/pmem0", "/mnt", "erofs", MS_RDONLY, "dax=always"), "mount");
	sigbus_catch();
	d = opendir("/mnt");
	while ((e = readdir(d))) {
		char path[300];
		struct stat st;
		volatile int bad = 0;
		int fd;

		snprintf(path, sizeof(path), "/mnt/%s", e->d_name);
		if (stat(path, &st) || !S_ISREG(st.st_mode) || st.st_size > (off_t)sizeof(buf) || !st.st_size)
			continue;
		fd = open(path, O_RDONLY);
		if (read(fd, buf, sizeof(buf)) != st.st_size)
			ktap_note("read %s", path);
		volatile char *p = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		volatile size_t at = st.st_size / 4096 * 4096;
		if (at == (size_t)st.st_size)
			at -= 4096;
		if (sigbus_came())
			bad = 1;
		else if (memcmp((void *)(p + at), buf + at, st.st_size - at))
			bad = 2;
		ktap_ok(!bad, "%s size %lld dax %d: last page first %s", e->d_name, (long long)st.st_size, is_dax(path), bad == 1 ? "SIGBUS" : "wrong");
		munmap((void *)p, st.st_size);
		close(fd);
	}
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}
