# Guests: their programs, the shell, the tests.

include qemu/host/host.mk

GUEST_OUT := $(BUILD)/guest
GUEST_CFLAGS := -O2 -g0 -Wall -Wextra -Werror -D_GNU_SOURCE -static
# Programs of every guest: qemu/guest/NAME.c each.  What one needs beside its
# source is said below.
GUEST_PROGRAMS := guestctl verify
GUEST_BASE := $(GUEST_OUT)/base.cpio
VM := KERNEL=$(KERNEL) qemu/vm

.PHONY: guest
guest: packages ## guest: build the programs of the guests and the base initramfs
	@$(MAKE) --no-print-directory $(GUEST_BASE)

$(GUEST_OUT)/guestctl $(GUEST_OUT)/init: qemu/guest/guest.c
$(GUEST_OUT)/verify: qemu/guest/filelist.c
$(GUEST_OUT)/verify: LDLIBS := -lcrypto

$(GUEST_OUT)/%: qemu/guest/%.c $(wildcard qemu/guest/*.h)
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -o $@ $(filter %.c,$^) $(LDLIBS)

$(GUEST_BASE): qemu/mkinitramfs qemu/cpio.py $(GUEST_OUT)/init \
	       $(GUEST_PROGRAMS:%=$(GUEST_OUT)/%) qemu/guest/ktap.sh
	@python3 -B $< $@ /bin/busybox $(filter-out %.py $<,$^)
