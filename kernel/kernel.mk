# Guest kernels: tinyconfig and the fragments in kernel/config.

include kernel/dkms/dkms.mk

FLAVOUR ?= fast
FLAVOURS := fast debug
$(call check_word,FLAVOUR,$(FLAVOURS))

# All that depends on the kernel base is in here.
BASE_BUILD := $(BUILD)/$(BASE)
KERNEL_TREE := $(BASE_BUILD)/tree
KERNEL_OUT := $(BASE_BUILD)/kernel-$(FLAVOUR)
KERNEL := $(KERNEL_OUT)/arch/x86/boot/bzImage
# The unpatched base with the same configuration, to compare with.  The way from
# its build directory to its sources is that of the series' kernel, so that
# ccache finds what both have in common.
UNPATCHED_TREE := $(BASE_BUILD)/unpatched/tree
UNPATCHED_OUT := $(BASE_BUILD)/unpatched/kernel-fast
BASE_KERNEL := $(UNPATCHED_OUT)/arch/x86/boot/bzImage

.PHONY: kernel
kernel: packages ## kernel: build the guest kernel of FLAVOUR (fast or debug)
	@ci/whole ci/series tree $(BASE)
	@ci/whole kernel/build $(FLAVOUR) $(KERNEL_TREE) $(KERNEL_OUT)

.PHONY: base-kernel
base-kernel: packages
	@ci/whole ci/series tree $(BASE)
	@ci/whole ci/series worktree $(BASE) $(UNPATCHED_TREE)
	@ci/whole kernel/build fast $(UNPATCHED_TREE) $(UNPATCHED_OUT)
