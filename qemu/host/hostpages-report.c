// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostpages: the figures, for people and for scripts
 *
 * The names in the JSON are documented in Documentation/accounting.md and are
 * not changed.
 */
#include <inttypes.h>
#include <string.h>

#include "hostpages.h"

#define CELLS_PER_ROW	64
#define BAR_WIDTH	32

/* Figures of all users together. */
struct totals {
	uint64_t mapped, rss, private_copy, private_swap, pss;
};

static uint64_t pss_bytes(unsigned __int128 pss)
{
	return (uint64_t)((pss + (1U << 31)) >> 32);
}

static struct totals totals_of(const struct hp *hp)
{
	unsigned __int128 pss = 0;
	struct totals t = { };

	for (size_t i = 0; i < hp->nr_users; i++) {
		const struct hp_user *u = &hp->users[i];

		t.mapped += u->mapped_bytes;
		t.rss += u->rss_pages * hp->page_bytes;
		t.private_copy += u->private_pages * hp->page_bytes;
		t.private_swap += u->private_swap_pages * hp->page_bytes;
		pss += u->pss;
	}
	t.pss = pss_bytes(pss);
	return t;
}

/* In the page cache, but in no user's page tables. */
static uint64_t cache_unmapped(const struct hp *hp)
{
	uint64_t mapped = hp->unique_pages * hp->page_bytes;

	return hp->cache_bytes > mapped ? hp->cache_bytes - mapped : 0;
}

static const char *method_name(const struct hp *hp)
{
	return hp->method == HP_KPAGECOUNT ? "kpagecount" : "pagemap";
}

