# SPDX-License-Identifier: GPL-2.0-or-later
# erofs-ramdax: the two commands are "make demo" and "make check";
# "make help" lists the rest.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:

TOP := $(CURDIR)
BUILD ?= $(TOP)/build

# The bases, see Documentation/workflow.md.  The default ones are said by the links
# kernel/default and erofs-utils/default, and nowhere else.
base_of = $(basename $(notdir $(realpath $(1)/default)))
BASE ?= $(call base_of,kernel)
UTILS_BASE ?= $(call base_of,erofs-utils)
bases_of = $(basename $(notdir $(wildcard $(1)/*.base)))
# Stop unless the variable is one of these words, or a number above 0.
check_word = $(if $(and $(filter 1,$(words $($(1)))),$(filter $($(1)),$(2))),,$(error $(1)=$($(1)) is not one of: $(2)))
check_number = $(if $(shell echo '$($(1))' | grep -xE '[1-9][0-9]*'),,$(error $(1)=$($(1)): write a number above 0))
$(call check_word,BASE,$(call bases_of,kernel))
$(call check_word,UTILS_BASE,$(call bases_of,erofs-utils))
$(foreach v,LINUX_SRC EROFS_UTILS_SRC,$(if $($(v)),$(if $(wildcard $($(v))),,$(error $(v)=$($(v)) does not exist))))
# These are for the harness, which reads them when the kernel is built.
$(if $(QEMU),$(if $(shell command -v '$(QEMU)'),,$(error QEMU=$(QEMU) is no program)))
$(if $(ACCEL),$(call check_word,ACCEL,kvm tcg))
BASES := $(call bases_of,kernel) $(call bases_of,erofs-utils)
# Those that the user chose, if any.
CHOSEN := $(strip $(foreach v,BASE UTILS_BASE,$(if $(filter command environment,$(origin $(v))),$($(v)))))
export BUILD BASE UTILS_BASE LINUX_SRC EROFS_UTILS_SRC

.DEFAULT_GOAL := help

# One fragment for one concern.  Each help line reads "## name: what it does".
include kernel/kernel.mk
include erofs-utils/utils.mk
include qemu/qemu.mk
include ci/ci.mk

# A variable that no fragment uses or exports is mistyped.  MAKEOVERRIDES has spaces of values
# behind backslashes.
space := $() $()
$(foreach v,$(foreach o,$(subst \$(space),-,$(MAKEOVERRIDES)),$(firstword $(subst =, ,$(o)))),$(if $(shell grep -lE -- '[$$][({]$(v)[)}]|^export .*\<$(v)\>' $(MAKEFILE_LIST)),,\
	$(error $(v)=$($(v)): no target takes this variable; "make help" lists those that there are)))

# The user's arguments for a goal are checked by arguments-GOAL, if there is such a
# target: before all that installs, unpacks or builds, as all of that begins with "packages".
packages: $(MAKECMDGOALS:%=arguments-%)
arguments-%: ;

.PHONY: help
help: ## help: this list
	@echo "erofs-ramdax: one golden EROFS image, held once in memory, read by many"
	@echo
	@sed -n 's/^[^#]*## \([a-z-]*\): /\1\t/p' $(MAKEFILE_LIST) | sort | \
		awk -F'\t' '{ printf "  make %-16s %s\n", $$1, $$2 }'
	@echo
	@echo "ARCH= chooses the architecture of guests ($(ARCHS); PAGES=: the size of its pages)."
	@echo "BASE= chooses the kernel base ($(call bases_of,kernel); default: $(call base_of,kernel))."
	@echo "README.md says more; make -s print-VAR prints a variable (KERNEL, MKFS, FSCK, DUMP ...)."

.PHONY: print-%
print-%:
	$(if $(filter undefined,$(origin $*)),$(error no variable '$*'))
	@echo '$($*)'

.PHONY: clean
clean: ## clean: remove what was built, keep trees and downloads
	rm -rf $(filter-out %/tree %/tree.lock,$(wildcard $(patsubst %,$(BUILD)/%/*,$(BASES))))
	rm -rf $(addprefix $(BUILD)/,host guest check accel rootfs/golden.erofs rootfs/golden.list rootfs/key)

.PHONY: distclean
distclean: ## distclean: remove build/ altogether (trees with unwritten commits too)
	rm -rf $(BUILD)
