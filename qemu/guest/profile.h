/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Marks in a program that the QEMU plugin qemu/host/profile.c sees. */
#ifndef PROFILE_H
#define PROFILE_H

/*
 * nopl of an address that no compiler would use: 0f 1f 84 00, then four bytes of
 * displacement, of which the last is the number of the pass.
 */
#define PROFILE_MARK_BYTES	0x0f, 0x1f, 0x84, 0x00, 0x6b, 0x72, 0x61

/** PROFILE_MARK - pass @number starts here; 0 for none, at most 127, a constant */
#define PROFILE_MARK(number)	__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x6b, 0x72, 0x61, %c0" \
						 : : "i"(number) : "memory")

#endif
