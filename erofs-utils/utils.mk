# mkfs.erofs, fsck.erofs, dump.erofs and erofsfuse from the patched tree.

# All that depends on the base of the tools is in here.
UTILS_BUILD := $(BUILD)/$(UTILS_BASE)
UTILS_TREE := $(UTILS_BUILD)/tree
UTILS_OUT := $(UTILS_BUILD)/tools
FUZZ_OUT := $(UTILS_BUILD)/tools-fuzz
MKFS := $(UTILS_OUT)/mkfs/mkfs.erofs
FSCK := $(UTILS_OUT)/fsck/fsck.erofs
DUMP := $(UTILS_OUT)/dump/dump.erofs
EROFSFUSE := $(UTILS_OUT)/fuse/erofsfuse
export UTILS_BUILD MKFS FSCK DUMP

# What Debian's package is built with, so that what users get is what is tested.
UTILS_OPTIONS := --enable-multithreading --enable-lz4 --enable-lzma --with-uuid --with-zlib \
	--with-libdeflate --with-libzstd --with-xxhash --with-selinux --enable-fuse \
	--enable-oci --with-libcurl --with-json-c --enable-s3 --with-openssl --with-libxml2 \
	--enable-fanotify --with-libnl3 --enable-ublk

.PHONY: utils
utils: packages ## utils: build erofs-utils (mkfs, fsck, dump, fuse)
	@ci/whole ci/series tree $(UTILS_BASE)
	@ci/whole erofs-utils/build $(UTILS_TREE) $(UTILS_OUT) $(UTILS_OPTIONS)

# The same with sanitizers and libFuzzer, for broken images.
.PHONY: fuzz-build
fuzz-build: packages
	@ci/whole ci/series tree $(UTILS_BASE)
	@CC=clang CFLAGS="-O1 -g -fsanitize=undefined -fno-sanitize-recover=all" \
		LDFLAGS="-fsanitize=address,undefined" \
		ci/whole erofs-utils/build $(UTILS_TREE) $(FUZZ_OUT) --enable-fuzzing \
		--enable-multithreading --enable-lz4 --enable-lzma --with-zlib --with-libzstd

# erofs-utils/tests/fuzz.t is part of the checks.
check: fuzz-build

# The packaging of the base's own release, which is fetched with its sources.
UTILS_DEBIAN = $(BUILD)/cache/$(patsubst %.orig.tar.gz,%,$(call field,FILE))-$(lastword $(subst -, ,$(call field,VERSION))).debian.tar.xz
field = $(call field_of,$(1),erofs-utils/$(UTILS_BASE).base)
UTILS_VERSION ?= $(call field,VERSION)+ramdax$(call changed,patches/$(UTILS_BASE) erofs-utils/deb)

.PHONY: utils-deb
utils-deb: build-root ## utils-deb: the patched erofs-utils as packages for Debian 13 (build/packages)
	@ci/whole ci/series tree $(UTILS_BASE)
	@ci/series fetch $(UTILS_BASE) > /dev/null
	@ci/whole erofs-utils/deb/build $(UTILS_TREE) $(UTILS_DEBIAN) $(BUILD_ROOT) $(PACKAGES_OUT) $(UTILS_VERSION)

FUZZ_SECONDS ?= 1800

.PHONY: fuzz-utils arguments-fuzz-utils
arguments-fuzz-utils:
	$(call check_number,FUZZ_SECONDS)
fuzz-utils: utils fuzz-build ## fuzz-utils: fuzz fsck, dump and the tar reader, FUZZ_SECONDS=1800 each
	@erofs-utils/tests/fuzz fsck $(FUZZ_SECONDS)
	@erofs-utils/tests/fuzz dump $(FUZZ_SECONDS)
	@erofs-utils/tests/fuzz tar $(FUZZ_SECONDS)

.PHONY: check-utils-series
check-utils-series: packages ## check-utils-series: each patch builds with gcc and clang, with and without each library
	@UTILS_SERIES_SECONDS=86400 ci/check -v erofs-utils/tests/series.t

.PHONY: check-utils-huge
check-utils-huge: utils ## check-utils-huge: fingerprints of files over 4 GiB, in 5 GB of disk space
	@MEMORY_MIB=6144 ci/check -v erofs-utils/tests/huge erofs-utils/tests/memory.t

.PHONY: check-utils-machines
check-utils-machines: utils ## check-utils-machines: a big-endian and a 32-bit machine write the same bytes, by qemu-user
	@ci/check -v erofs-utils/tests/machines

.PHONY: check-utils-matrix
check-utils-matrix: utils ## check-utils-matrix: read back images of every combination of compression options (slow)
	@ci/check -v erofs-utils/tests/matrix-all

RANDOM_SECONDS ?= 600

.PHONY: check-utils-random arguments-check-utils-random
arguments-check-utils-random:
	$(call check_number,RANDOM_SECONDS)
check-utils-random: utils ## check-utils-random: read back images of random trees with random options for RANDOM_SECONDS=600
	@erofs-utils/tests/random $(RANDOM_SECONDS)

.PHONY: bench-utils arguments-bench-utils
arguments-bench-utils: arguments-rootfs
bench-utils: utils $(if $(ROOTFS),,rootfs) ## bench-utils: what fingerprints cost mkfs.erofs, ROOTFS=DIR or TAR
	@rm -rf $(UTILS_BUILD)/base/tree; mkdir -p $(UTILS_BUILD)/base/tree
	@git -C $(UTILS_TREE) archive base | tar -xC $(UTILS_BUILD)/base/tree
	@ci/whole erofs-utils/build $(UTILS_BUILD)/base/tree $(UTILS_BUILD)/base/tools $(UTILS_OPTIONS)
	@MKFS_BASE=$(UTILS_BUILD)/base/tools/mkfs/mkfs.erofs \
		erofs-utils/tests/bench $(if $(ROOTFS),$(ROOTFS),$(BUILD)/rootfs/rootfs.tar)
