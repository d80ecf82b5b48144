// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fpread - read the fingerprints of an EROFS image, byte by byte
 *
 * usage: fpread [--offsets] [--device=FILE]... IMAGE
 *
 * This is the second opinion on images: it shares no code with liberofs, knows
 * nothing but the on-disk format (fs/erofs/erofs_fs.h of Linux, and the table in
 * Documentation/fingerprint.md), and stops at whatever doesn't conform.
 *
 * It prints one line on the superblock, and one for each name of a regular file:
 *
 *   sb blksize=N compat=0x.. incompat=0x.. prefixes=N start=N id=N
 *      table=plain|packed|packed-compressed name=NAME base=N
 *   HEX SIZE LAYOUT CONTENT PATH
 *
 * HEX is the SHA-256 out of the fingerprint, "-" without.  LAYOUT is plain,
 * inline, chunk, full or compact.  CONTENT is "same" where the contents have been
 * read from the image and hashed, and "unread" for compressed data.  Bytes of
 * names that could confuse a reader are printed as \ooo.
 *
 * With --offsets: "sb 1024", "prefix OFFSET" and "xattr OFFSET PATH" lines, where
 * the superblock, the fingerprint's table entry (if it can be seen) and the xattr
 * entries of fingerprints begin, in bytes.
 *
 * Exit status: 0, 1 if the image or a fingerprint is broken (one line says why),
 * 2 on wrong use.
 */
#define _FILE_OFFSET_BITS 64
#include <endian.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLAIN, FULL, INLINE, COMPACT, CHUNK };
static const char *const layouts[] = { "plain", "full", "inline", "compact", "chunk" };

struct inode {
	uint64_t nid, pos, size;	/* pos: byte in the image */
	unsigned int layout, isize, xsize, mode;
	uint32_t u;			/* i_u: block address, or chunk format */
};

