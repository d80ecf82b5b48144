# The patched fs/erofs as a package for Debian's own kernels, see Documentation/packages.md.

PACKAGES_OUT := $(BUILD)/packages
# Made once; remove the folder for one with today's packages of Debian 13.
BUILD_ROOT := $(BUILD)/roots/build
# The date of the last change to what a package is made of: a later package is an upgrade.
changed = $(shell TZ=UTC git log -1 --date=format-local:%Y%m%d.%H%M --format=%cd -- $(1))
# What the file of a base, kernel/NAME.base or erofs-utils/NAME.base, says of a field.
field_of = $(shell sed -n 's/^$(1)=//p' $(2))
DKMS_VERSION ?= $(firstword $(subst -, ,$(call field_of,VERSION,kernel/$(BASE).base)))+ramdax$(call changed,patches/$(BASE) kernel/dkms)

.PHONY: build-root
build-root: packages
	@ci/whole ci/debian-root make trixie $(BUILD_ROOT) ci/roots/build.txt

.PHONY: dkms-deb arguments-dkms-deb
arguments-dkms-deb:
	$(if $(filter linux-6.12,$(BASE)),,$(error BASE=$(BASE): the package is for kernels of linux-6.12))
dkms-deb: build-root ## dkms-deb: the EROFS module for Debian 13's own kernels, and what boots from an image, as packages (build/packages)
	@ci/whole ci/series tree $(BASE)
	@ci/whole kernel/dkms/build $(KERNEL_TREE) $(BUILD_ROOT) $(PACKAGES_OUT) $(DKMS_VERSION)

DKMS_DEB = $(PACKAGES_OUT)/erofs-ramdax-dkms_$(DKMS_VERSION)_all.deb
INITRAMFS_DEB = $(PACKAGES_OUT)/erofs-ramdax-initramfs_$(DKMS_VERSION)_all.deb

# Debian's own kernel with the module, as the harness boots one, and what its guests need
# beside that as modules.
STOCK_OUT := $(BUILD)/stock/kernel
STOCK_KERNEL := $(STOCK_OUT)/arch/x86/boot/bzImage
STOCK_MODULES := crc32c_generic libcrc32c virtio_blk virtio_pmem nd_pmem loop overlay dm_delay dm_flakey
.PHONY: stock-kernel
stock-kernel: dkms-deb ## stock-kernel: Debian 13's cloud kernel with the module, for KERNEL= of the harness
	@ci/whole kernel/dkms/module $(BUILD_ROOT) $(DKMS_DEB) kernel $(STOCK_OUT) $(STOCK_MODULES)

.PHONY: check-dkms
check-dkms: dkms-deb utils-deb guest ## check-dkms: the module on each of Debian 13's kernels, W=1; guests; lintian
	@DKMS_ALL=1 ci/check -v ci/t/dkms.t

