/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program in a guest says to the harness on the host.
 *
 * Only init may hold the virtio port, so programs ask init, through named pipes
 * (which need no option of the kernel): a request is one line "VERB TOKEN TEXT" to
 * GUEST_REQUESTS, under a lock on it since a line may be longer than what a pipe
 * takes at once; the answer is one line from the pipe GUEST_ANSWER TOKEN, which
 * the program makes and removes.  A program in a chroot needs /harness there.
 */
#ifndef GUEST_H
#define GUEST_H

#define GUEST_REQUESTS	"/harness/requests"
#define GUEST_ANSWER	"/harness/answer."
/* Longest token and barrier name, with their NUL. */
#define GUEST_TOKEN	64
#define GUEST_NAME	64

/**
 * guest_barrier - wait until every guest of this run is at the same barrier
 * @name: 1 to 63 letters, digits, '-', '_' or '.'
 *
 * The harness calls its owner back while all guests wait here, then lets all
 * of them go on.  A barrier of one guest works as well.
 *
 * Return: 0, or -1 with errno (EINVAL: a bad name; ENOENT: not in a
 * guest of the harness, or in a chroot without /harness).
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
