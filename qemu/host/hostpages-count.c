// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostpages: the pages - from page tables to figures
 *
 * The file is gone through in windows.  For one window, each user's page
 * tables say which pages it has; then the window's pages are counted.  So
 * memory is bounded whatever the size of the file, and what the users have of
 * one page is read within a short time.
 *
 * Formats: Documentation/admin-guide/mm/pagemap.rst of Linux.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "hostpages.h"

/* An entry of /proc/PID/pagemap. */
#define PM_PFN		((1ULL << 55) - 1)
#define PM_FILE		(1ULL << 61)	/* of a file, or shared memory */
#define PM_SWAP		(1ULL << 62)	/* in swap, or on its way elsewhere */
#define PM_PRESENT	(1ULL << 63)

/* PAGEMAP_SCAN, Linux 6.7, in include/uapi/linux/fs.h. */
#ifndef PAGEMAP_SCAN
struct page_region {
	uint64_t start, end, categories;
};

struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};

#define PAGEMAP_SCAN		_IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_PRESENT		(1 << 3)
#define PAGE_IS_SWAPPED		(1 << 4)
#define PAGE_IS_PFNZERO		(1 << 5)
#endif

#define WINDOW_PAGES_MAX	(1U << 18)
#define WINDOW_PAGES_MIN	(1U << 9)
#define WINDOW_MEMORY		(64U << 20)	/* bytes for all users' tables */
#define CHUNK			(1U << 15)	/* pagemap entries per read */
#define REGIONS			512		/* results per PAGEMAP_SCAN */

/* Characters in the text map: enough to see, few enough for one screen. */
#define CELLS_MAX		(64 * 24)

/* How long to be silent, seconds. */
#define PROGRESS_AFTER		5

/**
 * struct window - the part of the file that is being counted
 * @first: its first page
 * @pages: its length
 * @has: table [user][page]: in how many of the user's mappings the page is
 * @users: per page: how many users have it
 * @maps: per page: in how many mappings of all users it is
 * @pfn: per page: where it is; 0 if that is not known
 * @entries: room for what pagemap says
 * @kpagefd: /proc/kpagecount, or -1
 * @no_scan: this kernel has no PAGEMAP_SCAN
 * @touched: some user has some page of it; otherwise the tables are all zero
 */
struct window {
	uint64_t first;
	uint32_t pages;
	uint32_t *has;
	uint32_t *users;
	uint32_t *maps;
	uint64_t *pfn;
	uint64_t *entries;
	int kpagefd;
	bool no_scan;
	bool touched;
};

