// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: images with wrong metadata do no harm, and read the same from memory as from a block device
 * config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_RAMDAX X86_PMEM_LEGACY FS_DAX DEVMEM
 * image: set mutants
 * device: blk:set
 * append: memmap=4M!128M memmap=4M$136M ramdax=mutant:4M@136M
 * cpus: 2
 * timeout: 90
 *
 * Each mutation changes some metadata of an image, by its number alone, so that
 * it can be had again.  The image is then mounted and walked on three backends:
 * a block device (/dev/pmem0, by its page cache), the same with DAX, and a DAX
 * device.  What each call gives, data or errno, must be the same on all of them
 * (but for what differs_by_folio() says).
 *
 * Then bytes change while images are walked in memory, as another kernel with the
 * same memory could do it.
 *
 * MUTATIONS=FIRST-LAST in the environment runs others than the first ones; "make
 * mutations" runs 2,000.  Several guests of a run share them.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ktap.h"

#define PAGE		4096
#define DEVICE_BYTES	(4 << 20)
#define DAX_ADDRESS	(136 << 20)
#define SUPER		1024
#define SUPER_BYTES	(PAGE - SUPER)
/* on-disk format, Documentation/filesystems/erofs.rst */
#define SB_CHECKSUM	4
#define SB_META_BLKADDR	40
#define SB_XATTR_BLKADDR 44
#define SLOT		32
/* a mutation that takes longer hangs */
#define LIMIT_SECONDS	60
/* of walks while bytes change, for each image */
#define ROUNDS		2
/* of a walk: what a bad image can make endless ends here */
#define MAX_ENTRIES	400
#define MAX_DEPTH	8
#define MAX_READ	(96 << 10)

struct backend {
	const char *name, *device, *options;
	char *log;		/* what each call gave, a line each */
	size_t length;
};

#define LOG_BYTES	(4 << 20)
static struct backend backends[3] = {
	{ .name = "block device", .device = "/dev/pmem0", .options = "dax=never" },
	{ .name = "block device with DAX", .device = "/dev/pmem0", .options = "dax=always" },
	{ .name = "DAX device", .options = "" },
};
static struct backend *now;	/* the backend that is being walked */
static int entries;

static const char *const names[] = { "plain", "chunk", "lz4", "deflate" };
#define IMAGES		(sizeof(names) / sizeof(*names))
/* what "make check" has time for */
#define DEFAULT_LAST	23

static unsigned char image[IMAGES][DEVICE_BYTES];
static size_t image_bytes[IMAGES];

/* Stretches of an image that hold metadata. */
struct range { unsigned int start, end; };
static struct range ranges[IMAGES][4096];
static int nr_ranges[IMAGES];

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static uint32_t crc32c(const unsigned char *p, size_t n)
{
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

__attribute__((format(printf, 1, 2)))
static void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (now->length < LOG_BYTES - 8192)
		now->length += vsnprintf(now->log + now->length, 8192, fmt, ap);
	now->log[now->length] = '\0';
	va_end(ap);
}

static uint64_t hash(const void *data, size_t n, uint64_t h)
{
	uint64_t word;

	for (; n >= 8; n -= 8, data = (const char *)data + 8) {
		memcpy(&word, data, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15;
		h ^= h >> 29;
	}
	word = 0;
	memcpy(&word, data, n);
	return (h ^ word) * 0x9e3779b97f4a7c15;
}

static sigjmp_buf bus;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(bus, 1);
}

/*
 * Does a part of a file lie behind the end of the device?  A block device gives
 * zeroes for that where one read goes across the end, and an error elsewhere;
 * memory gives an error for each page.
 */
static bool is_outside(int fd)
{
	struct { struct fiemap map; struct fiemap_extent extent[64]; } f = {
		.map = { .fm_length = ~0ULL, .fm_extent_count = 64 },
	};

	if (ioctl(fd, FS_IOC_FIEMAP, &f))
		return true;
	for (unsigned int i = 0; i < f.map.fm_mapped_extents; i++)
		if (f.extent[i].fe_physical + f.extent[i].fe_length > DEVICE_BYTES ||
		    f.extent[i].fe_length > DEVICE_BYTES)
			return true;
	return f.map.fm_mapped_extents == 64;
}

