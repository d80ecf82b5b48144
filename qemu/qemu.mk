# Guests: their programs, the shell, the tests.

include qemu/host/host.mk

GUEST_OUT := $(BUILD)/guest
GUEST_CFLAGS := -O2 -g0 -Wall -Wextra -Werror -D_GNU_SOURCE -static
# Programs of every guest: qemu/guest/NAME.c each.  What one needs beside its
# source is said below.
GUEST_PROGRAMS := guestctl verify bench scribble guestpages mark
GUEST_BASE := $(GUEST_OUT)/base.cpio
GUEST_TESTS := $(patsubst qemu/tests/%.c,$(GUEST_OUT)/tests/%,$(filter-out %/TEMPLATE.c,$(wildcard qemu/tests/*.c)))
# What "make shell" mounts.
SHELL_IMAGE = $(or $(IMAGE),$(wildcard $(BUILD)/rootfs/golden.erofs))

.PHONY: guest
guest: packages ## guest: build the programs of the guests and the base initramfs
	@$(MAKE) --no-print-directory -s $(GUEST_BASE) $(GUEST_TESTS)

# A guest kernel that is there is taken as it is, so that one test runs in
# seconds; "make kernel" brings it up to date.
.PHONY: guest-kernel
guest-kernel:
	@test -e $(KERNEL) || $(MAKE) --no-print-directory kernel
	@test -e $(MKFS) || $(MAKE) --no-print-directory utils

# The kselftests of the series that guest tests name, built by their own Makefiles.
KSELFTESTS := $(sort $(shell sed -n 's/^. kselftest: //p' $(wildcard qemu/tests/*.sh)))
.PHONY: kselftests
kselftests: guest-kernel ## kselftests: build the kselftests of the series for the guests
	@for t in $(sort $(dir $(KSELFTESTS))); do \
		mkdir -p $(GUEST_OUT)/kselftest/$$t && \
		$(MAKE) --no-print-directory -s -C $(KERNEL_TREE)/tools/testing/selftests/$$t \
			OUTPUT=$(GUEST_OUT)/kselftest/$${t%/} LDFLAGS=-static > $(GUEST_OUT)/kselftest/log 2>&1 || \
			{ cat $(GUEST_OUT)/kselftest/log; exit 1; }; \
	done

.PHONY: shell
shell: guest guest-kernel ## shell: an interactive guest with IMAGE (default: the golden image) mounted
	@image='$(SHELL_IMAGE)'; \
	KERNEL=$(KERNEL) qemu/vm shell --device "pmem:$${image:-$$(qemu/vm image tree)}" $(SHELL_ARGS)

.PHONY: test
test: guest kselftests ## test: run the guest tests of T (default: all) on FLAVOUR
	@qemu/vm test --flavour $(FLAVOUR) $(or $(T),--all)

STRESS ?= 900
.PHONY: stress
stress: guest ## stress: page-cache sharing under load and faults on the debug kernel for STRESS=900 seconds
	@$(MAKE) --no-print-directory guest-kernel FLAVOUR=debug
	@qemu/vm test --flavour debug --stress $(STRESS) ishare-stress

.PHONY: new-test
new-test: ## new-test: make the guest test NAME from the template (EXT=c for one in C)
	@qemu/vm new-test '$(NAME)' $(EXT)

$(GUEST_OUT)/guestctl $(GUEST_OUT)/init: qemu/guest/guest.c
$(GUEST_OUT)/verify $(GUEST_OUT)/bench: qemu/guest/filelist.c
$(GUEST_OUT)/verify: LDLIBS := -lcrypto

$(GUEST_OUT)/%: qemu/guest/%.c $(wildcard qemu/guest/*.h)
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -o $@ $(filter %.c,$^) $(LDLIBS)

$(GUEST_OUT)/tests/%: qemu/tests/%.c qemu/guest/guest.c $(wildcard qemu/guest/*.h)
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -Iqemu/guest -o $@ $(filter %.c,$^) $(LDLIBS)

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
	@ci/whole qemu/rootfs $(ROOTFS_OUT) $(GOLDEN_OPTIONS)

GUESTS ?= 4
DEVICES ?= pmem ramdax nvdimm carveout
# Afterwards two containers on one kernel, or "no".
CONTAINERS ?= yes
.PHONY: demo
demo: packages ## demo: the main job: GUESTS=4 guests on one image, and the proof that it is in memory once
	$(if $(filter-out yes no,$(CONTAINERS)),$(error CONTAINERS=$(CONTAINERS): write yes or no))
	@qemu/demo --check --guests "$(GUESTS)" --devices "$(DEVICES)"
	@$(MAKE) --no-print-directory rootfs host-tools guest
	@$(MAKE) --no-print-directory kernel FLAVOUR=fast
	@mkdir -p $(BUILD)/demo
	@qemu/demo --image $(ROOTFS_OUT)/golden.erofs --list $(ROOTFS_OUT)/golden.list \
		--kernel $(KERNEL) --hostpages $(HOSTPAGES) --guests $(GUESTS) \
		--devices "$(DEVICES)" --report $(BUILD)/demo/report.json \
		$(if $(filter no,$(CONTAINERS)),,--containers $(BUILD)/containers)

.PHONY: bench
bench: packages ## bench: instruction counts and memory of each backend (ROWS="ID ...", REPEAT=N)
	@$(MAKE) --no-print-directory rootfs guest
	@$(MAKE) --no-print-directory kernel FLAVOUR=fast
	@$(MAKE) --no-print-directory base-kernel
	@qemu/bench --image $(ROOTFS_OUT)/golden.erofs --list $(ROOTFS_OUT)/golden.list \
		--kernel $(KERNEL) --base-kernel $(BASE_KERNEL) --work $(BUILD)/bench \
		$(ROWS:%=--row %) --repeat $(or $(REPEAT),1)

MUTATIONS ?= 0-1999
# Under emulation the fast kernel needs a tenth of the time, and sees less.
MUTATIONS_FLAVOUR ?= debug
.PHONY: mutations
mutations: guest ## mutations: walk images with changed metadata on each backend, debug kernel (MUTATIONS=0-1999; an hour)
	@$(MAKE) --no-print-directory kernel FLAVOUR=$(MUTATIONS_FLAVOUR)
	@qemu/vm run --guests 2 --cpus 2 --timeout 14400 --memory 512M --log $(BUILD)/log/mutations \
		--kernel $(BUILD)/kernel/$(MUTATIONS_FLAVOUR)/arch/x86/boot/bzImage \
		--append 'no5lvl memmap=4M!128M memmap=4M$$136M ramdax=mutant:4M@136M' \
		--device "blk:$$(qemu/vm image mutants)" --env MUTATIONS=$(MUTATIONS) \
		-- $(GUEST_OUT)/tests/ramdax-mutations

ROW ?= ramdax
PASS ?= stat
.PHONY: profile
profile: packages ## profile: where the instructions of one pass of make bench go (ROW=ID, PASS=NAME)
	@$(MAKE) --no-print-directory rootfs guest
	@$(MAKE) --no-print-directory kernel FLAVOUR=fast
	@case "$(ROW)" in *-base) $(MAKE) --no-print-directory base-kernel;; esac
	@$(MAKE) --no-print-directory -s $(PROFILE_PLUGIN)
	@qemu/bench --image $(ROOTFS_OUT)/golden.erofs --list $(ROOTFS_OUT)/golden.list \
		--kernel $(KERNEL) --base-kernel $(BASE_KERNEL) --work $(BUILD)/bench \
		--row $(ROW) --profile $(PROFILE_PLUGIN) --pass "$(PASS)"
