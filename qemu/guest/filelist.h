/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A list of regular files with their SHA-256 digests, as qemu/sha256list
 * writes it: records "DIGEST  PATH", each ended by a NUL byte, where DIGEST is
 * 64 hexadecimal digits and PATH is relative to the root of the tree.
 */
#ifndef FILELIST_H
#define FILELIST_H

#include <stddef.h>

/**
 * struct file_entry - one record of the list
 * @digest:	64 hexadecimal digits, not terminated
 * @path:	path relative to the root of the tree, NUL-terminated
 */
struct file_entry {
	const char *digest;
	const char *path;
};

/**
 * struct file_list - a list read into memory
 * @entries:	the records, in the order of the file
 * @count:	number of records
 */
struct file_list {
	struct file_entry *entries;
	size_t count;
};

/**
 * file_list_read - read a list
 * @list:	filled in; lives until the program ends
 * @name:	file to read
 *
 * Return: 0, or -1 after one message on stderr.
 */
int file_list_read(struct file_list *list, const char *name);

/**
 * file_list_arguments - take "ROOT LIST" from a program's arguments
 * @list:	filled in, as by file_list_read()
 * @argc, @argv: what main() got
 * @more:	what may follow, as the usage calls it; NULL: nothing
 *
 * Ends the program with status 2 and one message if they are not right.
 *
 * Return: descriptor of the directory ROOT.
 */
int file_list_arguments(struct file_list *list, int argc, char **argv,
			const char *more);

#endif
