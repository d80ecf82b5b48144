// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * profile - a QEMU plugin that counts the instructions of each piece of code,
 * pass by pass
 *
 * usage: qemu-system-x86_64 -plugin libprofile.so,out=FILE ...
 *
 * A program in the guest marks the start of a pass by an instruction that does
 * nothing, but has the number of the pass in it (PROFILE_MARK() in
 * qemu/guest/profile.h).  What is executed from there to the next mark is
 * counted by the address of the translated block, and written to FILE as lines
 *
 *	PASS ADDRESS INSTRUCTIONS
 *
 * in decimal, hexadecimal and decimal.  Pass 0 is not written.  For one virtual
 * CPU.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../guest/profile.h"
#include "qemu-plugin.h"

PLUGIN_EXPORT int qemu_plugin_version = 1;

/* One for each translation, which QEMU's translated code adds to. */
struct block {
	struct block *next;
	uint64_t address, count;
};

static struct block *blocks;
static unsigned int pass;
static FILE *out;

static void on_mark(unsigned int vcpu, void *data)
{
	(void)vcpu;
	for (struct block *b = blocks; b; b = b->next) {
		if (pass && b->count)
			fprintf(out, "%u %llx %llu\n", pass, (unsigned long long)b->address,
				(unsigned long long)b->count);
		b->count = 0;
	}
	pass = (uintptr_t)data;
	fflush(out);
}

static void on_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	static const unsigned char mark[] = { PROFILE_MARK_BYTES };
	struct block *b = calloc(1, sizeof(*b));

	(void)id;
	if (!b)
		abort();
	b->address = qemu_plugin_tb_vaddr(tb);
	b->next = blocks;
	blocks = b;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &b->count,
						 qemu_plugin_tb_n_insns(tb));
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const unsigned char *bytes = qemu_plugin_insn_data(insn);

		if (qemu_plugin_insn_size(insn) == sizeof(mark) + 1 && !memcmp(bytes, mark, sizeof(mark)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)bytes[sizeof(mark)]);
	}
}

PLUGIN_EXPORT
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "we");
	if (!out) {
		fprintf(stderr, "profile: no out=FILE, or it cannot be written\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
	return 0;
}
