// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostpages: what the kernels inside say of the image - which parts their
 * programs have mapped, beside what the host sees of each
 *
 * A guest's own numbers are a text file, which qemu/guest/guestpages.c writes;
 * Documentation/accounting.md describes it.  It comes from the guest, so
 * nothing in it is believed to make sense.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hostpages.h"

#define COUNTERS_MAX	64
#define NAME_BYTES	64

static uint64_t image_pages(const struct hp *hp)
{
	return (hp->img.bytes + hp->page_bytes - 1) / hp->page_bytes;
}

static bool is_mapped(const struct hp_guest *g, uint64_t page)
{
	return g->mapped[page / 8] & 1 << page % 8;
}

/* Note the pages that "mapped OFFSET LENGTH" covers. Return: is it right? */
static bool take_mapped(const struct hp *hp, struct hp_guest *g, uint64_t offset,
			uint64_t length)
{
	uint64_t bytes = image_pages(hp) * hp->page_bytes;

	if (offset >= bytes || !length || length > bytes - offset)
		return false;
	for (uint64_t p = offset / hp->page_bytes;
	     p <= (offset + length - 1) / hp->page_bytes; p++) {
		g->mapped_pages += !is_mapped(g, p);
		g->mapped[p / 8] |= 1 << p % 8;
	}
	return true;
}

static bool take_counter(struct hp_guest *g, const char *name, uint64_t value)
{
	for (const char *s = name; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_')
			return false;
	if (g->nr_counters == COUNTERS_MAX)
		return false;
	g->counters = hp_grow(g->counters, g->nr_counters + 1,
			      sizeof(*g->counters));
	g->counters[g->nr_counters++] = (struct hp_counter){
		hp_format("%s", name), value };
	return true;
}

static bool take_line(const struct hp *hp, struct hp_guest *g, const char *line)
{
	uint64_t a, b;
	char name[NAME_BYTES];
	int end = 0;

	/* scanf takes these for a part of an unsigned number. */
	if (strpbrk(line, "+-"))
		return false;
	if (sscanf(line, "mapped %" SCNu64 " %" SCNu64 " %n", &a, &b, &end) == 2 &&
	    end && !line[end])
		return take_mapped(hp, g, a, b);
	if (sscanf(line, "counter %63s %" SCNu64 " %n", name, &a, &end) == 2 &&
	    end && !line[end])
		return take_counter(g, name, a);
	return false;
}

/**
 * hp_add_guest() - read what the kernel inside a user says of the image
 * @hp: the run; the image is known
 * @spec: "PID:FILE"
 *
 * Ends the program if that is not to be had, or no such file.
 */
void hp_add_guest(struct hp *hp, const char *spec)
{
	struct hp_guest g = { };
	char *line = NULL, *path;
	size_t size = 0, nr = 0;
	FILE *f;

	g.pid = strtol(spec, &path, 10);
	if (path == spec || *path != ':' || !path[1])
		hp_die("--guest=%s: write PID:FILE; see hostpages --help", spec);
	path++;
	if (hp->nr_guests == HP_GUESTS_MAX)
		hp_die("more than %d guests cannot be told apart", HP_GUESTS_MAX);
	for (size_t i = 0; i < hp->nr_guests; i++)
		if (hp->guests[i].pid == g.pid)
			hp_die("--guest=%s: process %d was given before", spec,
			       g.pid);
	f = fopen(path, "re");
	if (!f)
		hp_die("--guest=%s: %s", spec, strerror(errno));
	g.mapped = hp_grow(NULL, image_pages(hp) / 8 + 1, 1);
	memset(g.mapped, 0, image_pages(hp) / 8 + 1);
	errno = 0;
	while (getline(&line, &size, f) > 0) {
		nr++;
		if (!take_line(hp, &g, line))
			hp_die("%s:%zu: neither 'mapped OFFSET LENGTH' within the image nor 'counter NAME VALUE'",
			       path, nr);
	}
	if (ferror(f))
		hp_die("--guest=%s: %s", spec, strerror(errno));
	free(line);
	fclose(f);
	hp->guests = hp_grow(hp->guests, hp->nr_guests + 1, sizeof(g));
	hp->guests[hp->nr_guests++] = g;
}

/**
 * hp_start_guests() - before each count: who is which user, all figures at zero
 * @hp: the run
 *
 * A guest whose process is not counted (that was said, with the reason) is left
 * out; one whose process nobody has asked for ends the program.
 */
void hp_start_guests(struct hp *hp)
{
	size_t kept = 0;

	for (size_t i = 0; i < hp->nr_guests; i++) {
		struct hp_guest *g = &hp->guests[i];
		bool skipped = false;

		for (g->user = 0; g->user < hp->nr_users; g->user++)
			if (hp->users[g->user].pid == g->pid)
				break;
		for (size_t k = 0; k < hp->nr_skipped; k++)
			skipped |= hp->skipped[k].pid == g->pid;
		if (g->user == hp->nr_users && !skipped)
			hp_die("--guest: process %d is not one of those that are counted",
			       g->pid);
		if (g->user == hp->nr_users)
			continue;
		g->present_pages = 0;
		memset(g->cells, 0, sizeof(g->cells));
		hp->guests[kept++] = *g;
	}
	hp->nr_guests = kept;
	hp->nr_parts = 0;
	memset(hp->mapped_by, 0, sizeof(hp->mapped_by));
}

static void add_part(struct hp *hp, uint64_t page, uint64_t touched,
		     uint64_t mapped)
{
	struct hp_part *last = hp->nr_parts ? &hp->parts[hp->nr_parts - 1] : NULL;

	if (last && last->touched == touched && last->mapped == mapped &&
	    last->page + last->pages == page) {
		last->pages++;
		return;
	}
	/* Grow by doubling: whenever the number is a power of two. */
	if (!(hp->nr_parts & (hp->nr_parts - 1)))
		hp->parts = hp_grow(hp->parts,
				    hp->nr_parts ? 2 * hp->nr_parts : 1,
				    sizeof(*hp->parts));
	hp->parts[hp->nr_parts++] = (struct hp_part){ page, 1, touched, mapped };
}

/**
 * hp_count_guests() - join a window of the file with the guests' own numbers
 * @hp: the run
 * @has: table [user][page]: not 0 if the user has the page
 * @first: first page of the window
 * @pages: its length
 */
void hp_count_guests(struct hp *hp, const uint32_t *has, uint64_t first,
		     uint32_t pages)
{
	uint64_t all = image_pages(hp);

	for (uint32_t i = 0; i < pages && first + i < all; i++) {
		uint64_t page = first + i, touched = 0, mapped = 0;

		for (size_t k = 0; k < hp->nr_guests; k++) {
			struct hp_guest *g = &hp->guests[k];
			struct hp_guest_cell *cell =
				&g->cells[(unsigned __int128)page *
					  HP_GUEST_CELLS / all];

			cell->pages++;
			if (has[g->user * pages + i]) {
				touched |= 1ULL << k;
				cell->touched++;
			}
			if (is_mapped(g, page)) {
				mapped |= 1ULL << k;
				cell->mapped++;
			}
			g->present_pages += touched & mapped & 1ULL << k ? 1 : 0;
		}
		hp->mapped_by[__builtin_popcountll(mapped)]++;
		if (touched | mapped)
			add_part(hp, page, touched, mapped);
	}
}
