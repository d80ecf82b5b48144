/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostpages - how much of an image file its users hold in memory, and how
 * much of that they share
 *
 * hostpages.c         options, order of work, exit status
 * hostpages-image.c   the file: which one it is, what the page cache has of it
 * hostpages-procs.c   the users: finding them and their mappings of the file
 * hostpages-count.c   the pages: page tables into figures
 * hostpages-guests.c  what the kernels inside say of their own use of the image
 * hostpages-report.c  the figures as text or JSON
 *
 * What each figure means is written in Documentation/accounting.md.
 */
#ifndef HOSTPAGES_H
#define HOSTPAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Exit status; part of the interface. */
enum hp_exit {
	HP_EXIT_OK = 0,		/* every user was counted */
	HP_EXIT_SKIPPED = 1,	/* some were not; the report says which */
	HP_EXIT_NOTHING = 2,	/* wrong use, no such image, no memory: no report */
};

/* How pages are told apart and how many mappings each has. */
enum hp_method {
	HP_AUTO,
	HP_KPAGECOUNT,	/* PFNs from pagemap, map counts from /proc/kpagecount */
	HP_PAGEMAP,	/* file offsets alone: the map count is that of the users */
};

/* A file as /proc/PID/maps identifies it, which need not be what stat says. */
struct hp_ident {
	unsigned int major, minor;
	uint64_t ino;
};

/**
 * struct hp_image - the file whose pages are counted
 * @path: as the user gave it
 * @name: absolute path without symbolic links, written as maps writes it
 * @fd: open for reading, or O_PATH if that is all we may have
 * @readable: @fd can be mapped and asked for its page cache
 * @hugetlb: lives on hugetlbfs
 * @st: its stat
 * @ident: what maps prints for it
 * @ident_differs: @ident is not @st's device and inode (overlayfs, btrfs),
 *	so equal @ident alone does not prove that two files are one
 * @bytes: its size
 */
struct hp_image {
	const char *path;
	char *name;
	int fd;
	bool readable;
	bool hugetlb;
	struct stat st;
	struct hp_ident ident;
	bool ident_differs;
	uint64_t bytes;
};

/**
 * struct hp_map - one mapping (VMA) of the image
 * @start: first address
 * @end: address after the last
 * @offset: offset in the file, bytes
 * @shared: MAP_SHARED
 */
struct hp_map {
	uint64_t start, end, offset;
	bool shared;
};

struct hp_maps {
	struct hp_map *v;
	size_t nr;
};

/**
 * struct hp_user - a process that maps the image, and its figures
 * @pid: process id
 * @comm: its name, as the kernel has it: any bytes
 * @dir: /proc/PID; stays with this process even if the number is used again
 * @pagemap: /proc/PID/pagemap
 * @maps: its mappings of the image
 * @mapped_bytes: their sizes, added up
 * @rss_pages: image pages present in at least one of them
 * @rss_map_pages: the same, a page counted once for each mapping
 * @pss: its share of @rss_map_pages, bytes with a 32-bit fraction
 * @private_pages: pages that a MAP_PRIVATE mapping has in place of the image's
 * @private_swap_pages: such pages that are in swap
 * @smaps_rss: what smaps says of the same mappings, private copies included
 * @smaps_pss: likewise; 0 for hugetlbfs, where the kernel keeps none
 */
struct hp_user {
	pid_t pid;
	char comm[64];
	int dir;
	int pagemap;
	struct hp_maps maps;
	uint64_t mapped_bytes;
	uint64_t rss_pages;
	uint64_t rss_map_pages;
	unsigned __int128 pss;
	uint64_t private_pages;
	uint64_t private_swap_pages;
	uint64_t smaps_rss;
	uint64_t smaps_pss;
};

struct hp_skip {
	pid_t pid;
	char *reason;
};

/* A run of pages that the same number of users have. */
struct hp_run {
	uint64_t page;
	uint32_t pages;
	uint32_t users;
};

/* One character of the text map. */
struct hp_cell {
	uint32_t users;		/* of the page that most users have */
	uint64_t pages;		/* that any user has */
};

/* Guests of one table: a bit of a word for each. */
#define HP_GUESTS_MAX	64
/* Characters of a guest's line in the text table. */
#define HP_GUEST_CELLS	64