static void read_file(const char *path, const struct stat *st)
{
	static char buf[MAX_READ];
	const off_t size = st->st_size;
	const off_t places[] = { 0, (size - 1) & -PAGE };
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	volatile char *p;
	bool outside;

	if (fd < 0) {
		note("%s open %d\n", path, errno);
		return;
	}
	outside = is_outside(fd);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places) && (!i || places[i]); i++) {
		ssize_t n = pread(fd, buf, sizeof(buf), places[i]);

		/* the page cache makes EIO of all errors */
		if (!outside)
			note("%s read %zu %ld %llx\n", path, i, (long)n,
			     n > 0 ? (unsigned long long)hash(buf, n, 1) : 0);
	}
	note("%s data %lld hole %lld\n", path, (long long)lseek(fd, 0, SEEK_DATA), (long long)lseek(fd, 0, SEEK_HOLE));
	for (size_t i = 0; size > 0 && i < sizeof(places) / sizeof(*places) && (!i || places[i]); i++) {
		p = mmap(NULL, PAGE, PROT_READ, i & 1 ? MAP_PRIVATE : MAP_SHARED, fd, places[i]);
		if (p == MAP_FAILED) {
			note("%s mmap %zu %d\n", path, i, errno);
		} else {
			unsigned long long sum = 0;
			bool lost = sigsetjmp(bus, 1);

			if (!lost)
				sum = hash((void *)p, PAGE, 1);
			if (!outside && lost)
				note("%s map %zu SIGBUS\n", path, i);
			else if (!outside)
				note("%s map %zu %llx\n", path, i, sum);
			munmap((void *)p, PAGE);
		}
	}
	close(fd);
}

static void read_xattrs(const char *path)
{
	static char list[65536], value[65536];
	ssize_t n = llistxattr(path, list, sizeof(list)), v;

	note("%s xattrs %ld %llx\n", path, n < 0 ? (long)-errno : n, n > 0 ? (unsigned long long)hash(list, n, 1) : 0);
	for (char *name = list; n > 0 && name < list + n; name += strlen(name) + 1) {
		v = lgetxattr(path, name, value, sizeof(value));
		note("%s xattr %s %ld %llx\n", path, name, v < 0 ? (long)-errno : v,
		     v > 0 ? (unsigned long long)hash(value, v, 1) : 0);
	}
	v = lgetxattr(path, "user.none", value, sizeof(value));
	note("%s xattr none %ld\n", path, v < 0 ? (long)-errno : v);
}

static void walk(const char *path, int depth)
{
	char child[8192], target[PAGE];
	struct dirent *de;
	struct stat st;
	ssize_t n;
	DIR *dir;

	if (++entries > MAX_ENTRIES)
		return;
	if (lstat(path, &st)) {
		note("%s stat %d\n", path, errno);
		return;
	}
	note("%s %llu %o %lu %u %u %llx %lld %lld %lld\n", path, (unsigned long long)st.st_ino, st.st_mode,
	     (unsigned long)st.st_nlink, st.st_uid, st.st_gid, (unsigned long long)st.st_rdev,
	     (long long)st.st_size, (long long)st.st_mtime, (long long)st.st_blocks);
	read_xattrs(path);
	if (S_ISREG(st.st_mode)) {
		read_file(path, &st);
	} else if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof(target));
		note("%s link %ld %llx\n", path, n < 0 ? (long)-errno : n,
		     n > 0 ? (unsigned long long)hash(target, n, 1) : 0);
	} else if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH) {
		snprintf(child, sizeof(child), "%s/none", path);
		note("%s %d\n", child, access(child, F_OK) ? errno : 0);
		dir = opendir(path);
		if (!dir) {
			note("%s opendir %d\n", path, errno);
			return;
		}
		while (errno = 0, (de = readdir(dir))) {
			note("%s/%s %llu %d\n", path, de->d_name, (unsigned long long)de->d_ino, de->d_type);
			if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
				continue;
			if ((size_t)snprintf(child, sizeof(child), "%s/%s", path, de->d_name) < PAGE)
				walk(child, depth + 1);
			if (entries > MAX_ENTRIES)
				break;
		}
		note("%s readdir %d\n", path, errno);
		closedir(dir);
	}
}

