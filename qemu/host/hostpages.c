// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostpages - how much of an image file its users hold in memory, and how
 * much of that they share
 *
 * Options, the order of work, and the exit status (enum hp_exit).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hostpages.h"

/* A user that maps and unmaps all the time must not keep us for ever. */
#define COUNTS_MAX 3

static const char usage[] =
"usage: hostpages [--json] [--map] [--all] [--method=METHOD] [--guest=PID:FILE]...\n"
"                 IMAGE [PID...]\n"
"\n"
"Says how much of the file IMAGE the processes PID... have in memory through\n"
"their mappings of it, and how much of that they share.\n"
"\n"
"  --all            every process that maps IMAGE (as root: of the whole system)\n"
"  --map            also draw which parts of the file how many users have\n"
"  --json           as JSON, with the map as runs\n"
"  --guest=PID:FILE process PID is a virtual machine, FILE is what guestpages\n"
"                   printed in it: adds a table of which guest has touched and\n"
"                   which has mapped what; may be given for each process\n"
"  --method=METHOD  kpagecount: page frames and the kernel's map counts; sees\n"
"                               processes outside the list too; needs root\n"
"                   pagemap:    file offsets alone; exact among the users given\n"
"                   auto:       kpagecount if it can be had (the default)\n"
"  --help           this text\n"
"\n"
"A deleted image is given by the name it had, or as /proc/PID/fd/N or\n"
"/proc/PID/map_files/START-END.\n"
"\n"
"Exit status: 0 all users counted; 1 some were skipped, the report says which;\n"
"2 nothing to report: wrong use or no such image.\n"
"Documentation/accounting.md says what each figure means.\n";

void *hp_grow(void *p, size_t nr, size_t size)
{
	p = reallocarray(p, nr ? nr : 1, size);
	if (!p)
		hp_die("no memory for %zu times %zu bytes", nr, size);
	return p;
}

static char *vformat(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		hp_die("no memory for a message");
	return s;
}

char *hp_format(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = vformat(fmt, ap);
	va_end(ap);
	return s;
}

void hp_die(const char *fmt, ...)
{
	va_list ap;

	fputs("hostpages: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(HP_EXIT_NOTHING);
}

void hp_note(struct hp *hp, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = vformat(fmt, ap);
	va_end(ap);
	fprintf(stderr, "hostpages: %s\n", s);
	hp->notes = hp_grow(hp->notes, hp->nr_notes + 1, sizeof(*hp->notes));
	hp->notes[hp->nr_notes++] = s;
}

void hp_skip(struct hp *hp, pid_t pid, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = vformat(fmt, ap);
	va_end(ap);
	fprintf(stderr, "hostpages: process %d is not counted: %s\n", pid, s);
	hp->skipped = hp_grow(hp->skipped, hp->nr_skipped + 1,
			      sizeof(*hp->skipped));
	hp->skipped[hp->nr_skipped++] = (struct hp_skip){ pid, s };
}

static void misuse(const char *what, const char *arg)
{
	hp_die("%s%s; see hostpages --help", what, arg);
}

static pid_t parse_pid(const char *s)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(s, &end, 10);
	if (errno || end == s || *end || n < 1 || n > INT_MAX)
		misuse("not a process id: ", s);
	return n;
}

static enum hp_method parse_method(const char *s)
{
	if (!strcmp(s, "auto"))
		return HP_AUTO;
	if (!strcmp(s, "kpagecount"))
		return HP_KPAGECOUNT;
	if (!strcmp(s, "pagemap"))
		return HP_PAGEMAP;
	misuse("no such method: ", s);
	return HP_AUTO;
}

/* Each user costs two descriptors. */
static void allow_many_files(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

static void count_until_still(struct hp *hp)
{
	int counts = 0;
	bool gone;

	do {
		hp_count(hp);
		gone = hp_verify_users(hp);
		/* Those who left are dropped, so this comes to an end. */
	} while (gone || (hp->nr_maps_changed && ++counts < COUNTS_MAX));

	if (hp->nr_maps_changed)
		hp_note(hp, "%zu users kept changing their mappings of the image: figures are of no single moment",
			hp->nr_maps_changed);
}

static void cross_check(struct hp *hp)
{
	for (size_t i = 0; i < hp->nr_users; i++) {
		const struct hp_user *u = &hp->users[i];
		uint64_t ours = (u->rss_map_pages + u->private_pages) *
				hp->page_bytes;

		if (ours != u->smaps_rss)
			hp_note(hp, "process %d: smaps says %llu bytes resident, its page tables said %llu: pages came or went while they were counted",
				u->pid, (unsigned long long)u->smaps_rss,
				(unsigned long long)ours);
	}
	if (hp->moved_pages)
		hp_note(hp, "%llu pages changed place while they were counted",
			(unsigned long long)hp->moved_pages);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "guest", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "map", no_argument, NULL, 'm' },
		{ "method", required_argument, NULL, 'M' },
		{ }
	};
	bool all = false, json = false, map = false;
	enum hp_method wanted = HP_AUTO;
	struct hp hp = { };
	const char **guests;
	size_t nr_guests = 0;
	pid_t *pids;
	int opt, nr;

	guests = hp_grow(NULL, argc, sizeof(*guests));

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'a':
			all = true;
			break;
		case 'g':
			guests[nr_guests++] = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return HP_EXIT_OK;
		case 'j':
			json = true;
			break;
		case 'm':
			map = true;
			break;
		case 'M':
			wanted = parse_method(optarg);
			break;
		default:
			fputs("see hostpages --help\n", stderr);
			return HP_EXIT_NOTHING;
		}
	}
	if (optind == argc)
		misuse("no image given", "");
	if (optind + 1 == argc && !all)
		misuse("no process given: name some, or use --all", "");

	nr = argc - optind - 1;
	pids = hp_grow(NULL, nr, sizeof(*pids));
	for (int i = 0; i < nr; i++)
		pids[i] = parse_pid(argv[optind + 1 + i]);

	allow_many_files();
	hp.page_bytes = sysconf(_SC_PAGESIZE);
	hp.want_runs = json;
	hp.want_cells = map && !json;
	hp.method = hp_best_method(wanted);
	hp_image_open(&hp, argv[optind], pids, nr, all);

	for (size_t i = 0; i < nr_guests; i++)
		hp_add_guest(&hp, guests[i]);

	for (int i = 0; i < nr; i++)
		hp_add_user(&hp, pids[i]);
	if (all)
		hp_add_all(&hp);

	count_until_still(&hp);
	cross_check(&hp);
	hp.cache_known = hp_image_cached(&hp, 0, 0, &hp.cache_bytes) == 0;

	if (json)
		hp_report_json(&hp, stdout);
	else
		hp_report_text(&hp, stdout);
	if (fflush(stdout) || ferror(stdout))
		hp_die("cannot write the report: %s", strerror(errno));
	return hp.nr_skipped ? HP_EXIT_SKIPPED : HP_EXIT_OK;
}
