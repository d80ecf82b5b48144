// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a file that is not shared is counted once, however many open it at the same time
 * series: 4-share
 * config: EROFS_FS_PAGE_CACHE_SHARE
 * image: wrong share-forge malformed
 * device: blk:wrong
 * cpus: 2
 * timeout: 60
 */
#include <dirent.h>
#include <sys/prctl.h>

#include "ktap.h"
#include "share.h"

#define OPENERS	4
#define ROUNDS	60

static volatile int *turn, *ready;

static void opener(void)
{
	char name[300];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int round = 1; round <= ROUNDS; round++) {
		DIR *dir;
		struct dirent *d;

		while (*turn < round)
			usleep(100);
		dir = opendir("/m");
		while ((d = readdir(dir))) {
			struct stat st;

			snprintf(name, sizeof(name), "/m/%s", d->d_name);
			if (!stat(name, &st) && S_ISREG(st.st_mode))
				close(open(name, O_RDONLY));
		}
		closedir(dir);
		__sync_fetch_and_add(ready, 1);
	}
	_exit(0);
}

int main(void)
{
	long long most = 0, n;
	int other = 0;

	ktap_begin();
	turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ready = turn + 1;
	for (int i = 0; i < OPENERS; i++)
		if (!fork())
			opener();
	for (int round = 1; round <= ROUNDS; round++) {
		share_mount("/dev/harness/blk0", "/m", NULL);
		*turn = round;
		while (*ready < round * OPENERS)
			usleep(100);
		n = share_counter("/dev/harness/blk0", "refused");
		other += n != 9;
		if (n > most)
			most = n;
		umount("/m");
	}
	ktap_ok(!other && most == 9, "9 files are refused: %lld at most, another number in %d rounds of %d", most, other, ROUNDS);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}
