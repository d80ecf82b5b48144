# Guest kernels: tinyconfig and the fragments in kernel/config.

include kernel/dkms/dkms.mk

FLAVOUR ?= fast
FLAVOURS := fast debug modules
$(call check_word,FLAVOUR,$(FLAVOURS))

# The architecture of the guests, and the size of their pages, where it has a choice.
ARCH ?= x86_64
ARCHS := $(strip $(foreach a,$(basename $(notdir $(wildcard kernel/config/arch/*.config))),$(if $(findstring -,$(a)),,$(a))))
$(call check_word,ARCH,$(ARCHS))
PAGES ?= 4k
PAGE_SIZES := $(or $(patsubst kernel/config/arch/$(ARCH)-%.config,%,$(wildcard kernel/config/arch/$(ARCH)-*.config)),4k)
$(call check_word,PAGES,$(PAGE_SIZES))
export ARCH PAGES
# "# KEY: VALUE" at the head of the architecture's configuration, see kernel/build.
arch_key = $(shell sed -n 's/^# $(1): //p' kernel/config/arch/$(ARCH).config)
CROSS := $(filter-out gcc,$(call arch_key,compiler))
# What is built for guests of another architecture than x86_64 stands beside the rest.
ARCH_SUFFIX := $(if $(CROSS),-$(ARCH))
IMAGE_PATH := $(call arch_key,image)
# The other targets have figures of x86_64, or need what only its machine has.
ARCH_GOALS := help packages tree kernel guest kselftests test shell
$(if $(CROSS),$(if $(filter 0,$(MAKELEVEL)),$(foreach g,$(filter-out $(ARCH_GOALS) print-%,$(MAKECMDGOALS)),\
	$(error ARCH=$(ARCH): 'make $(g)' is for x86_64 alone; there are $(ARCH_GOALS)))))

# All that depends on the kernel base is in here.
BASE_BUILD := $(BUILD)/$(BASE)
KERNEL_TREE := $(BASE_BUILD)/tree
KERNEL_OUT := $(BASE_BUILD)/kernel-$(FLAVOUR)$(addsuffix -$(PAGES),$(ARCH_SUFFIX))
KERNEL := $(KERNEL_OUT)/$(IMAGE_PATH)
# The unpatched base with the same configuration, to compare with.  The way from
# its build directory to its sources is that of the series' kernel, so that
# ccache finds what both have in common.
UNPATCHED_TREE := $(BASE_BUILD)/unpatched/tree
UNPATCHED_OUT := $(BASE_BUILD)/unpatched/kernel-fast
BASE_KERNEL := $(UNPATCHED_OUT)/$(IMAGE_PATH)

.PHONY: kernel
kernel: packages ## kernel: build the guest kernel of FLAVOUR (fast, debug or modules), ARCH and PAGES
	@ci/whole ci/series tree $(BASE)
	@ci/whole kernel/build $(FLAVOUR) $(KERNEL_TREE) $(KERNEL_OUT)

.PHONY: base-kernel
base-kernel: packages
	@ci/whole ci/series tree $(BASE)
	@ci/whole ci/series worktree $(BASE) $(UNPATCHED_TREE)
	@ci/whole kernel/build fast $(UNPATCHED_TREE) $(UNPATCHED_OUT)