/* Without CAP_SYS_ADMIN in the first user namespace, PFNs read as zero. */
static bool can_see_pfns(void)
{
	volatile char here = 0;
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (uintptr_t)&here / sysconf(_SC_PAGESIZE) * sizeof(entry);

	if (fd < 0)
		return false;
	if (pread(fd, &entry, sizeof(entry), at) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry & PM_PRESENT && entry & PM_PFN;
}

/**
 * hp_best_method() - how pages can be counted here
 * @wanted: what the user asked for
 *
 * Return: HP_KPAGECOUNT or HP_PAGEMAP.  Ends the program if HP_KPAGECOUNT was
 * asked for and cannot be had.
 */
enum hp_method hp_best_method(enum hp_method wanted)
{
	bool can;

	if (wanted == HP_PAGEMAP)
		return HP_PAGEMAP;
	can = access("/proc/kpagecount", R_OK) == 0 && can_see_pfns();
	if (!can && wanted == HP_KPAGECOUNT)
		hp_die("--method=kpagecount needs root and a kernel with /proc/kpagecount; --method=pagemap needs neither");
	return can ? HP_KPAGECOUNT : HP_PAGEMAP;
}

/* One pagemap entry, of the page @i of the window. */
static void take_entry(struct hp *hp, struct hp_user *u, uint32_t *has,
		       struct window *w, uint32_t i, bool shared, uint64_t e)
{
	uint64_t pfn = e & PM_PFN;

	/*
	 * A shared mapping holds nothing but the file's pages, flagged or not
	 * (DAX before Linux 6.15).  Swap entries with PM_FILE are pages that
	 * are just being migrated; without it, swapped private copies, or in
	 * a shared mapping userfaultfd's markers.
	 */
	if (!(e & (PM_PRESENT | PM_SWAP)))
		return;
	if (!(e & PM_FILE) && !(shared && e & PM_PRESENT)) {
		if (e & PM_PRESENT)
			u->private_pages++;
		else if (!shared)
			u->private_swap_pages++;
		return;
	}
	has[i]++;
	w->touched = true;
	if (!(e & PM_PRESENT) || !pfn)
		return;
	if (w->pfn[i] && w->pfn[i] != pfn)
		hp->moved_pages++;
	w->pfn[i] = pfn;
}

/* Page tables from @addr to @end, which are page @i of the window and on. */
static void read_entries(struct hp *hp, struct hp_user *u, uint32_t *has,
			 struct window *w, const struct hp_map *m,
			 uint64_t addr, uint64_t end, uint32_t i)
{
	while (addr < end) {
		uint64_t left = (end - addr) / hp->page_bytes;
		size_t want = left < CHUNK ? left : CHUNK;
		ssize_t got = pread(u->pagemap, w->entries, want * 8,
				    addr / hp->page_bytes * 8);

		/* Its memory is gone; hp_verify_users() will find out why. */
		if (got < 8)
			return;
		got /= 8;
		for (ssize_t j = 0; j < got; j++)
			take_entry(hp, u, has, w, i + j, m->shared,
				   w->entries[j]);
		addr += got * hp->page_bytes;
		i += got;
	}
}

/*
 * Let the kernel say where the page tables hold something: it skips empty
 * ones as a whole, and zero pages (holes under DAX), which are not memory of
 * the image.
 */
static void scan_entries(struct hp *hp, struct hp_user *u, uint32_t *has,
			 struct window *w, const struct hp_map *m,
			 uint64_t addr, uint64_t end, uint32_t first)
{
	struct page_region regions[REGIONS];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = addr,
		.end = end,
		.vec = (uintptr_t)regions,
		.vec_len = REGIONS,
		.category_inverted = PAGE_IS_PFNZERO,
		.category_mask = PAGE_IS_PFNZERO,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT,
	};

	while (arg.start < end && !w->no_scan) {
		int n = ioctl(u->pagemap, PAGEMAP_SCAN, &arg);

		if (n < 0) {
			w->no_scan = true;
			break;
		}
		for (int r = 0; r < n; r++)
			read_entries(hp, u, has, w, m, regions[r].start,
				     regions[r].end, first +
				     (regions[r].start - addr) / hp->page_bytes);
		if (arg.walk_end <= arg.start)
			return;
		arg.start = arg.walk_end;
	}
	if (arg.start < end)
		read_entries(hp, u, has, w, m, arg.start, end, first +
			     (arg.start - addr) / hp->page_bytes);
}

/* What the mapping has of the window. */
static void count_map(struct hp *hp, struct hp_user *u, uint32_t *has,
		      struct window *w, const struct hp_map *m)
{
	uint64_t m_first = m->offset / hp->page_bytes;
	uint64_t m_end = m_first + (m->end - m->start) / hp->page_bytes;
	uint64_t from = m_first > w->first ? m_first : w->first;
	uint64_t to = w->first + w->pages < m_end ? w->first + w->pages : m_end;

	if (from >= to)
		return;
	scan_entries(hp, u, has, w, m,
		     m->start + (from - m_first) * hp->page_bytes,
		     m->start + (to - m_first) * hp->page_bytes,
		     from - w->first);
}

/*
 * Ask for the map counts of the pages that the window found: into @total, in
 * which @w->maps stands already.  Pages that follow each other in memory are
 * asked for at once.  Counts below ours are ignored: they come from pages that
 * changed meanwhile, or whose page tables several processes share (hugetlbfs).
 */
static void ask_map_counts(struct window *w, uint32_t *total)
{
	for (uint32_t i = 0; i < w->pages; ) {
		uint32_t n = 1;
		ssize_t got;

		if (!w->pfn[i]) {
			i++;
			continue;
		}
		while (n < CHUNK && i + n < w->pages &&
		       w->pfn[i + n] == w->pfn[i] + n)
			n++;
		got = pread(w->kpagefd, w->entries, n * 8, w->pfn[i] * 8) / 8;
		for (ssize_t j = 0; j < got; j++)
			if (w->entries[j] > total[i + j] &&
			    w->entries[j] <= INT32_MAX)
				total[i + j] = w->entries[j];
		i += n;
	}
}

