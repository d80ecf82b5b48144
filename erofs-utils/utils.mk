# mkfs.erofs, fsck.erofs, dump.erofs and erofsfuse from the patched tree.

UTILS_TREE := $(BUILD)/$(UTILS_BASE)
UTILS_OUT := $(BUILD)/utils
MKFS := $(UTILS_OUT)/mkfs/mkfs.erofs
FSCK := $(UTILS_OUT)/fsck/fsck.erofs
DUMP := $(UTILS_OUT)/dump/dump.erofs
EROFSFUSE := $(UTILS_OUT)/fuse/erofsfuse
export MKFS FSCK DUMP

.PHONY: utils
utils: packages ## utils: build erofs-utils (mkfs, fsck, dump, fuse)
	@ci/series tree $(UTILS_BASE)
	@erofs-utils/build $(UTILS_TREE) $(UTILS_OUT) \
		--enable-multithreading --enable-lz4 --enable-lzma \
		--with-zlib --with-libzstd --with-selinux --enable-fuse