static void try_backend(struct backend *b)
{
	now = b;
	b->length = 0;
	entries = 0;
	if (mount(b->device, "/mnt", "erofs", MS_RDONLY, b->options)) {
		note("mount %d\n", errno);
		return;
	}
	walk("/mnt", 0);
	if (umount("/mnt"))
		note("umount %d\n", errno);
}

static void add_range(size_t i, unsigned int start, unsigned int end)
{
	if (end > image_bytes[i])
		end = image_bytes[i];
	if (start < end && nr_ranges[i] < 4096)
		ranges[i][nr_ranges[i]++] = (struct range) { start, end };
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Inodes below @path, and blocks of directories. */
static void find_metadata(size_t i, const char *path, unsigned int meta)
{
	struct { struct fiemap map; struct fiemap_extent extent[8]; } f = {
		.map = { .fm_length = ~0ULL, .fm_extent_count = 8 },
	};
	char child[PAGE];
	struct dirent *de;
	struct stat st;
	DIR *dir;
	int fd;

	if (lstat(path, &st))
		err(1, "%s", path);
	add_range(i, meta + st.st_ino * SLOT, meta + st.st_ino * SLOT + 64);
	if (!S_ISDIR(st.st_mode))
		return;
	fd = open(path, O_RDONLY);
	if (!ioctl(fd, FS_IOC_FIEMAP, &f))
		for (unsigned int k = 0; k < f.map.fm_mapped_extents; k++)
			add_range(i, f.extent[k].fe_physical, f.extent[k].fe_physical + f.extent[k].fe_length);
	close(fd);
	dir = opendir(path);
	while ((de = readdir(dir)))
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, "..")) {
			snprintf(child, sizeof(child), "%s/%s", path, de->d_name);
			find_metadata(i, child, meta);
		}
	closedir(dir);
}

/* The inodes' xattrs, indexes and tails are between them. */
static void widen_ranges(size_t i)
{
	qsort(ranges[i], nr_ranges[i], sizeof(struct range), by_start);
	for (int k = 0; k + 1 < nr_ranges[i]; k++)
		if (ranges[i][k].end < ranges[i][k + 1].start && ranges[i][k + 1].start - ranges[i][k].end < 1024)
			ranges[i][k].end = ranges[i][k + 1].start;
}

/* A place in metadata of image @i. */
static unsigned int place(size_t i)
{
	/* the superblock comes first */
	const struct range *r = &ranges[i][draw(12) ? draw(nr_ranges[i]) : 0];

	/* the heads of inodes are what most depends on */
	return r->start + draw(draw(2) || r->end - r->start < 64 ? r->end - r->start : 64);
}

/* Apply mutation @number to @to, a copy of image @i. */
static void mutate(unsigned char *to, size_t i, unsigned long number)
{
	static const uint64_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 4095, 4096, 4097, 0x7fffffff,
		0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ULL };
	const size_t size = image_bytes[i];
	uint32_t sum;

	state = 0x9e3779b97f4a7c15 * (number + 1);
	for (int k = 0; k < 8; k++)
		draw(1);
	for (int n = 1 + draw(3); n; n--) {
		unsigned int at = place(i), from = place(i), width = 1 << draw(4);
		uint64_t value = edges[draw(sizeof(edges) / sizeof(*edges))];

		switch (draw(5)) {
		case 0:
			to[at] ^= 1 << draw(8);
			break;
		case 1:
			to[at] = draw(256);
			break;
		case 2:		/* a field of an edge value */
			at &= -width;
			memcpy(to + at, &value, at + width <= size ? width : 1);
			break;
		case 3:		/* a field that is off by a little */
			at &= -2;
			to[at] += 1 + draw(3);
			break;
		case 4:		/* something of the right kind at the wrong place */
			at &= -SLOT;
			from &= -SLOT;
			if (at + SLOT <= size && from + SLOT <= size)
				memmove(to + at, to + from, SLOT);
			break;
		}
	}
	/* or nothing of the superblock but its checksum would be tried */
	memset(to + SUPER + SB_CHECKSUM, 0, 4);
	sum = crc32c(to + SUPER, SUPER_BYTES);
	memcpy(to + SUPER + SB_CHECKSUM, &sum, 4);
}

/*
 * May line @x of the block device be line @y in memory?  A large folio of the page
 * cache fails as a whole when one block of it cannot be read, so that a block
 * device can give less of a file before an error, or an error for what is next
 * to one, where memory gives each page that there is.
 */
