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
	@ci/whole ci/series tree $(UTILS_BASE)
	@ci/whole erofs-utils/build $(UTILS_TREE) $(UTILS_OUT) \
		--enable-multithreading --enable-lz4 --enable-lzma \
		--with-zlib --with-libzstd --with-selinux --enable-fuse

# The same with sanitizers and libFuzzer, for broken images.
.PHONY: fuzz-build
fuzz-build: packages
	@ci/whole ci/series tree $(UTILS_BASE)
	@CC=clang CFLAGS="-O1 -g -fsanitize=undefined -fno-sanitize-recover=all" \
		LDFLAGS="-fsanitize=address,undefined" \
		ci/whole erofs-utils/build $(UTILS_TREE) $(BUILD)/utils-fuzz --enable-fuzzing \
		--enable-multithreading --enable-lz4 --enable-lzma --with-zlib --with-libzstd

# ci/t/utils-fuzz.t is part of the checks.
check: fuzz-build

FUZZ_SECONDS ?= 1800

.PHONY: fuzz-utils
fuzz-utils: utils fuzz-build ## fuzz-utils: fuzz fsck.erofs and dump.erofs, FUZZ_SECONDS=1800 each
	@ci/utils/fuzz fsck $(FUZZ_SECONDS)
	@ci/utils/fuzz dump $(FUZZ_SECONDS)

.PHONY: check-utils-series
check-utils-series: packages ## check-utils-series: each patch builds with gcc and clang, with and without each library
	@UTILS_SERIES_SECONDS=86400 ci/check -v ci/t/utils-series.t

.PHONY: check-utils-huge
check-utils-huge: utils ## check-utils-huge: fingerprints of files over 4 GiB, in 5 GB of disk space
	@ci/check -v ci/utils/huge

.PHONY: bench-utils
bench-utils: utils ## bench-utils: what fingerprints cost mkfs.erofs, ROOTFS=DIR or TAR
	@ci/utils/bench $(if $(ROOTFS),$(ROOTFS),$(BUILD)/rootfs/rootfs.tar)
