# Guest kernels: tinyconfig and the fragments in kernel/config.

FLAVOUR ?= fast
FLAVOURS := fast debug
ifeq ($(filter $(FLAVOUR),$(FLAVOURS)),)
$(error FLAVOUR=$(FLAVOUR) is not one of: $(FLAVOURS))
endif

KERNEL_TREE := $(BUILD)/$(LINUX_BASE)
KERNEL_OUT := $(BUILD)/kernel/$(FLAVOUR)
KERNEL := $(KERNEL_OUT)/arch/x86/boot/bzImage
# The unpatched base with the same configuration, to compare with.
BASE_KERNEL := $(BUILD)/kernel/base/arch/x86/boot/bzImage

.PHONY: kernel
kernel: packages ## kernel: build the guest kernel of FLAVOUR (fast or debug)
	@ci/series tree $(LINUX_BASE)
	@kernel/build $(FLAVOUR) $(KERNEL_TREE) $(KERNEL_OUT)

.PHONY: base-kernel
base-kernel: packages
	@ci/series tree $(LINUX_BASE)
	@ci/series worktree $(LINUX_BASE) $(BUILD)/$(LINUX_BASE)-base
	@kernel/build fast $(BUILD)/$(LINUX_BASE)-base $(BUILD)/kernel/base
