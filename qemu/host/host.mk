# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that run on the host.

HOST_CFLAGS ?= -O2 -Wall -Wextra -Werror
HOSTPAGES := $(BUILD)/host/hostpages
HOSTPAGES_SRCS := $(wildcard qemu/host/hostpages*.c)

.PHONY: host-tools
host-tools: $(HOSTPAGES) ## host-tools: build hostpages, the host's page accounting
	@:

$(HOSTPAGES): $(HOSTPAGES_SRCS) qemu/host/hostpages.h
	@mkdir -p $(@D)
	$(CC) $(HOST_CFLAGS) -o $@ $(HOSTPAGES_SRCS)

# Plugins of QEMU, for "make profile" and ci/t/read-once.t.
PROFILE_PLUGIN := $(BUILD)/host/libprofile.so
LOADS_PLUGIN := $(BUILD)/host/libloads.so

$(BUILD)/host/lib%.so: qemu/host/%.c qemu/host/qemu-plugin.h qemu/guest/profile.h
	@mkdir -p $(@D)
	$(CC) $(HOST_CFLAGS) -D_GNU_SOURCE -shared -fPIC -fvisibility=hidden -o $@ $<
