// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: barriers and results work from many programs at a time, and refuse wrong use
 * guests: 2
 * flavours: fast debug
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "ktap.h"

#define WRITERS	8
#define RESULTS	20

/* Longer than what a pipe takes at once, so that writers could interleave. */
static char *long_json(int writer)
{
	size_t len = 9000;
	char *json = malloc(len + 3);

	json[0] = '"';
	memset(json + 1, 'a' + writer, len);
	strcpy(json + 1 + len, "\"");
	return json;
}

int main(void)
{
	char name[GUEST_NAME + 1];
	int status, bad = 0;

	ktap_begin();
	ktap_ok(!guest_barrier("start"), "both guests meet");
	for (int i = 0; i < WRITERS; i++) {
		if (!fork()) {
			char *json = long_json(i);

			for (int n = 0; n < RESULTS; n++)
				if (guest_result(json))
					_exit(1);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		bad += status != 0;
	/* The host parses each line: a mixed one would fail this guest. */
	ktap_ok(!bad, "%d programs send %d results each", WRITERS, RESULTS);
	ktap_ok(!guest_result("{\"lines\":\n[1,\r\n2]}"), "a result of several lines");

	memset(name, 'n', GUEST_NAME);
	name[GUEST_NAME] = '\0';
	errno = 0;
	ktap_ok(guest_barrier("") && errno == EINVAL, "an empty name is refused");
	ktap_ok(guest_barrier("a b") && errno == EINVAL, "a name with a blank is refused");
	errno = 0;
	ktap_ok(guest_barrier(name) && errno == EINVAL, "a name that is too long is refused");
	name[GUEST_NAME - 1] = '\0';
	ktap_ok(!guest_barrier(name), "the longest name works");
	errno = 0;
	ktap_ok(system("test -z \"$(ls /harness/answer.* 2>/dev/null)\"") == 0, "no pipe is left");
	return ktap_end();
}
