# Guests: their programs, the shell, the tests.

include qemu/host/host.mk

GUEST_OUT := $(BUILD)/guest$(ARCH_SUFFIX)
GUEST_CC := $(if $(CROSS),$(CROSS)gcc,$(CC))
# __SANE_USERSPACE_TYPES__: __u64 is unsigned long long everywhere (powerpc has it otherwise)
GUEST_CFLAGS := -O2 -g0 -Wall -Wextra -Werror -D_GNU_SOURCE -D__SANE_USERSPACE_TYPES__ -static
# Programs of every guest: qemu/guest/NAME.c each.  What one needs beside its
# source is said below.
GUEST_PROGRAMS := guestctl verify bench scribble guestpages mark
GUEST_BASE := $(GUEST_OUT)/base.cpio
BUSYBOX := /bin/busybox
LIBNETTLE := -lnettle
ifneq ($(CROSS),)
MULTIARCH := $(patsubst %-,%,$(CROSS))
SYSROOT := $(BUILD)/sysroot$(ARCH_SUFFIX)
BUSYBOX := $(SYSROOT)/bin/busybox
BUSYBOX_BY := --run $(call arch_key,user)-static
LIBNETTLE := $(SYSROOT)/usr/lib/$(MULTIARCH)/libnettle.a
GUEST_CFLAGS += -isystem $(SYSROOT)/usr/include -isystem $(SYSROOT)/usr/include/$(MULTIARCH)

$(BUSYBOX) $(LIBNETTLE) &:
	@qemu/sysroot $(CROSS) $(SYSROOT) $(call arch_key,debian)

$(GUEST_BASE): $(BUSYBOX)
$(GUEST_OUT)/verify: $(LIBNETTLE)
endif

# Guest tests stand in groups: qemu/tests/GROUP/NAME.c, with headers of the group.
GUEST_TESTS := $(patsubst qemu/tests/%.c,$(GUEST_OUT)/tests/%,$(wildcard qemu/tests/*/*.c))
# What "make shell" mounts.
SHELL_IMAGE = $(or $(IMAGE),$(wildcard $(BUILD)/rootfs/golden.erofs))

# Programs of erofs-utils that guest tests name, each of one source.
GUEST_TOOLS := $(sort $(shell sed -n 's/^. tool: //p' $(wildcard qemu/tests/*/*.sh)))

.PHONY: guest
guest: packages ## guest: build the programs of the guests and the base initramfs
	@ci/whole ci/series tree $(UTILS_BASE)
	@$(MAKE) --no-print-directory -s $(GUEST_BASE) $(GUEST_TESTS) $(GUEST_TOOLS:%=$(GUEST_OUT)/tools/%)

# A guest kernel that is there is taken as it is, so that one test runs in
# seconds; "make kernel" brings it up to date.
.PHONY: guest-kernel
guest-kernel:
	@test -e $(KERNEL) || $(MAKE) --no-print-directory kernel
	@test -e $(MKFS) || $(MAKE) --no-print-directory utils

