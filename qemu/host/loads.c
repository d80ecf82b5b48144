// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loads - a QEMU plugin that counts how often the guest's kernel loads each byte of
 * a range of memory, pass by pass
 *
 * usage: qemu-system-x86_64 -plugin libloads.so,out=FILE,start=ADDRESS,size=BYTES ...
 *
 * Passes are marked as for profile.c.  When one ends, each run of bytes that were
 * loaded equally often in it is written to FILE as a line
 *
 *	PASS OFFSET LENGTH LOADS
 *
 * in decimal, with the offset in the range; pass 0 is not written.  The range is of
 * physical addresses below 512 GiB, and only loads through the kernel's mapping of
 * all memory count: that begins at a multiple of 512 GiB
 * (Documentation/arch/x86/x86_64/mm.rst in Linux).  For one virtual CPU.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../guest/profile.h"
#include "qemu-plugin.h"

#define DIRECT_MAP_ALIGN	(1ULL << 39)
/* the upper half of addresses, but not the kernel's own text and data */
#define IS_DIRECT_MAP(address)	((address) >> 63 && (address) < 0xffffc00000000000ULL)

PLUGIN_EXPORT int qemu_plugin_version = 1;

static uint64_t start, size;
static unsigned int *loads;
static unsigned int pass;
static FILE *out;

static void on_load(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	uint64_t offset = address % DIRECT_MAP_ALIGN - start;

	(void)vcpu;
	(void)data;
	/* asked for loads alone, QEMU 7.2 tells of stores */
	if (!pass || qemu_plugin_mem_is_store(info) || !IS_DIRECT_MAP(address))
		return;
	/* what begins before the range is far below zero, and has no end in it */
	for (unsigned int i = 0; i < 1U << qemu_plugin_mem_size_shift(info); i++)
		if (offset + i < size)
			loads[offset + i]++;
}

static void on_mark(unsigned int vcpu, void *data)
{
	uint64_t from, to;

	(void)vcpu;
	for (from = 0; pass && from < size; from = to) {
		for (to = from; to < size && loads[to] == loads[from]; to++)
			;
		if (loads[from])
			fprintf(out, "%u %llu %llu %u\n", pass, (unsigned long long)from,
				(unsigned long long)(to - from), loads[from]);
	}
	memset(loads, 0, size * sizeof(*loads));
	pass = (uintptr_t)data;
	fflush(out);
}

static void on_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	static const unsigned char mark[] = { PROFILE_MARK_BYTES };
	const int of_kernel = qemu_plugin_tb_vaddr(tb) >> 63;

	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const unsigned char *bytes = qemu_plugin_insn_data(insn);

		if (of_kernel)
			qemu_plugin_register_vcpu_mem_cb(insn, on_load, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
							 NULL);
		else if (qemu_plugin_insn_size(insn) == sizeof(mark) + 1 && !memcmp(bytes, mark, sizeof(mark)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)bytes[sizeof(mark)]);
	}
}

PLUGIN_EXPORT
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "we");
		else if (!strncmp(argv[i], "start=", 6))
			start = strtoull(argv[i] + 6, NULL, 0);
		else if (!strncmp(argv[i], "size=", 5))
			size = strtoull(argv[i] + 5, NULL, 0);
	}
	loads = size ? calloc(size, sizeof(*loads)) : NULL;
	if (!out || !loads) {
		fprintf(stderr, "loads: no out=FILE that can be written, or no start=ADDRESS,size=BYTES\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
	return 0;
}
