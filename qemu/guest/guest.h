/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program in a guest says to the harness on the host.
 *
 * Only init may hold the virtio port, so programs talk to init, over a local
 * socket in the abstract name space (a chroot reaches it, a network name space
 * of its own does not).  Each request is one connection: a line there, a line
 * back.
 */
#ifndef GUEST_H
#define GUEST_H

/* Name of init's socket: bind to a NUL byte and these characters. */
#define GUEST_SOCKET	"erofs-ramdax"

/**
 * guest_barrier - wait until every guest of this run is at the same barrier
 * @name: 1 to 63 letters, digits, '-', '_' or '.'
 *
 * The harness calls its owner back while all guests wait here, then lets all
 * of them go on.  A barrier of one guest works as well.
 *
 * Return: 0, or -1 with errno (EINVAL: a bad name; ECONNREFUSED: not in a
 * guest of the harness).
 */
int guest_barrier(const char *name);

/**
 * guest_result - hand a result to the harness
 * @json: one JSON value; line breaks in it become blanks
 *
 * The host parses it and fails the guest if it is no JSON.
 *
 * Return: 0, or -1 with errno.
 */
int guest_result(const char *json);

#endif