/* A number that a guest's kernel counts. */
struct hp_counter {
	char *name;
	uint64_t value;
};

/* Pages behind one character of a guest's line. */
struct hp_guest_cell {
	uint64_t pages, touched, mapped;
};

/**
 * struct hp_guest - a user that is a kernel, and what that says of itself
 * @pid: process id of the user
 * @user: which of the users that is
 * @mapped: a bit for each page of the image: programs of the guest have it mapped
 * @mapped_pages: how many these are
 * @present_pages: how many of them the user has in its page tables
 * @counters: numbers of the guest's kernel
 * @cells: the file in equal parts
 */
struct hp_guest {
	pid_t pid;
	size_t user;
	uint8_t *mapped;
	uint64_t mapped_pages, present_pages;
	struct hp_counter *counters;
	size_t nr_counters;
	struct hp_guest_cell cells[HP_GUEST_CELLS];
};

/* A run of pages that the same guests have touched, and the same have mapped. */
struct hp_part {
	uint64_t page, pages;
	uint64_t touched, mapped;	/* bit k: guest k */
};

/**
 * struct hp - one run of the program
 * @want_runs: keep @runs
 * @want_cells: keep @cells
 * @shared_by: index k: pages that exactly k users have
 * @unique_pages: pages that at least one user has
 * @outside_pages: those that other processes map too (HP_KPAGECOUNT only)
 * @moved_pages: pages that two users showed in different places
 * @nr_maps_changed: users whose mappings changed during the last count
 * @mapped_by: index k: pages that programs of exactly k guests have mapped
 * @cell_pages: pages of the file for one character of the map
 */
struct hp {
	struct hp_image img;
	enum hp_method method;
	uint64_t page_bytes;
	bool want_runs, want_cells;

	struct hp_user *users;
	size_t nr_users;
	struct hp_skip *skipped;
	size_t nr_skipped;
	char **notes;
	size_t nr_notes;
	struct hp_guest *guests;
	size_t nr_guests;

	uint64_t *shared_by;
	uint64_t unique_pages;
	uint64_t outside_pages;
	uint64_t moved_pages;
	size_t nr_maps_changed;
	struct hp_run *runs;
	size_t nr_runs;
	struct hp_cell *cells;
	size_t nr_cells;
	uint64_t cell_pages;
	struct hp_part *parts;
	size_t nr_parts;
	uint64_t mapped_by[HP_GUESTS_MAX + 1];
	bool cache_known;
	uint64_t cache_bytes;
};

/* Memory for @nr elements of @size bytes at @p, or the end of the program. */
void *hp_grow(void *p, size_t nr, size_t size);
/* A printf into new memory, or the end of the program. */
char *hp_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Say why nothing can be reported, and exit with HP_EXIT_NOTHING. */
void hp_die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
/* Something the reader of the figures must know: to stderr and the report. */
void hp_note(struct hp *hp, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* @pid is not counted: to stderr and the report. */
void hp_skip(struct hp *hp, pid_t pid, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* hostpages-image.c */
void hp_image_open(struct hp *hp, const char *path, const pid_t *pids,
		   size_t nr, bool all);
int hp_image_cached(const struct hp *hp, uint64_t start, uint64_t len,
		    uint64_t *bytes);

/* hostpages-procs.c */
int hp_open_deleted(struct hp *hp, const pid_t *pids, size_t nr, bool all);
char *hp_maps_escape(const char *path);
int hp_map_ident(const void *addr, struct hp_ident *ident);
void hp_add_user(struct hp *hp, pid_t pid);
void hp_add_all(struct hp *hp);
bool hp_verify_users(struct hp *hp);

/* hostpages-count.c */
enum hp_method hp_best_method(enum hp_method wanted);
void hp_count(struct hp *hp);

/* hostpages-guests.c */
void hp_add_guest(struct hp *hp, const char *spec);
void hp_start_guests(struct hp *hp);
void hp_count_guests(struct hp *hp, const uint32_t *has, uint64_t first,
		     uint32_t pages);

/* hostpages-report.c */
void hp_report_text(const struct hp *hp, FILE *out);
void hp_report_json(const struct hp *hp, FILE *out);

#endif
