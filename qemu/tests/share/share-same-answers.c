// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test: a shared file answers system calls as one that is not shared, but for FIBMAP
 * series: 4-share/????-erofs-share-memory-between-files-on-DAX.patch
 * config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_RAMDAX
 * image: base share base
 * image: lz4 share base -zlz4
 * device: blk:base
 * device: blk:lz4
 * device: ramdax:base
 * cpus: 2
 * timeout: 120
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/stat.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "ktap.h"
#include "share.h"

/* in a child, so that nothing has to be caught */
static int gives_sigbus(const volatile char *p)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		(void)*p;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static char *out;
static size_t len;

static void say(const char *what, long ret)
{
	int e = errno;

	len += sprintf(out + len, "%s=%ld/%d\n", what, ret, ret < 0 ? e : 0);
}
#define DO(x) do { errno = 0; say(#x, (long)(x)); } while (0)

static void maps(int fd, size_t size)
{
	static const struct { int prot, flags; } kinds[] = {
		{ PROT_READ, MAP_SHARED }, { PROT_READ, MAP_PRIVATE }, { PROT_READ | PROT_WRITE, MAP_SHARED },
		{ PROT_READ | PROT_WRITE, MAP_PRIVATE }, { PROT_READ, MAP_SHARED_VALIDATE }, { PROT_READ, MAP_SHARED_VALIDATE | 0x80000 },
		{ PROT_READ, MAP_SHARED | MAP_HUGETLB }, { PROT_READ | PROT_EXEC, MAP_PRIVATE }, { PROT_READ, MAP_SHARED | MAP_POPULATE },
		{ PROT_READ, MAP_SHARED | MAP_LOCKED }, { PROT_NONE, MAP_SHARED },
	};
	unsigned char vec[800];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		size_t all = ((size + 4095) & ~4095UL) + 4096;
		char *p = mmap(NULL, all, kinds[i].prot, kinds[i].flags, fd, 0), *q;

		len += sprintf(out + len, "kind %zu\n", i);
		say("mmap", p == MAP_FAILED ? -1 : 0);
		if (p == MAP_FAILED)
			continue;
		for (int a = 0; a < 26; a++)
			if (a != 9 && a != 8) {
				len += sprintf(out + len, "madvise %d ", a);
				DO(madvise(p, all, a));
			}
		DO(mincore(p, all - 4096, vec));
		DO(mlock(p, all - 4096));
		DO(mlock2(p, 4096, 1));
		DO(munlock(p, all));
		DO(msync(p, all, MS_SYNC));
		DO(msync(p, all, MS_INVALIDATE));
		DO(mprotect(p, 4096, PROT_READ | PROT_WRITE));
		if (!gives_sigbus(p))
			say("byte", *p);
		say("beyond", kinds[i].prot ? gives_sigbus(p + all - 4096) : 0);
		if (kinds[i].flags == MAP_PRIVATE && (kinds[i].prot & PROT_WRITE)) {
			if (!gives_sigbus(p)) {
				*p = 'X';
				say("cow", *p);
			}
		}
		DO(remap_file_pages(p, 4096, 0, 0, 0));
		q = mremap(p, all, all * 2, MREMAP_MAYMOVE);
		say("mremap", q == MAP_FAILED ? -1 : 0);
		if (q != MAP_FAILED)
			munmap(q, all * 2);
	}
	for (int i = 0; i < 2; i++) {
		char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, i ? 1L << 40 : (long)((size + 4095) & ~4095UL));

		say("far", p == MAP_FAILED ? -1 : gives_sigbus(p));
	}
}

