# Guest kernels: tinyconfig and the fragments in kernel/config.

FLAVOUR ?= fast
FLAVOURS := fast debug
ifeq ($(filter $(FLAVOUR),$(FLAVOURS)),)
$(error FLAVOUR=$(FLAVOUR) is not one of: $(FLAVOURS))
endif

KERNEL_TREE := $(BUILD)/$(LINUX_BASE)
KERNEL_OUT := $(BUILD)/kernel/$(FLAVOUR)
KERNEL := $(KERNEL_OUT)/arch/x86/boot/bzImage
# The unpatched base with the same configuration, to compare with.  The way from
# its build directory to its sources is that of the series' kernel, so that
# ccache finds what both have in common.
BASE_TREE := $(BUILD)/base/$(LINUX_BASE)
BASE_OUT := $(BUILD)/base/kernel/fast
BASE_KERNEL := $(BASE_OUT)/arch/x86/boot/bzImage

.PHONY: kernel
kernel: packages ## kernel: build the guest kernel of FLAVOUR (fast or debug)
	@ci/whole ci/series tree $(LINUX_BASE)
	@ci/whole kernel/build $(FLAVOUR) $(KERNEL_TREE) $(KERNEL_OUT)

.PHONY: base-kernel
base-kernel: packages
	@ci/whole ci/series tree $(LINUX_BASE)
	@ci/whole ci/series worktree $(LINUX_BASE) $(BASE_TREE)
	@ci/whole kernel/build fast $(BASE_TREE) $(BASE_OUT)