/* Length of the UTF-8 character at @s; 0 if it is none. */
static int utf8_len(const unsigned char *s)
{
	int n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
		(s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	for (int i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than need be, surrogates, and beyond Unicode. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* Names are any bytes; JSON is UTF-8. */
static void json_string(FILE *out, const char *str)
{
	const unsigned char *s = (const unsigned char *)str;

	fputc('"', out);
	while (*s) {
		int n = utf8_len(s);

		if (!n)
			fputs("\\ufffd", out);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\u%04x", *s);
		else if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else
			fwrite(s, 1, n, out);
		s += n ? n : 1;
	}
	fputc('"', out);
}

static const char *comma(size_t i)
{
	return i ? ",\n    " : "\n    ";
}

static void json_known(FILE *out, const char *name, bool known, uint64_t value)
{
	if (known)
		fprintf(out, "  \"%s\": %" PRIu64 ",\n", name, value);
	else
		fprintf(out, "  \"%s\": null,\n", name);
}

static void json_users(const struct hp *hp, FILE *out)
{
	fputs("  \"users\": [", out);
	for (size_t i = 0; i < hp->nr_users; i++) {
		const struct hp_user *u = &hp->users[i];

		fprintf(out, "%s{\"pid\": %d, \"comm\": ", comma(i), u->pid);
		json_string(out, u->comm);
		fprintf(out, ", \"mapped_bytes\": %" PRIu64
			", \"rss_bytes\": %" PRIu64 ", \"pss_bytes\": %" PRIu64
			", \"private_copy_bytes\": %" PRIu64
			", \"private_swap_bytes\": %" PRIu64
			", \"smaps_rss_bytes\": %" PRIu64
			", \"smaps_pss_bytes\": %" PRIu64 "}",
			u->mapped_bytes, u->rss_pages * hp->page_bytes,
			pss_bytes(u->pss), u->private_pages * hp->page_bytes,
			u->private_swap_pages * hp->page_bytes, u->smaps_rss,
			u->smaps_pss);
	}
	fputs("],\n", out);
}

/* The processes of the guests whose bits are set. */
static void json_set(const struct hp *hp, FILE *out, uint64_t guests)
{
	const char *between = "";

	fputc('[', out);
	for (size_t k = 0; k < hp->nr_guests; k++) {
		if (!(guests & 1ULL << k))
			continue;
		fprintf(out, "%s%d", between, hp->guests[k].pid);
		between = ", ";
	}
	fputc(']', out);
}

static void json_guests(const struct hp *hp, FILE *out)
{
	fputs("  \"guests\": [", out);
	for (size_t i = 0; i < hp->nr_guests; i++) {
		const struct hp_guest *g = &hp->guests[i];

		fprintf(out, "%s{\"pid\": %d, \"touched_bytes\": %" PRIu64
			", \"mapped_bytes\": %" PRIu64
			", \"mapped_absent_bytes\": %" PRIu64 ", \"counters\": {",
			comma(i), g->pid,
			hp->users[g->user].rss_pages * hp->page_bytes,
			g->mapped_pages * hp->page_bytes,
			(g->mapped_pages - g->present_pages) * hp->page_bytes);
		for (size_t k = 0; k < g->nr_counters; k++)
			fprintf(out, "%s\"%s\": %" PRIu64, k ? ", " : "",
				g->counters[k].name, g->counters[k].value);
		fputs("}}", out);
	}
	fputs("],\n  \"mapped_by\": [", out);
	for (size_t k = 1; k <= hp->nr_guests; k++)
		fprintf(out, "%s{\"guests\": %zu, \"bytes\": %" PRIu64 "}",
			comma(k - 1), k, hp->mapped_by[k] * hp->page_bytes);
	fputs("],\n  \"parts\": [", out);
	for (size_t i = 0; i < hp->nr_parts; i++) {
		const struct hp_part *p = &hp->parts[i];

		fprintf(out, "%s{\"start\": %" PRIu64 ", \"length\": %" PRIu64
			", \"touched_by\": ", comma(i),
			p->page * hp->page_bytes, p->pages * hp->page_bytes);
		json_set(hp, out, p->touched);
		fputs(", \"mapped_by\": ", out);
		json_set(hp, out, p->mapped);
		fputc('}', out);
	}
	fputs("],\n", out);
}

/**
 * hp_report_json() - write the report as one JSON object
 * @hp: the run, counted
 * @out: where to; the caller looks for errors
 */
void hp_report_json(const struct hp *hp, FILE *out)
{
	struct totals t = totals_of(hp);
	uint64_t unique = hp->unique_pages * hp->page_bytes;

	fputs("{\n  \"image\": ", out);
	json_string(out, hp->img.path);
	fprintf(out, ",\n  \"image_bytes\": %" PRIu64
		",\n  \"page_bytes\": %" PRIu64 ",\n  \"method\": \"%s\",\n",
		hp->img.bytes, hp->page_bytes, method_name(hp));
	json_users(hp, out);

	fputs("  \"shared_by\": [", out);
	for (size_t k = 1; k <= hp->nr_users; k++)
		fprintf(out, "%s{\"users\": %zu, \"bytes\": %" PRIu64 "}",
			comma(k - 1), k, hp->shared_by[k] * hp->page_bytes);
	fprintf(out, "],\n  \"mapped_bytes\": %" PRIu64
		",\n  \"pss_bytes\": %" PRIu64
		",\n  \"private_copy_bytes\": %" PRIu64
		",\n  \"private_swap_bytes\": %" PRIu64
		",\n  \"unique_bytes\": %" PRIu64
		",\n  \"private_copies_bytes\": %" PRIu64
		",\n  \"saved_bytes\": %" PRIu64 ",\n",
		t.mapped, t.pss, t.private_copy, t.private_swap, unique, t.rss,
		t.rss - unique);
	json_known(out, "page_cache_bytes", hp->cache_known, hp->cache_bytes);
	json_known(out, "page_cache_unmapped_bytes", hp->cache_known,
		   cache_unmapped(hp));
	json_known(out, "outside_users_bytes", hp->method == HP_KPAGECOUNT,
		   hp->outside_pages * hp->page_bytes);

	fputs("  \"skipped\": [", out);
	for (size_t i = 0; i < hp->nr_skipped; i++) {
		fprintf(out, "%s{\"pid\": %d, \"reason\": ", comma(i),
			hp->skipped[i].pid);
		json_string(out, hp->skipped[i].reason);
		fputc('}', out);
	}
	fputs("],\n  \"notes\": [", out);
	for (size_t i = 0; i < hp->nr_notes; i++) {
		fputs(comma(i), out);
		json_string(out, hp->notes[i]);
	}
	fputs("],\n", out);
	if (hp->nr_guests)
		json_guests(hp, out);
	fputs("  \"map\": [", out);
	for (size_t i = 0; i < hp->nr_runs; i++)
		fprintf(out, "%s{\"start\": %" PRIu64 ", \"length\": %" PRIu64
			", \"users\": %" PRIu32 "}", comma(i),
			hp->runs[i].page * hp->page_bytes,
			hp->runs[i].pages * hp->page_bytes, hp->runs[i].users);
	fputs("]\n}\n", out);
}

/* A size that a person can read, right-aligned in @width columns; 0: as short as it is. */
static void put_size_in(FILE *out, uint64_t bytes, int width)
{
	static const char units[] = "KMGTPE";
	double v = bytes / 1024.0;
	int u = 0;

	width = width > 4 ? width - 4 : 0;
	if (bytes < 1024) {
		fprintf(out, "%*" PRIu64 " B", width ? width + 2 : 0, bytes);
		return;
	}
	while (v >= 1023.95 && units[u + 1]) {
		v /= 1024;
		u++;
	}
	fprintf(out, "%*.1f %ciB", width, v, units[u]);
}

/* The same in a column of a table. */
static void put_size(FILE *out, uint64_t bytes)
{
	put_size_in(out, bytes, 11);
}

/* Names are chosen by others: nothing in them may command the terminal. */
static void put_name(FILE *out, const char *s, int width)
{
	int n = 0;

	for (; *s; s++, n++)
		fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, out);
	fprintf(out, "%*s", n < width ? width - n : 0, "");
}

static void put_line(FILE *out, const char *what, uint64_t bytes,
		     const char *remark)
{
	fprintf(out, "  %-44s", what);
	put_size(out, bytes);
	fprintf(out, "%s%s\n", *remark ? "  " : "", remark);
}

static void text_row(FILE *out, uint64_t mapped, uint64_t rss, uint64_t pss,
		     uint64_t copies)
{
	put_size(out, mapped);
	fputc(' ', out);
	put_size(out, rss);
	fputc(' ', out);
	put_size(out, pss);
	fputs("  ", out);
	put_size(out, copies);
	fputc('\n', out);
}

static void text_users(const struct hp *hp, const struct totals *t, FILE *out)
{
	fputs("\n     PID  NAME                  MAPPED    RESIDENT       SHARE  PRIVATE COPY\n",
	      out);
	for (size_t i = 0; i < hp->nr_users; i++) {
		const struct hp_user *u = &hp->users[i];

		fprintf(out, "%8d  ", u->pid);
		put_name(out, u->comm, 16);
		text_row(out, u->mapped_bytes, u->rss_pages * hp->page_bytes,
			 pss_bytes(u->pss), u->private_pages * hp->page_bytes);
	}
	fprintf(out, "%8s  %-16s", "all", "");
	text_row(out, t->mapped, t->rss, t->pss, t->private_copy);
}

/* A histogram: index k of @by: pages that exactly k of @nr have. */
static void text_by(const struct hp *hp, const uint64_t *by, size_t nr,
		    FILE *out)
{
	uint64_t most = 1;

	for (size_t k = 1; k <= nr; k++)
		if (by[k] > most)
			most = by[k];
	for (size_t k = nr; k; k--) {
		int bar = (by[k] * BAR_WIDTH + most - 1) / most;

		/* Many users: only what there is. */
		if (!by[k] && nr > 16)
			continue;
		fprintf(out, "  %4zu of %-4zu ", k, nr);
		put_size(out, by[k] * hp->page_bytes);
		fprintf(out, "%s%.*s\n", bar ? "  " : "", bar,
			"################################");
	}
}

static void put_percent(FILE *out, uint64_t part, uint64_t whole)
{
	fprintf(out, " %4.0f %%", whole ? 100.0 * part / whole : 0.0);
}

static void text_guest_cells(const struct hp_guest *g, FILE *out)
{
	for (size_t i = 0; i < HP_GUEST_CELLS; i++) {
		const struct hp_guest_cell *c = &g->cells[i];

		/* Images of less pages than characters. */
		if (!c->pages)
			continue;
		fputc(2 * c->mapped >= c->pages ? '#' : c->mapped ? '+' :
		      c->touched ? '-' : '.', out);
	}
}

static void text_guests(const struct hp *hp, FILE *out)
{
	fputs("\nWhat each guest has of the image\n"
	      "     PID             TOUCHED         MAPPED NOW\n", out);
	for (size_t i = 0; i < hp->nr_guests; i++) {
		const struct hp_guest *g = &hp->guests[i];
		uint64_t touched = hp->users[g->user].rss_pages * hp->page_bytes;
		uint64_t mapped = g->mapped_pages * hp->page_bytes;

		fprintf(out, "%8d ", g->pid);
		put_size(out, touched);
		put_percent(out, touched, hp->img.bytes);
		put_size(out, mapped);
		put_percent(out, mapped, hp->img.bytes);
		fputc('\n', out);
	}
	fputs("  #  at least half mapped by programs of the guest   +  some of it\n"
	      "  -  touched, so in the host's page tables           .  not even that\n",
	      out);
	for (size_t i = 0; i < hp->nr_guests; i++) {
		fprintf(out, "%8d |", hp->guests[i].pid);
		text_guest_cells(&hp->guests[i], out);
		fputs("|\n", out);
	}
	fputs("\nImage pages by the number of guests whose programs have them mapped\n",
	      out);
	text_by(hp, hp->mapped_by, hp->nr_guests, out);
	for (size_t i = 0; i < hp->nr_guests; i++) {
		const struct hp_guest *g = &hp->guests[i];

		if (g->nr_counters)
			fprintf(out, "\nThe kernel of guest %d counts\n", g->pid);
		for (size_t k = 0; k < g->nr_counters; k++)
			fprintf(out, "  %-44s%15" PRIu64 "\n",
				g->counters[k].name, g->counters[k].value);
	}
}

static void text_sums(const struct hp *hp, const struct totals *t, FILE *out)
{
	uint64_t unique = hp->unique_pages * hp->page_bytes;

	fputc('\n', out);
	put_line(out, "in memory, each page once", unique, "");
	put_line(out, "the same as a private copy for each user", t->rss, "");
	put_line(out, "saved by sharing", t->rss - unique, "");
	if (t->private_swap)
		put_line(out, "private copies in swap", t->private_swap, "");
	if (hp->method == HP_KPAGECOUNT)
		put_line(out, "of it mapped by other processes too",
			 hp->outside_pages * hp->page_bytes,
			 hp->outside_pages ? "--all finds them" : "");
	if (hp->cache_known) {
		put_line(out, "image in the page cache", hp->cache_bytes, "");
		put_line(out, "of that mapped by none of the users",
			 cache_unmapped(hp), "");
	} else {
		fputs("  image in the page cache: the kernel does not tell us (not our file)\n",
		      out);
	}
}

/* 1 to 9, then a to z, then more than we have signs for. */
static char cell_sign(uint32_t users)
{
	return users < 10 ? '0' + users : users < 36 ? 'a' + users - 10 : '+';
}

static void text_map_row(const struct hp *hp, size_t first, size_t n, FILE *out)
{
	uint64_t cell_bytes = hp->cell_pages * hp->page_bytes;
	uint64_t pages = 0;

	put_size(out, first * cell_bytes);
	fputs(" |", out);
	for (size_t i = first; i < first + n; i++) {
		uint64_t cached = 0;
		char sign = '.';

		if (hp->cells[i].users)
			sign = cell_sign(hp->cells[i].users);
		else if (hp_image_cached(hp, i * cell_bytes, cell_bytes,
					 &cached) == 0 && cached)
			sign = '-';
		pages += hp->cells[i].pages;
		fputc(sign, out);
	}
	fprintf(out, "|%*s%4.0f %%\n", (int)(CELLS_PER_ROW - n), "",
		100.0 * pages / (n * hp->cell_pages));
}

static void text_map(const struct hp *hp, FILE *out)
{
	fputs("\nMap of the image: a character is ", out);
	put_size_in(out, hp->cell_pages * hp->page_bytes, 0);
	fputs("\n  1-9 a-z +  users that have the page of it that most have (a: 10, z: 35)\n"
	      "  -          in the page cache only      .  not in memory\n"
	      "  %          of the row's pages that some user has\n", out);
	for (size_t i = 0; i < hp->nr_cells; i += CELLS_PER_ROW) {
		size_t n = hp->nr_cells - i < CELLS_PER_ROW ?
			   hp->nr_cells - i : CELLS_PER_ROW;

		text_map_row(hp, i, n, out);
	}
}

/**
 * hp_report_text() - write the report for a person
 * @hp: the run, counted
 * @out: where to; the caller looks for errors
 *
 * Skipped processes and notes have been on stderr before.
 */
void hp_report_text(const struct hp *hp, FILE *out)
{
	struct totals t = totals_of(hp);

	fputs("image   ", out);
	put_name(out, hp->img.path, 0);
	fputs(", ", out);
	put_size_in(out, hp->img.bytes, 0);
	fprintf(out, "\nmethod  %s (%s)\n", method_name(hp),
		hp->method == HP_KPAGECOUNT ?
		"page frames and the kernel's map counts" :
		"file offsets; other processes than these are not seen");
	if (!hp->nr_users) {
		fputs("\nNo process was counted.\n", out);
	} else {
		text_users(hp, &t, out);
		fputs("\nImage pages by the number of users that have them\n", out);
		text_by(hp, hp->shared_by, hp->nr_users, out);
	}
	text_sums(hp, &t, out);
	if (hp->nr_cells)
		text_map(hp, out);
	if (hp->nr_guests)
		text_guests(hp, out);
	if (hp->nr_skipped)
		fprintf(out, "\n%zu processes were not counted; stderr says why.\n",
			hp->nr_skipped);
}
