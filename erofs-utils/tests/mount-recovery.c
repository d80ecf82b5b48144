// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mount-recovery RECORD [OPTIONS SOURCE] - what mount.erofs --reattach opens
 *
 * With OPTIONS, as of mount.erofs -o, SOURCE is opened as for a mount, and RECORD written.  Prints a
 * line for that, and one for what is opened by RECORD: some bytes of each, or the error.
 */
#define main mount_main
#include "mount/main.c"
#undef main

static void show(struct erofsmount_ctx *ctx, int err)
{
	static const u64 at[] = { 0, 600, 5000, 100000 };
	unsigned char byte;
	ssize_t n;
	size_t i;

	printf("%s", err ? strerror(-err) : "");
	for (i = 0; !err && i < ARRAY_SIZE(at); ++i) {
		byte = '-';
		n = erofs_io_pread(ctx->vd, &byte, 1, at[i]);
		printf("%zd:%02x ", n, byte);
	}
	puts("");
}

int main(int argc, char **argv)
{
	struct erofsmount_ctx mounted = { .vd = &mounted._vd }, again = { .vd = &again._vd };
	char *more = NULL;
	FILE *record;
	int err;

	if (argc != 2 && argc != 4)
		return 2;
	erofs_init_configure();
	mountsrc.ocicfg.layer_index = -1;
	if (argc == 4) {
		err = erofsmount_parse_flagopts(strdup(argv[2]), 0, &more);
		if (err < 0)
			return 2;
		mountsrc.device_path = mountsrc.ocicfg.image_ref = argv[3];
		show(&mounted, erofsmount_open_source(&mounted, &mountsrc));
		record = fopen(argv[1], "w");
		err = record ? erofsmount_write_recovery_fp(record, &mountsrc) : -errno;
		if (err) {
			printf("not written: %s\n", strerror(-err));
			return 0;
		}
	}
	record = fopen(argv[1], "r");
	if (!record)
		return 2;
	errno = 0;
	show(&again, erofsmount_open_recovery_source(&again, record));
	return 0;
}
