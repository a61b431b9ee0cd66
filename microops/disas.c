/* SPDX-License-Identifier: MIT */
/* Host code as text.  The only file that knows capstone. */
#include "microops.h"

#include <inttypes.h>
#include <capstone/capstone.h>

static void print_bytes(FILE *f, const u8 *code, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%02x", code[i]);
    fprintf(f, "%*s", n < 12 ? (int)(2 * (12 - n)) : 0, "");
}

static void print_insns(FILE *f, csh cs, cs_insn *insn, const u8 *code, size_t size,
                        u64 address)
{
    while (size) {
        const u8 *at = code;

        if (cs_disasm_iter(cs, &code, &size, &address, insn)) {
            fprintf(f, "0x%012" PRIx64 ":  ", insn->address);
            print_bytes(f, at, insn->size);
            fprintf(f, "  %s %s\n", insn->mnemonic, insn->op_str);
        } else {
            fprintf(f, "0x%012" PRIx64 ":  ", address);
            print_bytes(f, at, 1);
            fprintf(f, "  .byte 0x%02x\n", *at);
            code++, size--, address++;
        }
    }
}

void disas_host(FILE *f, const u8 *code, size_t size, u64 address)
{
    cs_insn *insn;
    csh cs;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK) {
        fprintf(f, "(no disassembler for this host)\n");
        return;
    }
    insn = cs_malloc(cs);
    if (insn)
        print_insns(f, cs, insn, code, size, address);
    cs_free(insn, 1);
    cs_close(&cs);
}