# The kselftests of the series that guest tests name, built by their own Makefiles.
KSELFTESTS := $(sort $(shell sed -n 's/^. kselftest: //p' $(wildcard qemu/tests/*/*.sh)))
KSELFTEST_OUT := $(BASE_BUILD)/kselftest$(ARCH_SUFFIX)
.PHONY: kselftests
kselftests: guest-kernel ## kselftests: build the kselftests of the series for the guests
	@for t in $(sort $(dir $(KSELFTESTS))); do \
		[ -d $(KERNEL_TREE)/tools/testing/selftests/$$t ] || continue; \
		mkdir -p $(KSELFTEST_OUT)/$$t && \
		$(MAKE) --no-print-directory -s -C $(KERNEL_TREE)/tools/testing/selftests/$$t \
			CROSS_COMPILE=$(CROSS) OUTPUT=$(KSELFTEST_OUT)/$${t%/} LDFLAGS=-static > $(KSELFTEST_OUT)/log 2>&1 || \
			{ cat $(KSELFTEST_OUT)/log; exit 1; }; \
	done

.PHONY: shell arguments-shell
arguments-shell:
	$(if $(IMAGE),@qemu/vm shell --check --device 'pmem:$(IMAGE)')
# No tests, and no tools unless an image has to be made with them.
shell: packages ## shell: an interactive guest with IMAGE (default: the golden image) mounted
	@$(MAKE) --no-print-directory -s $(GUEST_BASE)
	@test -e $(KERNEL) || $(MAKE) --no-print-directory kernel
	@$(if $(SHELL_IMAGE),:,test -e $(MKFS) || $(MAKE) --no-print-directory utils)
	@image='$(SHELL_IMAGE)'; \
	KERNEL=$(KERNEL) qemu/vm shell --device "pmem:$${image:-$$(qemu/vm image tree)}" $(SHELL_ARGS)

.PHONY: test arguments-test
arguments-test:
	$(if $(T),@qemu/vm test --list $(T) > /dev/null)
test: guest kselftests ## test: run the guest tests of T (default: all) on FLAVOUR
	@qemu/vm test --flavour $(FLAVOUR) $(or $(T),--all)

# A whole Debian 13 with its own kernel: both packages installed, used, upgraded, removed.
STOCK_ROOT := $(BUILD)/roots/stock
# Of sid: that of Debian 13 has no snapshotter for EROFS. Fetched once.
CONTAINERD := $(BUILD)/stock/containerd
.PHONY: test-stock
test-stock: dkms-deb utils-deb ## test-stock: boot Debian 13 with its own kernel, install the packages, run containers
	@ci/whole ci/debian-root make trixie $(STOCK_ROOT) ci/roots/stock.txt
	@ci/whole kernel/dkms/build $(KERNEL_TREE) $(BUILD_ROOT) $(BUILD)/stock/former $(DKMS_VERSION)~former > /dev/null
	@mkdir -p $(CONTAINERD) && cd $(CONTAINERD) && { [ -e containerd_*.deb ] || $(TOP)/ci/debian-apt sid download containerd > log 2>&1; }
	@ci/whole qemu/stock/disk $(STOCK_ROOT) $(BUILD)/stock/disk qemu/stock/install qemu/stock/test qemu/stock/runtimes \
		$(BUILD)/stock/former/erofs-ramdax-dkms_*.deb $(DKMS_DEB) $(PACKAGES_OUT)/erofs-utils_$(UTILS_VERSION)_*.deb \
		$(CONTAINERD)/containerd_*.deb
	@ci/whole qemu/stock/run $(BUILD)/stock/disk $(BUILD)/stock/figures.json

# Debian 13 as a golden image that virtual machines boot from, and as a disk.
VM_ROOT := $(BUILD)/roots/vm
VM_OUT := $(BUILD)/stock/vm
.PHONY: demo-vm
demo-vm: stock-kernel ## demo-vm: Debian guests that boot from one image in memory, beside one with a disk
	@$(MAKE) --no-print-directory utils host-tools
	@$(MAKE) --no-print-directory kernel FLAVOUR=fast
	@ci/whole ci/debian-root make trixie $(VM_ROOT) ci/roots/vm.txt
	@ci/whole qemu/stock/disk $(VM_ROOT) $(VM_OUT) qemu/stock/vm-install qemu/stock/vm-test \
		$(INITRAMFS_DEB) $(STOCK_OUT)/modules/99-erofs.ko
	@[ ! -e $(VM_OUT)/root.tar ] || { $(MKFS) --quiet --tar=f $(GOLDEN_OPTIONS) $(VM_OUT)/golden.erofs $(VM_OUT)/root.tar && \
		truncate -s %2M $(VM_OUT)/golden.erofs && rm $(VM_OUT)/root.tar; }
	@qemu/demo-vm --boot $(VM_OUT) --kernel $(KERNEL) --hostpages $(HOSTPAGES) --report $(VM_OUT)/report.json

STRESS ?= 900
.PHONY: stress arguments-stress
arguments-stress:
	$(call check_number,STRESS)
stress: guest ## stress: page-cache sharing under load and faults on the debug kernel for STRESS=900 seconds
	@$(MAKE) --no-print-directory guest-kernel FLAVOUR=debug
	@qemu/vm test --flavour debug --stress $(STRESS) ishare-stress

.PHONY: new-test
new-test: ## new-test: make the guest test NAME=GROUP/NAME from the template (EXT=c for one in C)
	@qemu/vm new-test '$(NAME)' $(EXT)

$(GUEST_OUT)/guestctl $(GUEST_OUT)/init: qemu/guest/guest.c
$(GUEST_OUT)/init: $(wildcard qemu/guest/init-*.c)
$(GUEST_OUT)/verify $(GUEST_OUT)/bench: qemu/guest/filelist.c
$(GUEST_OUT)/verify: LDLIBS := $(LIBNETTLE)

$(GUEST_OUT)/%: qemu/guest/%.c $(wildcard qemu/guest/*.h)
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_CFLAGS) -o $@ $(filter %.c,$^) $(LDLIBS)

$(GUEST_OUT)/tests/%: qemu/tests/%.c qemu/guest/guest.c $(wildcard qemu/guest/*.h qemu/tests/*/*.h)
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_CFLAGS) -Iqemu/guest -o $@ $(filter %.c,$^) $(LDLIBS)

$(GUEST_OUT)/tools/%: $(UTILS_TREE)/%.c
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_CFLAGS) -U_GNU_SOURCE -o $@ $<