static int devs[64], ndevs;		/* devs[0] is the image */
static unsigned int blkbits, blksize;
static uint32_t compat, incompat, meta_blk, xattr_blk, prefix_start;
static unsigned int prefix_count, fp_id;
static uint64_t packed_nid;
static char fp_name[300];
static int fp_base = -1;
static bool offsets;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("fpread: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static void get(int dev, void *buf, size_t len, uint64_t pos)
{
	ssize_t n = pread(devs[dev], buf, len, pos);

	if (n < 0)
		die("read error at byte %ju", (uintmax_t)pos);
	memset((char *)buf + n, 0, len - n);	/* as a sparse end of file reads */
}

static unsigned int le16(const void *p) { uint16_t v; memcpy(&v, p, 2); return le16toh(v); }
static uint32_t le32(const void *p) { uint32_t v; memcpy(&v, p, 4); return le32toh(v); }
static uint64_t le64(const void *p) { uint64_t v; memcpy(&v, p, 8); return le64toh(v); }

static struct inode get_inode(uint64_t nid)
{
	struct inode i = { .nid = nid };
	unsigned char d[64];
	unsigned int fmt, icount;

	i.pos = ((uint64_t)meta_blk << blkbits) + nid * 32;
	get(0, d, sizeof(d), i.pos);
	fmt = le16(d);
	icount = le16(d + 2);
	i.isize = fmt & 1 ? 64 : 32;
	i.layout = fmt >> 1 & 7;
	if (i.layout > CHUNK)
		die("inode %ju has layout %u", (uintmax_t)nid, i.layout);
	i.xsize = icount ? 12 + 4 * (icount - 1) : 0;
	i.mode = le16(d + 4);
	i.size = fmt & 1 ? le64(d + 8) : le32(d + 8);
	i.u = le32(d + 16);
	return i;
}

/* read LEN bytes at OFF of an inode that isn't compressed; false for a hole */
static bool get_data(const struct inode *i, void *buf, size_t len, uint64_t off)
{
	const uint64_t tail = i->size >> blkbits << blkbits;

	if (i->layout == PLAIN || (i->layout == INLINE && off < tail)) {
		get(0, buf, len, ((uint64_t)i->u << blkbits) + off);
	} else if (i->layout == INLINE) {
		get(0, buf, len, i->pos + i->isize + i->xsize + off - tail);
	} else {
		unsigned int format = i->u & 0xffff, bits = blkbits + (format & 31);
		uint64_t n = off >> bits, at = i->pos + i->isize + i->xsize;
		unsigned char e[8];
		uint32_t blk;
		unsigned int dev = 0;

		if (format & ~63)
			die("inode %ju has chunk format 0x%x", (uintmax_t)i->nid, format);
		if (format & 32) {
			at = (at + 7) / 8 * 8 + n * 8;
			get(0, e, 8, at);
			dev = le16(e + 2);
			blk = le32(e + 4);
		} else {
			get(0, e, 4, at + n * 4);
			blk = le32(e);
		}
		if (blk == UINT32_MAX) {
			memset(buf, 0, len);
			return false;
		}
		if ((int)dev >= ndevs)
			die("inode %ju needs device %u; give it with --device", (uintmax_t)i->nid, dev);
		get(dev, buf, len, ((uint64_t)blk << blkbits) + (off & (((uint64_t)1 << bits) - 1)));
	}
	return true;
}

/* how many bytes from OFF on get_data() can read at once */
static uint64_t piece(const struct inode *i, uint64_t off)
{
	const uint64_t tail = i->size >> blkbits << blkbits;
	uint64_t end = i->size;

	if (i->layout == INLINE && off < tail)
		end = tail;
	if (i->layout == CHUNK) {
		uint64_t chunk = (uint64_t)1 << (blkbits + (i->u & 31));

		end = off / chunk * chunk + chunk;
		if (end > i->size)
			end = i->size;
	}
	return end - off;
}

static void hash(const struct inode *i, unsigned char out[32])
{
	enum { MAX = 1 << 20 };
	static unsigned char buf[MAX];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint64_t off, n;

	if (!md || !EVP_DigestInit_ex(md, EVP_sha256(), NULL))
		die("no SHA-256");
	for (off = 0; off < i->size; off += n) {
		n = piece(i, off);
		if (n > MAX)
			n = MAX;
		get_data(i, buf, n, off);
		EVP_DigestUpdate(md, buf, n);
	}
	EVP_DigestFinal_ex(md, out, NULL);
	EVP_MD_CTX_free(md);
}

static bool compressed(const struct inode *i)
{
	return i->layout == FULL || i->layout == COMPACT;
}

static const char *read_prefix_table(void)
{
	uint64_t pos = (uint64_t)prefix_start * 4;
	bool plain = !(incompat & 0x20) || !packed_nid || (compat & 0x10);
	unsigned char e[3 + 255];
	struct inode packed;
	unsigned int n, size;

	if (!plain) {
		packed = get_inode(packed_nid);
		if (compressed(&packed))
			return "packed-compressed";
	}
	for (n = 0; n < prefix_count; n++) {
		pos = (pos + 3) / 4 * 4;
		if (plain)
			get(0, e, sizeof(e), pos);
		else
			for (size = 0; size < sizeof(e); size++)	/* slow, and can't cross anything */
				if (pos + size < packed.size)
					get_data(&packed, e + size, 1, pos + size);
				else
					e[size] = 0;
		size = le16(e);
		if (size < 1 || size > 256)
			die("long prefix %u at byte %ju has %u bytes", n, (uintmax_t)pos, size);
		if (n == fp_id) {
			fp_base = e[2];
			memcpy(fp_name, e + 3, size - 1);
			fp_name[size - 1] = 0;
			if (offsets && plain)
				printf("prefix %ju\n", (uintmax_t)pos);
		}
		pos += 2 + size;
	}
	return plain ? "plain" : "packed";
}

static void print_path(const char *path)
{
	for (; *path; path++)
		if ((unsigned char)*path < 33 || (unsigned char)*path > 126 || *path == '\\')
			printf("\\%03o", (unsigned char)*path);
		else
			putchar(*path);
	putchar('\n');
}

/* where the value of the inode's fingerprint is in the image, 0 if it has none */
static uint64_t find_fingerprint(const struct inode *i, const char *path)
{
	uint64_t pos = i->pos + i->isize, end = pos + i->xsize, at, found = 0;
	unsigned char h[12], e[4];
	unsigned int shared, n, size;

	if (!i->xsize)
		return 0;
	get(0, h, sizeof(h), pos);
	shared = h[4];
	if (12 + 4 * shared > i->xsize)
		die("%s: %u shared xattrs in %u bytes", path, shared, i->xsize);
	for (n = 0, pos += 12; pos < end; n++) {
		if (n < shared) {
			get(0, e, 4, pos);
			at = ((uint64_t)xattr_blk << blkbits) + (uint64_t)le32(e) * 4;
			pos += 4;
			get(0, e, 4, at);
		} else {
			at = pos;
			get(0, e, 4, at);
			size = (4 + e[0] + le16(e + 2) + 3) / 4 * 4;
			if (size > end - pos)
				die("%s: an xattr of %u bytes reaches over the inode", path, size);
			pos += size;
		}
		if (e[1] != (0x80 | fp_id) || e[0])
			continue;
		if (found)
			die("%s: two fingerprints", path);
		if (le16(e + 2) != 39)
			die("%s: a fingerprint of %u bytes", path, le16(e + 2));
		found = at + 4;
	}
	return found;
}

static void show_file(const struct inode *i, const char *path)
{
	unsigned char value[39], sha[32];
	uint64_t at = find_fingerprint(i, path);
	int n;

	if (offsets) {
		if (at) {
			printf("xattr %ju ", (uintmax_t)at - 4);
			print_path(path);
		}
		return;
	}
	if (!at) {
		if (i->size)
			die("%s: no fingerprint", path);
		printf("-");
	} else {
		if (!i->size)
			die("%s: a fingerprint of an empty file", path);
		get(0, value, sizeof(value), at);
		if (memcmp(value, "sha256:", 7))
			die("%s: no SHA-256 fingerprint", path);
		for (n = 7; n < 39; n++)
			printf("%02x", value[n]);
		if (!compressed(i)) {
			hash(i, sha);
			if (memcmp(sha, value + 7, 32))
				die("%s: the fingerprint isn't that of the contents", path);
		}
	}
	printf(" %ju %s %s ", (uintmax_t)i->size, layouts[i->layout],
	       compressed(i) ? "unread" : "same");
	print_path(path);
}

static void walk(uint64_t nid, const char *path, unsigned int depth)
{
	struct inode dir = get_inode(nid);
	unsigned char *blk;
	uint64_t off;

	if (depth > 100 || (dir.mode & S_IFMT) != S_IFDIR || compressed(&dir))
		die("%s: no directory", path);
	if (find_fingerprint(&dir, path))
		die("%s: a fingerprint of a directory", path);
	blk = malloc(blksize);
	for (off = 0; off < dir.size; off += blksize) {
		unsigned int len = dir.size - off < blksize ? dir.size - off : blksize;
		unsigned int n, count, from, to;

		get_data(&dir, blk, len, off);
		count = le16(blk + 8) / 12;
		if (!count || count * 12 > len)
			die("%s: broken directory", path);
		for (n = 0; n < count; n++) {
			char name[256], *sub;
			struct inode i;

			from = le16(blk + n * 12 + 8);
			to = n + 1 < count ? le16(blk + n * 12 + 20) : len;
			if (from > to || to > len)
				die("%s: broken directory entry", path);
			to = from + strnlen((char *)blk + from, to - from);
			if (to - from > 255)
				die("%s: broken name", path);
			memcpy(name, blk + from, to - from);
			name[to - from] = 0;
			if (!strcmp(name, ".") || !strcmp(name, ".."))
				continue;
			if (asprintf(&sub, "%s/%s", path, name) < 0)
				die("no memory");
			i = get_inode(le64(blk + n * 12));
			if ((i.mode & S_IFMT) == S_IFDIR)
				walk(i.nid, sub, depth + 1);
			else if ((i.mode & S_IFMT) == S_IFREG)
				show_file(&i, sub);
			else if (find_fingerprint(&i, sub))
				die("%s: a fingerprint of a special file", sub);
			free(sub);
		}
	}
	free(blk);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		die("cannot open %s", path);
	return fd;
}

int main(int argc, char **argv)
{
	unsigned char sb[128];
	const char *table, *image = NULL;
	int i;

	ndevs = 1;
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--offsets"))
			offsets = true;
		else if (!strncmp(argv[i], "--device=", 9) && ndevs < 64)
			devs[ndevs++] = open_file(argv[i] + 9);
		else if (argv[i][0] == '-' || image)
			break;
		else
			image = argv[i];
	}
	if (!image || i < argc) {
		fputs("usage: fpread [--offsets] [--device=FILE]... IMAGE\n", stderr);
		return 2;
	}
	devs[0] = open_file(image);

	get(0, sb, sizeof(sb), 1024);
	if (le32(sb) != 0xe0f5e1e2)
		die("%s is no EROFS image", image);
	compat = le32(sb + 8);
	blkbits = sb[12];
	if (blkbits < 9 || blkbits > 16)
		die("blocks of 2^%u bytes", blkbits);
	blksize = 1u << blkbits;
	meta_blk = le32(sb + 40);
	xattr_blk = le32(sb + 44);
	incompat = le32(sb + 80);
	prefix_count = sb[91];
	prefix_start = le32(sb + 92);
	packed_nid = le64(sb + 96);
	fp_id = sb[105];
	if (!(compat & 0x20))
		die("%s has no fingerprints", image);
	if (fp_id >= prefix_count)
		die("fingerprint prefix %u of %u", fp_id, prefix_count);
	if (!(incompat & 0x40))
		die("long prefixes without the feature bit for them");
	for (i = 106; i < 128; i++)
		if (sb[i])
			die("reserved byte %d of the superblock is %u", i, sb[i]);

	if (offsets)
		puts("sb 1024");
	table = read_prefix_table();
	if (!offsets)
		printf("sb blksize=%u compat=0x%x incompat=0x%x prefixes=%u start=%u id=%u table=%s name=%s base=%d\n",
		       blksize, compat, incompat, prefix_count, prefix_start, fp_id,
		       table, fp_name, fp_base);
	walk(le16(sb + 14), "", 0);
	return 0;
}