static bool differs_by_folio(const char *x, const char *y)
{
	const char *end = strchr(x, '\n');
	char type[2][8];
	long n[2] = { 0, 0 };
	size_t i;

	for (const char *at = x; at < end; at++) {
		if (sscanf(at, " %4[a-z] %zu ", type[0], &i) != 2 || (strcmp(type[0], "read") && strcmp(type[0], "map")))
			continue;
		if (memcmp(x, y, at - x) || sscanf(y + (at - x), " %4[a-z] %zu ", type[1], &i) != 2 ||
		    strcmp(type[0], type[1]))
			return false;
		if (!strcmp(type[0], "map"))
			return strstr(at, " SIGBUS\n") == end - 7;
		return sscanf(at, " read %*u %ld", &n[0]) == 1 && sscanf(y + (at - x), " read %*u %ld", &n[1]) == 1 &&
			n[0] < n[1];
	}
	return false;
}

/* Does memory, @b, give what the block device, @a, gives?  If not, show the first difference. */
static bool same(const struct backend *a, const struct backend *b)
{
	const char *x = a->log, *y = b->log;

	/* there a block size that is not the page size, and too small a device, are errors */
	if (b == &backends[2] && !strcmp(y, "mount 22\n"))
		return true;
	while (x < a->log + a->length && y < b->log + b->length) {
		size_t m = strchr(x, '\n') + 1 - x, n = strchr(y, '\n') + 1 - y;

		if ((m != n || memcmp(x, y, n)) && !differs_by_folio(x, y))
			break;
		x += m;
		y += n;
	}
	if (x == a->log + a->length && y == b->log + b->length)
		return true;
	ktap_note("%s: %.*s", a->name, (int)strcspn(x, "\n"), x);
	ktap_note("%s: %.*s", b->name, (int)strcspn(y, "\n"), y);
	return false;
}

/*
 * Walk image @i in @memory while another process changes its metadata all the
 * time.  What is found does not matter; what is found later, when all is as it
 * was, does.
 */
