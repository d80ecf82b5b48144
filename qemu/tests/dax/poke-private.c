// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: who writes a byte to a private mapping that another process has of a file on DAX changes no other byte
 * series: 1-fixes
 * config: EROFS_FS FS_DAX
 * image: base share base --dax
 * device: pmem:base
 * timeout: 60
 *
 * Without "mm: copy private pages of DAX files from their page" Linux 6.12 copies what the
 * debugger has at that address, or warns and fills the page with zeroes.
 */
#include <sys/ptrace.h>

#include "ktap.h"
#include "share.h"
#include "system.h"

#define BYTES	65536
#define AT	((char *)0x7000000000)	/* where the mapping is, here and there */
#define BYTE	64			/* which one is changed */

static char good[BYTES];

/* Map the file, wait for the debugger, and end with the number of bytes that are wrong then. */
static void debugged(bool touch)
{
	int fd = share_open("/m", "f.65536"), wrong = 0;
	volatile char *p = mmap(AT, BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0);

	if (p == MAP_FAILED)
		_exit(255);
	for (int i = 0; touch && i < BYTES; i += 4096)
		(void)p[i];
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	for (int i = 0; i < BYTES; i++)
		wrong += p[i] != (i == BYTE ? (char)~good[i] : good[i]);
	_exit(wrong < 255 ? wrong : 254);
}

static void test(const char *what, bool touch, bool own)
{
	int status = -1;
	pid_t pid = fork();
	long word;

	if (!pid)
		debugged(touch);
	waitpid(pid, &status, 0);
	if (own)
		memset(mmap(AT, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), 'S', BYTES);
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, AT + BYTE, 0);
	ktap_ok(!errno && !ptrace(PTRACE_POKEDATA, pid, AT + BYTE, word ^ 0xff), "%s: a byte is changed", what);
	if (own)
		munmap(AT, BYTES);
	ptrace(PTRACE_CONT, pid, 0, 0);
	waitpid(pid, &status, 0);
	ktap_ok(WIFEXITED(status) && ktap_is(WEXITSTATUS(status), ==, 0), "%s: all others are as they were", what);
}

int main(void)
{
	ktap_begin();
	mkdir("/m", 0755);
	ktap_ok(!mount("/dev/harness/pmem0", "/m", "erofs", MS_RDONLY, "dax=always"), "mount");
	ktap_ok(is_dax("/m/f.65536") && share_read("/m", "f.65536", good, BYTES) == BYTES, "a file on DAX");
	test("the debugger has memory there", true, true);
	test("he has none", true, false);
	test("nobody has touched it", false, false);
	ktap_ok(kernel_is_content(), "no complaint of the kernel");
	return ktap_end();
}