$(GUEST_BASE): qemu/mkinitramfs qemu/harness/cpio.py $(GUEST_OUT)/init \
	       $(GUEST_PROGRAMS:%=$(GUEST_OUT)/%) qemu/guest/ktap.sh qemu/guest/dax.sh
	@/usr/bin/python3 -B $< $(BUSYBOX_BY) $@ $(BUSYBOX) $(filter-out %.py $< $(BUSYBOX),$^)

# The golden image: a Debian root filesystem, or the user's own tree or image.
ROOTFS_OUT := $(BUILD)/rootfs
export ROOTFS IMAGE
# Memory devices have no use for data beside the inode: DAX maps whole pages.
GOLDEN_OPTIONS := -Enoinline_data

.PHONY: rootfs arguments-rootfs
arguments-rootfs:
	@qemu/images/rootfs --check
rootfs: packages utils ## rootfs: make the golden image in build/rootfs (ROOTFS=DIR, IMAGE=FILE: your own)
	@ci/whole qemu/images/rootfs $(ROOTFS_OUT) $(GOLDEN_OPTIONS)

GUESTS ?= 4
DEVICES ?= pmem ramdax nvdimm carveout
# Afterwards two containers on one kernel, or "no".
CONTAINERS ?= yes
.PHONY: demo arguments-demo
arguments-demo: arguments-rootfs
	$(call check_word,CONTAINERS,yes no)
	@qemu/demo --check --guests '$(GUESTS)' --devices '$(DEVICES)'
demo: packages ## demo: the main job: GUESTS=4 guests on one image, and the proof that it is in memory once
	@$(MAKE) --no-print-directory rootfs host-tools guest
	@$(MAKE) --no-print-directory kernel FLAVOUR=fast
	@mkdir -p $(BASE_BUILD)/demo
	@qemu/demo --image $(ROOTFS_OUT)/golden.erofs --list $(ROOTFS_OUT)/golden.list \
		--kernel $(KERNEL) --hostpages $(HOSTPAGES) --guests $(GUESTS) \
		--devices "$(DEVICES)" --report $(BASE_BUILD)/demo/report.json \
		$(if $(filter no,$(CONTAINERS)),,--containers $(BASE_BUILD)/containers)