static void add_run(struct hp *hp, uint64_t page, uint32_t users)
{
	struct hp_run *last = hp->nr_runs ? &hp->runs[hp->nr_runs - 1] : NULL;

	if (last && last->users == users && last->pages < UINT32_MAX &&
	    last->page + last->pages == page) {
		last->pages++;
		return;
	}
	/* Grow by doubling: whenever the number is a power of two. */
	if (!(hp->nr_runs & (hp->nr_runs - 1)))
		hp->runs = hp_grow(hp->runs, hp->nr_runs ? 2 * hp->nr_runs : 1,
				   sizeof(*hp->runs));
	hp->runs[hp->nr_runs++] = (struct hp_run){ page, 1, users };
}

static void add_cell(struct hp *hp, uint64_t page, uint32_t users)
{
	uint64_t c = page / hp->cell_pages;

	/* A file that has grown: what is behind the old end goes to the last. */
	if (c >= hp->nr_cells)
		c = hp->nr_cells - 1;
	if (hp->cells[c].users < users)
		hp->cells[c].users = users;
	hp->cells[c].pages++;
}

/* All users' tables of the window are filled: count its pages. */
static void count_window(struct hp *hp, struct window *w, uint32_t *total)
{
	for (size_t u = 0; u < hp->nr_users; u++) {
		const uint32_t *has = w->has + u * w->pages;

		for (uint32_t i = 0; i < w->pages; i++) {
			w->users[i] += has[i] != 0;
			w->maps[i] += has[i];
		}
	}
	memcpy(total, w->maps, w->pages * sizeof(*total));
	if (w->kpagefd >= 0)
		ask_map_counts(w, total);

	for (size_t u = 0; u < hp->nr_users; u++) {
		const uint32_t *has = w->has + u * w->pages;
		struct hp_user *user = &hp->users[u];

		for (uint32_t i = 0; i < w->pages; i++) {
			uint64_t share;

			if (!has[i])
				continue;
			user->rss_pages++;
			user->rss_map_pages += has[i];
			share = (hp->page_bytes << 32) / total[i];
			user->pss += (unsigned __int128)share * has[i];
		}
	}
	for (uint32_t i = 0; i < w->pages; i++) {
		if (!w->users[i])
			continue;
		hp->unique_pages++;
		hp->shared_by[w->users[i]]++;
		hp->outside_pages += total[i] > w->maps[i];
		if (hp->want_runs)
			add_run(hp, w->first + i, w->users[i]);
		if (hp->nr_cells)
			add_cell(hp, w->first + i, w->users[i]);
	}
	if (hp->nr_guests)
		hp_count_guests(hp, w->has, w->first, w->pages);
}

/*
 * The first page from @page on that some user maps, so that the parts of a
 * sparse file that nobody maps cost nothing.  UINT64_MAX: none.
 */
static uint64_t next_mapped(const struct hp *hp, uint64_t page)
{
	uint64_t next = UINT64_MAX;

	for (size_t u = 0; u < hp->nr_users; u++) {
		const struct hp_maps *maps = &hp->users[u].maps;

		for (size_t i = 0; i < maps->nr; i++) {
			const struct hp_map *m = &maps->v[i];
			uint64_t first = m->offset / hp->page_bytes;
			uint64_t end = first + (m->end - m->start) /
					       hp->page_bytes;

			if (end <= page)
				continue;
			if (first < page)
				first = page;
			if (first < next)
				next = first;
		}
	}
	return next;
}

static uint64_t last_mapped(const struct hp *hp)
{
	uint64_t last = 0;

	for (size_t u = 0; u < hp->nr_users; u++) {
		const struct hp_maps *maps = &hp->users[u].maps;

		for (size_t i = 0; i < maps->nr; i++) {
			const struct hp_map *m = &maps->v[i];
			uint64_t end = (m->offset + (m->end - m->start)) /
				       hp->page_bytes;

			if (end > last)
				last = end;
		}
	}
	return last;
}

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void progress(const struct hp *hp, time_t *last, uint64_t page,
		     uint64_t end)
{
	if (now() - *last < PROGRESS_AFTER)
		return;
	*last = now();
	fprintf(stderr, "hostpages: counting: at %llu of %llu MiB of the image\n",
		(unsigned long long)(page * hp->page_bytes >> 20),
		(unsigned long long)(end * hp->page_bytes >> 20));
}

