/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * init - the first program of a guest
 *
 * init.c          the command, the host, the programs that ask for something
 * init-devices.c  /dev/harness
 * init-modules.c  modules of a kernel that has drivers as such
 * init-mounts.c   what is mounted before the command, and unmounted after it
 * init-io.c       small files, lines, JSON
 */
#ifndef INIT_H
#define INIT_H

#include <stdbool.h>
#include <stddef.h>

/* -- init-io.c */

/* The way to the host; -1 if there is none. */
extern int port;

/* A line being collected from a pipe or the port. */
struct reader {
	int fd;
	const char *event;	/* of an output pipe */
	char *buf;
	size_t len, alloc;
};

/* Read a small file. Return: malloc'ed, NUL-terminated, or NULL. */
char *slurp(const char *path, size_t *len);
/* Write to a small file, if it is there. */
void put(const char *path, const char *text);

void port_write(const char *p, size_t n);
/* Send {"event": @event, @key: "@text"}. */
void send_text(const char *event, const char *key, const char *text, size_t len);
/* Tell the host that init could not do its work. */
__attribute__((format(printf, 1, 2)))
void send_error(const char *fmt, ...);

void reader_close(struct reader *r);
/* Read what is there. Return: false at the end of the stream. */
bool reader_fill(struct reader *r);
/* Take one line, without its end. Return: malloc'ed, or NULL if there is none. */
char *reader_line(struct reader *r, size_t *len);

/* -- init-mounts.c */

void mount_initial(void);
/*
 * Undo what the command left mounted, newest first: a fault on the way out of
 * a file system is to be seen.
 */
void unmount_rest(void);

/* -- init-modules.c */

/* Load what the harness gave. Return: 0, or -1 after telling the host what cannot be loaded. */
int load_modules(void);

/* -- init-devices.c */

/* Make /dev/harness. Return: 0, or -1 after telling the host which device is missing. */
int link_devices(void);

#endif