# One image for guests of all these, made here: with fingerprints, and with large files where pages
# of 64 KiB can map them.
MACHINES ?= $(ALL_MACHINES)
ALL_MACHINES := x86_64-4k $(patsubst kernel/config/arch/%.config,%,$(wildcard kernel/config/arch/*-*.config))
MACHINES_OUT := $(BUILD)/machines
MACHINES_OPTIONS := --dax --fingerprint
.PHONY: golden-machines arguments-golden-machines
arguments-golden-machines: arguments-rootfs
	$(foreach m,$(MACHINES),$(if $(filter $(m),$(ALL_MACHINES)),,$(error MACHINES=$(m): each is one of: $(ALL_MACHINES))))
golden-machines: packages ## golden-machines: verify one image in guests of each architecture and page size (MACHINES="arm64-64k ...")
	@$(MAKE) --no-print-directory rootfs
	@$(foreach m,$(MACHINES),$(MAKE) --no-print-directory ARCH=$(firstword $(subst -, ,$(m))) PAGES=$(lastword $(subst -, ,$(m))) FLAVOUR=fast kernel guest &&) :
	@mkdir -p $(MACHINES_OUT)
	@$(if $(ROOTFS)$(IMAGE),,ROOTFS=$(ROOTFS_OUT)/rootfs.tar) ci/whole qemu/images/rootfs $(MACHINES_OUT) $(MACHINES_OPTIONS)
	@truncate -s %256M $(MACHINES_OUT)/golden.erofs   # the largest slot for memory that one of them has
	@qemu/machines --image $(MACHINES_OUT)/golden.erofs --list $(MACHINES_OUT)/golden.list \
		--report $(BASE_BUILD)/machines.json $(MACHINES)

# Kernel bases that share page cache without their series: what is measured on the series is
# measured beside one of them, too.
PEERS = linux-7.3
PEER ?= $(firstword $(PEERS))
PEER_KERNEL = $(BUILD)/$(PEER)/unpatched/kernel-fast/arch/x86/boot/bzImage
PEER_NAME = Linux $(firstword $(subst -, ,$(call field_of,VERSION,kernel/$(PEER).base)))
.PHONY: compared-kernels
compared-kernels: packages
	@$(MAKE) --no-print-directory utils guest
	@$(MAKE) --no-print-directory kernel FLAVOUR=fast
	@$(MAKE) --no-print-directory base-kernel BASE=$(PEER)

# Programs for "make pairs", or all.
APPS ?= redis nginx postgresql mariadb python tomcat
.PHONY: pairs arguments-pairs
arguments-pairs:
	$(call check_word,PEER,$(PEERS))
	@qemu/pairs --check --apps '$(APPS)'
pairs: compared-kernels ## pairs: what images of Debian packages share, predicted and measured (APPS="redis nginx ...")
	@MKFS=$(MKFS) DUMP=$(DUMP) qemu/pairs --kernel $(KERNEL) --peer '$(PEER_NAME)=$(PEER_KERNEL)' --work $(BUILD)/pairs \
		--apps '$(APPS)' --report $(BASE_BUILD)/pairs.json

.PHONY: many arguments-many
arguments-many:
	$(call check_word,PEER,$(PEERS))
many: compared-kernels $(GUEST_OUT)/mount-file ## many: what each further one of many images costs, mounted in several ways
	@MKFS=$(MKFS) qemu/many --kernel $(KERNEL) --peer '$(PEER_NAME)=$(PEER_KERNEL)' --work $(BUILD)/many \
		--report $(BASE_BUILD)/many.json

REPEAT ?= 1
BENCH_ARGUMENTS = $(ROWS:%=--row '%') --repeat '$(REPEAT)'
.PHONY: bench arguments-bench
arguments-bench: arguments-rootfs
	@qemu/bench --check $(BENCH_ARGUMENTS)
bench: packages ## bench: instruction counts and memory of each backend (ROWS="ID ...", REPEAT=N)
	@$(MAKE) --no-print-directory rootfs guest
	@$(MAKE) --no-print-directory kernel FLAVOUR=fast
	@$(MAKE) --no-print-directory base-kernel
	@qemu/bench --image $(ROOTFS_OUT)/golden.erofs --list $(ROOTFS_OUT)/golden.list \
		--kernel $(KERNEL) --base-kernel $(BASE_KERNEL) --work $(BASE_BUILD)/bench \
		$(BENCH_ARGUMENTS)

MUTATIONS ?= 0-1999
# Under emulation the fast kernel needs a tenth of the time, and sees less.
MUTATIONS_FLAVOUR ?= debug
.PHONY: mutations arguments-mutations
arguments-mutations:
	$(call check_word,MUTATIONS_FLAVOUR,$(FLAVOURS))
	$(if $(shell echo '$(MUTATIONS)' | grep -xE '[0-9]+-[0-9]+'),,$(error MUTATIONS=$(MUTATIONS): write FIRST-LAST, 0-1999 say))
mutations: guest ## mutations: walk images with changed metadata on each backend, debug kernel (MUTATIONS=0-1999; an hour)
	@$(MAKE) --no-print-directory kernel FLAVOUR=$(MUTATIONS_FLAVOUR)
	@qemu/vm run --guests 2 --cpus 2 --timeout 14400 --memory 512M --log $(BASE_BUILD)/log/mutations \
		--kernel $(BASE_BUILD)/kernel-$(MUTATIONS_FLAVOUR)/arch/x86/boot/bzImage \
		--append 'memmap=4M!128M memmap=4M$$136M' --range mutant:4M@136M \
		--device "blk:$$(qemu/vm image mutants)" --env MUTATIONS=$(MUTATIONS) \
		-- $(GUEST_OUT)/tests/stress/ramdax-mutations

ROW ?= ramdax
PASS ?= stat
PROFILE_ARGUMENTS = --row '$(ROW)' --profile $(PROFILE_PLUGIN) --pass '$(PASS)'
.PHONY: profile arguments-profile
arguments-profile: arguments-rootfs
	@qemu/bench --check $(PROFILE_ARGUMENTS)
profile: packages ## profile: where the instructions of one pass of make bench go (ROW=ID, PASS=NAME)
	@$(MAKE) --no-print-directory rootfs guest
	@$(MAKE) --no-print-directory kernel FLAVOUR=fast
	@case "$(ROW)" in *-base) $(MAKE) --no-print-directory base-kernel;; esac
	@$(MAKE) --no-print-directory -s $(PROFILE_PLUGIN)
	@qemu/bench --image $(ROOTFS_OUT)/golden.erofs --list $(ROOTFS_OUT)/golden.list \
		--kernel $(KERNEL) --base-kernel $(BASE_KERNEL) --work $(BASE_BUILD)/bench \
		$(PROFILE_ARGUMENTS)