static void make_cells(struct hp *hp)
{
	uint64_t pages = (hp->img.bytes + hp->page_bytes - 1) / hp->page_bytes;

	if (!hp->want_cells || !pages)
		return;
	hp->cell_pages = 1;
	while (pages / hp->cell_pages > CELLS_MAX)
		hp->cell_pages *= 2;
	hp->nr_cells = (pages + hp->cell_pages - 1) / hp->cell_pages;
	hp->cells = hp_grow(hp->cells, hp->nr_cells, sizeof(*hp->cells));
	memset(hp->cells, 0, hp->nr_cells * sizeof(*hp->cells));
}

static void forget_figures(struct hp *hp)
{
	for (size_t i = 0; i < hp->nr_users; i++) {
		struct hp_user *u = &hp->users[i];

		u->rss_pages = 0;
		u->rss_map_pages = 0;
		u->pss = 0;
		u->private_pages = 0;
		u->private_swap_pages = 0;
	}
	hp->shared_by = hp_grow(hp->shared_by, hp->nr_users + 1,
				sizeof(*hp->shared_by));
	memset(hp->shared_by, 0, (hp->nr_users + 1) * sizeof(*hp->shared_by));
	hp->unique_pages = 0;
	hp->outside_pages = 0;
	hp->moved_pages = 0;
	hp->nr_runs = 0;
	make_cells(hp);
	hp_start_guests(hp);
}

/* What a window of so many pages takes: @has of each user, and the rest. */
static uint32_t window_pages(const struct hp *hp, uint64_t needed)
{
	uint32_t pages = WINDOW_PAGES_MAX;

	while (pages > WINDOW_PAGES_MIN &&
	       (uint64_t)pages * hp->nr_users * sizeof(uint32_t) > WINDOW_MEMORY)
		pages /= 2;
	return needed < pages ? needed : pages;
}

static void clear(struct window *w, size_t pages, size_t nr_users)
{
	memset(w->has, 0, pages * nr_users * sizeof(*w->has));
	memset(w->users, 0, pages * sizeof(*w->users));
	memset(w->maps, 0, pages * sizeof(*w->maps));
	memset(w->pfn, 0, pages * sizeof(*w->pfn));
	w->touched = false;
}

/**
 * hp_count() - count the pages of the image that the users have
 * @hp: the run; each user's figures and the common ones are set anew
 *
 * A user whose memory vanishes meanwhile looks as if it had no pages from
 * there on: hp_verify_users() must be asked afterwards.
 */
void hp_count(struct hp *hp)
{
	uint64_t end = last_mapped(hp), page;
	uint32_t max, *total;
	struct window w = { .kpagefd = -1 };
	time_t last = now();

	forget_figures(hp);
	if (!end)
		return;
	max = window_pages(hp, end);
	w.has = hp_grow(NULL, max * hp->nr_users, sizeof(*w.has));
	w.users = hp_grow(NULL, max, sizeof(*w.users));
	w.maps = hp_grow(NULL, max, sizeof(*w.maps));
	w.pfn = hp_grow(NULL, max, sizeof(*w.pfn));
	w.entries = hp_grow(NULL, CHUNK, sizeof(*w.entries));
	total = hp_grow(NULL, max, sizeof(*total));
	if (hp->method == HP_KPAGECOUNT) {
		w.kpagefd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
		if (w.kpagefd < 0)
			hp_die("/proc/kpagecount: %s", strerror(errno));
	}

	clear(&w, max, hp->nr_users);
	for (page = next_mapped(hp, 0); page < end;
	     page = next_mapped(hp, w.first + w.pages)) {
		w.first = page;
		w.pages = end - page < max ? end - page : max;
		for (size_t u = 0; u < hp->nr_users; u++) {
			struct hp_user *user = &hp->users[u];

			for (size_t i = 0; i < user->maps.nr; i++)
				count_map(hp, user, w.has + u * w.pages, &w,
					  &user->maps.v[i]);
		}
		if (w.touched || hp->nr_guests) {
			count_window(hp, &w, total);
			clear(&w, w.pages, hp->nr_users);
		}
		progress(hp, &last, page, end);
	}

	free(w.has);
	free(w.users);
	free(w.maps);
	free(w.pfn);
	free(w.entries);
	free(total);
	if (w.kpagefd >= 0)
		close(w.kpagefd);
}