static void walk_while_it_changes(size_t i, unsigned char *memory)
{
	struct backend *b = &backends[2];
	pid_t pid;

	memcpy(memory, image[i], image_bytes[i]);
	try_backend(&backends[1]);
	pid = fork();
	if (!pid) {
		for (state = i + 1;; ) {
			unsigned int at = place(i);

			memory[at] = draw(4) ? memory[at] ^ (1u << draw(8)) : draw(256);
			/* not so many changes that nothing can be mounted */
			if (!draw(20))
				memcpy(memory, image[i], image_bytes[i]);
		}
	}
	for (int round = 0; round < ROUNDS; round++) {
		try_backend(b);
		/* and with a good start */
		kill(pid, SIGSTOP);
		memcpy(memory, image[i], image_bytes[i]);
		if (mount(b->device, "/mnt", "erofs", MS_RDONLY, b->options))
			ktap_note("%s: %s", b->device, strerror(errno));
		kill(pid, SIGCONT);
		b->length = 0;
		entries = 0;
		walk("/mnt", 0);
		umount("/mnt");
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	memcpy(memory, image[i], image_bytes[i]);
	try_backend(b);
	ktap_ok(same(&backends[1], b), "%s: can be walked while it changes, and is as before after that", names[i]);
}

static unsigned char *map_device(const char *path, int flags, off_t offset)
{
	int fd = open(path, O_RDWR | flags);
	void *p = mmap(NULL, DEVICE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (fd < 0 || p == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return p;
}

static unsigned long env(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 10) : otherwise;
}

int main(void)
{
	unsigned long first = 0, last = DEFAULT_LAST, step = env("GUEST_COUNT", 1), tried = 0, mounted = 0, wrong = 0;
	static unsigned char mutant[DEVICE_BYTES] __attribute__((aligned(PAGE)));
	unsigned char *dax;
	int block;
	glob_t nodes;

	ktap_begin();
	if (getenv("MUTATIONS") && sscanf(getenv("MUTATIONS"), "%lu-%lu", &first, &last) != 2)
		errx(1, "MUTATIONS=%s is not FIRST-LAST", getenv("MUTATIONS"));
	if (!ktap_ok(!glob("/dev/dax*.0", 0, NULL, &nodes), "there is a DAX device"))
		return ktap_end();
	backends[2].device = nodes.gl_pathv[0];
	block = open("/dev/pmem0", O_RDWR | O_DIRECT);
	if (!ktap_ok(block >= 0, "there is a block device with DAX"))
		return ktap_end();
	dax = map_device("/dev/mem", 0, DAX_ADDRESS);
	for (size_t b = 0; b < 3; b++) {
		backends[b].log = malloc(LOG_BYTES);
		if (!backends[b].log)
			err(1, "memory");
	}
	signal(SIGBUS, on_sigbus);
	/* EROFS has much to say about such images */
	klogctl(8, NULL, 1);

	/* the sound images */
	mkdir("/tmp/set", 0755);
	if (!ktap_ok(!mount("/dev/harness/blk0", "/tmp/set", "erofs", MS_RDONLY, NULL), "mount the images"))
		return ktap_end();
	for (size_t i = 0; i < IMAGES; i++) {
		char path[64];
		unsigned int meta, xattr;
		int fd;

		snprintf(path, sizeof(path), "/tmp/set/%s", names[i]);
		fd = open(path, O_RDONLY);
		image_bytes[i] = read(fd, image[i], DEVICE_BYTES);
		close(fd);
		memcpy(dax, image[i], DEVICE_BYTES);
		memcpy(mutant, image[i], DEVICE_BYTES);
		if (pwrite(block, mutant, DEVICE_BYTES, 0) != DEVICE_BYTES)
			err(1, "/dev/pmem0");
		memcpy(&meta, image[i] + SUPER + SB_META_BLKADDR, 4);
		memcpy(&xattr, image[i] + SUPER + SB_XATTR_BLKADDR, 4);
		for (size_t b = 0; b < 3; b++)
			try_backend(&backends[b]);
		ktap_ok(backends[0].length > 5000 && !strstr(backends[0].log, "read 0 -"), "%s: read", names[i]);
		for (size_t b = 1; b < 3; b++)
			ktap_ok(same(&backends[0], &backends[b]), "%s: the same on a %s", names[i], backends[b].name);
		if (mount("/dev/pmem0", "/mnt", "erofs", MS_RDONLY, NULL))
			err(1, "%s", names[i]);
		add_range(i, SUPER, SUPER + 144);
		add_range(i, xattr * PAGE, xattr * PAGE + 512);
		find_metadata(i, "/mnt", meta * PAGE);
		widen_ranges(i);
		umount("/mnt");
	}

	for (size_t i = 0; i < IMAGES; i++) {
		memcpy(mutant, image[i], DEVICE_BYTES);
		memcpy(dax, mutant, DEVICE_BYTES);
		if (pwrite(block, mutant, DEVICE_BYTES, 0) != DEVICE_BYTES)
			err(1, "/dev/pmem0");
		for (unsigned long m = first + env("GUEST_ID", 0); m <= last; m += step) {
			const size_t size = (image_bytes[i] + PAGE - 1) & -PAGE;

			if (m % IMAGES != i)
				continue;
			alarm(LIMIT_SECONDS);
			/* so that it is known if the kernel dies of it */
			ktap_note("mutation %lu", m);
			mutate(mutant, i, m);
			if (pwrite(block, mutant, size, 0) != (ssize_t)size)
				err(1, "/dev/pmem0");
			memcpy(dax, mutant, size);
			for (size_t b = 0; b < 3; b++)
				try_backend(&backends[b]);
			for (size_t b = 1; b < 3; b++)
				if (!same(&backends[0], &backends[b])) {
					ktap_note("mutation %lu of %s differs", m, names[i]);
					wrong++;
				}
			tried++;
			mounted += strncmp(backends[0].log, "mount", 5) != 0;
			memcpy(mutant, image[i], size);
		}
	}
	alarm(0);
	ktap_ok(!wrong, "%lu mutations, of which %lu could be mounted, give the same everywhere", tried, mounted);
	ktap_ok(mounted >= tried / 3, "enough of them could be mounted");

	for (size_t i = 0; i < IMAGES; i++) {
		memcpy(mutant, image[i], DEVICE_BYTES);
		if (pwrite(block, mutant, DEVICE_BYTES, 0) != DEVICE_BYTES)
			err(1, "/dev/pmem0");
		memcpy(dax, mutant, DEVICE_BYTES);
		walk_while_it_changes(i, dax);
	}
	return ktap_end();
}
