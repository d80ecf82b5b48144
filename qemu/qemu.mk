# Guests: their programs, the shell, the tests.

include qemu/host/host.mk

GUEST_OUT := $(BUILD)/guest
GUEST_CFLAGS := -O2 -g0 -Wall -Wextra -Werror -D_GNU_SOURCE -static
# Programs of every guest: qemu/guest/NAME.c each.  What one needs beside its
# source is said below.
GUEST_PROGRAMS := guestctl verify bench scribble
GUEST_BASE := $(GUEST_OUT)/base.cpio
VM := KERNEL=$(KERNEL) qemu/vm

.PHONY: guest
guest: packages ## guest: build the programs of the guests and the base initramfs
	@$(MAKE) --no-print-directory $(GUEST_BASE)

$(GUEST_OUT)/guestctl $(GUEST_OUT)/init: qemu/guest/guest.c
$(GUEST_OUT)/verify $(GUEST_OUT)/bench: qemu/guest/filelist.c
$(GUEST_OUT)/verify: LDLIBS := -lcrypto

$(GUEST_OUT)/%: qemu/guest/%.c $(wildcard qemu/guest/*.h)
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -o $@ $(filter %.c,$^) $(LDLIBS)

$(GUEST_BASE): qemu/mkinitramfs qemu/cpio.py $(GUEST_OUT)/init \
	       $(GUEST_PROGRAMS:%=$(GUEST_OUT)/%) qemu/guest/ktap.sh
	@python3 -B $< $@ /bin/busybox $(filter-out %.py $<,$^)

# The golden image: a Debian root filesystem, or the user's own tree or image.
ROOTFS_OUT := $(BUILD)/rootfs
export ROOTFS IMAGE
# Memory devices have no use for data beside the inode: DAX maps whole pages.
GOLDEN_OPTIONS := -Enoinline_data

.PHONY: rootfs
rootfs: packages utils ## rootfs: make the golden image in build/rootfs (ROOTFS=DIR, IMAGE=FILE: your own)
	@qemu/rootfs $(ROOTFS_OUT) $(GOLDEN_OPTIONS)

GUESTS ?= 3
# Not nvdimm: Linux maps no pages of an NVDIMM without a label area, so DAX is off.
DEVICES ?= pmem carveout
.PHONY: demo
demo: packages ## demo: the main job: GUESTS=3 guests on one image, and the proof that it is in memory once
	@case "$(GUESTS)" in [1-9]|1[0-6]) ;; *) \
		echo "GUESTS=$(GUESTS): between 1 and 16 can run together" >&2; exit 2;; esac
	@$(MAKE) --no-print-directory rootfs host-tools guest
	@$(MAKE) --no-print-directory kernel FLAVOUR=fast
	@mkdir -p $(BUILD)/demo
	@qemu/demo --image $(ROOTFS_OUT)/golden.erofs --list $(ROOTFS_OUT)/golden.list \
		--kernel $(KERNEL) --hostpages $(HOSTPAGES) --guests $(GUESTS) \
		--devices "$(DEVICES)" --report $(BUILD)/demo/report.json

.PHONY: bench
bench: packages ## bench: instruction counts and memory of each backend (ROWS="ID ...", REPEAT=N)
	@$(MAKE) --no-print-directory rootfs guest
	@$(MAKE) --no-print-directory kernel FLAVOUR=fast
	@$(MAKE) --no-print-directory base-kernel
	@qemu/bench --image $(ROOTFS_OUT)/golden.erofs --list $(ROOTFS_OUT)/golden.list \
		--kernel $(KERNEL) --base-kernel $(BASE_KERNEL) --work $(BUILD)/bench \
		$(ROWS:%=--row %) --repeat $(or $(REPEAT),1)
