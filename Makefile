# SPDX-License-Identifier: GPL-2.0-or-later
# erofs-ramdax: the two commands are "make demo" and "make check";
# "make help" lists the rest.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:

TOP := $(CURDIR)
BUILD ?= $(TOP)/build
export BUILD LINUX_SRC EROFS_UTILS_SRC

LINUX_BASE := linux-6.12
UTILS_BASE := erofs-utils-1.8
BASES := $(LINUX_BASE) $(UTILS_BASE)

.DEFAULT_GOAL := help

# One fragment for one concern.  Each help line reads "## name: what it does".
include kernel/kernel.mk
include erofs-utils/utils.mk
include qemu/qemu.mk
include ci/ci.mk

.PHONY: help
help: ## help: this list
	@echo "erofs-ramdax: one golden EROFS image, held once in memory, read by many"
	@echo
	@sed -n 's/^[^#]*## \([a-z-]*\): /\1\t/p' $(MAKEFILE_LIST) | sort | \
		awk -F'\t' '{ printf "  make %-16s %s\n", $$1, $$2 }'
	@echo
	@echo "README.md says more; make -s print-VAR prints a variable (KERNEL, MKFS, FSCK, DUMP ...)."

.PHONY: print-%
print-%:
	$(if $(filter undefined,$(origin $*)),$(error no variable '$*'))
	@echo '$($*)'

.PHONY: clean
clean: ## clean: remove what was built, keep trees and downloads
	rm -rf $(addprefix $(BUILD)/,kernel base/kernel utils utils-fuzz host guest check log accel \
		demo bench containers rootfs/golden.erofs rootfs/golden.list rootfs/key)

.PHONY: distclean
distclean: ## distclean: remove build/ altogether (trees with unwritten commits too)
	rm -rf $(BUILD)