static void ask(const char *dir, const char *name)
{
	static char buf[1 << 16] __attribute__((aligned(4096)));
	char path[256], proc[64];
	int fd, direct, fds[2], in, p2[2];
	struct stat st;
	struct statx sx;
	struct iovec iov = { buf, 5000 };
	struct { uint64_t off, len; } range = { 0, 1 << 20 };
	struct { uint64_t a, b, c, d, e; } cs;
	struct file_handle *fh = (void *)buf;
	int mount_id, n, null = open("/dev/null", O_WRONLY);
	loff_t off;

	len = 0;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	in = inotify_init1(IN_NONBLOCK);
	DO(inotify_add_watch(in, path, IN_ALL_EVENTS) > 0);
	DO(open(path, O_RDWR));
	DO(open(path, O_RDONLY | O_TRUNC));
	DO(open(path, O_RDONLY | O_APPEND));
	DO(open(path, O_RDONLY | O_NOATIME) > 0);
	DO(truncate(path, 5));
	fd = open(path, O_RDONLY);
	fstat(fd, &st);
	direct = open(path, O_RDONLY | O_DIRECT);
	say("direct", direct < 0 ? -1 : 0);
	for (int flags = 0; flags < 256; flags = flags ? flags * 2 : 1) {
		len += sprintf(out + len, "flags %d ", flags);
		DO(preadv2(fd, &iov, 1, 0, flags));
		DO(preadv2(direct, &iov, 1, 0, flags));
		iov.iov_len = 4096;
		DO(preadv2(direct, &iov, 1, 4096, flags));
		iov.iov_len = 5000;
	}
	DO(pread(direct, buf + 1, 512, 0));
	DO(pread(direct, buf + 512, 512, 512));
	DO(pread(direct, buf, 512, 1));
	DO(pread(direct, buf, 4096, (st.st_size + 4095) & ~4095L));
	DO(pread(direct, buf, 65536, st.st_size & ~4095L));
	DO(pread(fd, buf, 10, -1));
	DO(pread(fd, buf, 10, 1L << 62));
	DO(syscall(SYS_pread64, fd, 8L, 10L, 0L));
	DO(pread(fd, buf, 0, 0));
	DO(read(fd, buf, 65536));
	DO(lseek(fd, 0, SEEK_CUR));
	DO(lseek(fd, 0, SEEK_DATA));
	DO(lseek(fd, 0, SEEK_HOLE));
	DO(lseek(fd, st.st_size, SEEK_HOLE));
	DO(lseek(fd, -1, SEEK_END));
	DO(lseek(fd, -1, SEEK_SET));
	DO(lseek(fd, 0, SEEK_SET));
	DO(readahead(fd, 0, 65536));
	DO(sync_file_range(fd, 0, 4096, 7));
	DO(fsync(fd));
	DO(fdatasync(fd));
	DO(syncfs(fd));
	DO(fallocate(fd, 0, 0, 4096));
	DO(fallocate(fd, 3, 0, 4096));
	DO(ftruncate(fd, 0));
	DO(write(fd, "x", 1));
	for (int a = 0; a < 8; a++) {
		len += sprintf(out + len, "fadvise %d ", a);
		DO(posix_fadvise(fd, 0, 0, a));
		DO(posix_fadvise(fd, 100, -1, a));
		DO(posix_fadvise(fd, -1, 10, a));
	}
	DO(syscall(451, fd, &range, &cs, 0));
	DO(syscall(451, fd, &range, &cs, 1));
	maps(fd, st.st_size);
	if (pipe(fds) || pipe(p2))
		return;
	off = 0;
	DO(splice(fd, &off, fds[1], NULL, 30000, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
	DO(off);
	DO(tee(fds[0], p2[1], 30000, SPLICE_F_NONBLOCK));
	DO(ioctl(p2[0], FIONREAD, &n));
	DO(n);
	DO(splice(p2[0], NULL, null, NULL, 30000, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
	while (fcntl(fds[0], F_SETFL, O_NONBLOCK), read(fds[0], buf, sizeof(buf)) > 0)
		;
	off = st.st_size;
	DO(splice(fd, &off, fds[1], NULL, 100, SPLICE_F_NONBLOCK));
	off = 0;
	DO(splice(direct, &off, fds[1], NULL, 4096, SPLICE_F_NONBLOCK));
	off = 0;
	DO(sendfile(null, fd, &off, 100000));
	DO(off);
	off = 0;
	n = open("/tmp/copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
	DO(copy_file_range(fd, &off, n, NULL, 50000, 0));
	DO(ioctl(n, FICLONE, fd));
	DO(ioctl(fd, FICLONE, n));
	close(n);
	memset(buf, 0, sizeof(buf));
	struct fiemap *fm = (void *)buf;
	fm->fm_length = -1;
	fm->fm_extent_count = 100;
	DO(ioctl(fd, FS_IOC_FIEMAP, fm));
	DO(fm->fm_mapped_extents);
	for (unsigned i = 0; i < fm->fm_mapped_extents && i < 5; i++)
		len += sprintf(out + len, "%llx %llx %llx %x\n", fm->fm_extents[i].fe_logical, fm->fm_extents[i].fe_physical,
			       fm->fm_extents[i].fe_length, fm->fm_extents[i].fe_flags);
	fm->fm_flags = FIEMAP_FLAG_SYNC;
	DO(ioctl(fd, FS_IOC_FIEMAP, fm));
	fm->fm_flags = FIEMAP_FLAG_CACHE;
	DO(ioctl(fd, FS_IOC_FIEMAP, fm));
	fm->fm_flags = FIEMAP_FLAG_XATTR;
	DO(ioctl(fd, FS_IOC_FIEMAP, fm));
	n = 0;
	DO(ioctl(fd, FIGETBSZ, &n));
	DO(n);
	DO(ioctl(fd, FIONREAD, &n));
	DO(n);
	DO(ioctl(fd, FIOQSIZE, buf));
	DO(ioctl(fd, FS_IOC_GETFLAGS, buf));
	DO(ioctl(fd, FS_IOC_FSGETXATTR, buf));
	DO(ioctl(fd, _IOR(0x15, 0, char[17]), buf));
	DO(ioctl(fd, _IOR(0x15, 1, char[129]), buf));
	DO(ioctl(fd, FS_IOC_ENABLE_VERITY, buf));
	DO(ioctl(fd, FS_IOC_MEASURE_VERITY, buf));
	DO(ioctl(fd, FIFREEZE, 0));
	DO(ioctl(fd, FITHAW, 0));
	DO(ioctl(fd, FITRIM, buf));
	DO(ioctl(fd, BLKGETSIZE64, buf));
	DO(ioctl(fd, _IOR('X', 125, int), &n));
	DO(fcntl(fd, F_SETLEASE, F_RDLCK));
	DO(fcntl(fd, F_GETLEASE));
	DO(fcntl(fd, F_SETLEASE, F_WRLCK));
	DO(fcntl(fd, F_SETLEASE, F_UNLCK));
	DO(flock(fd, LOCK_EX));
	DO(flock(direct, LOCK_EX | LOCK_NB));
	DO(flock(fd, LOCK_UN));
	struct flock fl = { .l_type = F_RDLCK };
	DO(fcntl(fd, F_OFD_SETLK, &fl));
	fl.l_type = F_WRLCK;
	DO(fcntl(fd, F_OFD_SETLK, &fl));
	DO(fcntl(fd, F_OFD_GETLK, &fl));
	uint64_t hint = 2;
	DO(fcntl(fd, 1036, &hint));
	DO(fcntl(fd, 1035, &hint));
	DO(hint);
	DO(fcntl(fd, F_SETFL, O_DIRECT));
	DO(fcntl(fd, F_SETFL, O_NOATIME));
	DO(fcntl(fd, F_SETFL, 0));
	DO(fcntl(fd, F_ADD_SEALS, 1));
	DO(fcntl(fd, F_GET_SEALS));
	DO(fcntl(fd, F_NOTIFY, 1));
	struct pollfd pf = { fd, POLLIN | POLLOUT, 0 };
	DO(poll(&pf, 1, 0));
	DO(pf.revents);
	memset(&sx, 0, sizeof(sx));
	DO(statx(AT_FDCWD, path, 0, 0xffff, &sx));
	len += sprintf(out + len, "%x %llx %llx %x %x %llx\n", sx.stx_mask, (long long)sx.stx_attributes, (long long)sx.stx_attributes_mask, sx.stx_dio_mem_align,
		       sx.stx_dio_offset_align, (long long)sx.stx_blocks);
	fh->handle_bytes = 128;
	DO(name_to_handle_at(AT_FDCWD, path, fh, &mount_id, 0));
	n = open(dir, O_RDONLY);
	DO(open_by_handle_at(n, fh, O_RDONLY) > 0);
	DO(open_by_handle_at(n, fh, O_RDWR) > 0);
	DO(swapon(path, 0));
	DO(getxattr(path, "user.x", buf, 100));
	DO(listxattr(path, buf, 1000));
	DO(fchmod(fd, 0600));
	DO(futimens(fd, NULL));
	DO(unlink(path));
	DO(link(path, "/tmp/l"));
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	DO(open(proc, O_RDWR));
	DO(open(proc, O_RDONLY) > 0);
	long events = 0;
	while ((n = read(in, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n; p += sizeof(struct inotify_event) + ((struct inotify_event *)p)->len)
			events = events * 31 + ((struct inotify_event *)p)->mask;
	say("events", events);
	for (int i = 3; i < 200; i++)
		close(i);
}

/* Compare line by line; tell the first few that differ. */
static int differ(char *a, char *b)
{
	int n = 0;

	while (*a || *b) {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");

		if (la != lb || memcmp(a, b, la)) {
			if (n++ < 20)
				printf("# %.*s  |  %.*s\n", (int)la, a, (int)lb, b);
		}
		a += la + !!a[la];
		b += lb + !!b[lb];
	}
	return n;
}

int main(void)
{
	static const char *disks[] = { "/dev/harness/blk0", "/dev/harness/blk1", "/dev/harness/ramdax0" };
	static const char *names[] = { "f.1", "f.4095", "f.4096", "f.8192", "f.300001", "f.3000000", "empty" };
	char *texts[2][3][7];

	ktap_begin();
	mkdir("/tmp", 0755);
	mount("none", "/tmp", "tmpfs", 0, NULL);
	for (int s = 0; s < 2; s++)
		for (int d = 0; d < 3; d++) {
			ktap_ok(s ? share_mount(disks[d], "/m", NULL) : share_plain(disks[d], "/m"), "mount");
			for (int n = 0; n < 7; n++) {
				out = texts[s][d][n] = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
				if (!fork()) {
					ask("/m", names[n]);
					_exit(0);
				}
				wait(NULL);
			}
			ktap_ok(!umount("/m"), "unmount");
		}
	for (int d = 0; d < 3; d++)
		for (int n = 0; n < 7; n++)
			ktap_eq(differ(texts[0][d][n], texts[1][d][n]), 0, "%s of %s", names[n], disks[d]);
	return ktap_end();
}
