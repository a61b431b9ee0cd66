/* SPDX-License-Identifier: MIT */
/* Host code as text.  The only file that knows capstone. */
#include "microops.h"

#include <inttypes.h>
#include <capstone/capstone.h>

typedef struct Walk {
    const u8 *code;
    u64 address; /* of code */
    HostInsnFn *fn;
    void *ctx;
} Walk;

static void walk(const Walk *w, csh cs, cs_insn *insn, size_t size)
{
    const u8 *code = w->code;
    u64 address = w->address;
    char text[256];

    while (size) {
        u32 at = (u32)(code - w->code), len = 1;

        if (cs_disasm_iter(cs, &code, &size, &address, insn)) {
            len = insn->size;
            snprintf(text, sizeof text, "%s %s", insn->mnemonic, insn->op_str);
        } else {
            snprintf(text, sizeof text, ".byte 0x%02x", *code);
            code++, size--, address++;
        }
        w->fn(w->ctx, at, len, text);
    }
}

void disas_host_each(const u8 *code, size_t size, u64 address, HostInsnFn *fn,
                     void *ctx)
{
    const Walk w = {code, address, fn, ctx};
    cs_insn *insn;
    csh cs;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK) {
        fn(ctx, 0, (u32)size, "(no disassembler for this host)");
        return;
    }
    insn = cs_malloc(cs);
    if (insn)
        walk(&w, cs, insn, size);
    cs_free(insn, 1);
    cs_close(&cs);
}

typedef struct Listing {
    FILE *f;
    const u8 *code;
    u64 address;
} Listing;

static void print_insn(void *ctx, u32 at, u32 len, const char *text)
{
    const Listing *l = ctx;

    fprintf(l->f, "0x%012" PRIx64 ":  ", l->address + at);
    for (u32 i = 0; i < len; i++)
        fprintf(l->f, "%02x", l->code[at + i]);
    fprintf(l->f, "%*s  %s\n", len < 12 ? (int)(2 * (12 - len)) : 0, "", text);
}

void disas_host(FILE *f, const u8 *code, size_t size, u64 address)
{
    Listing l = {f, code, address};

    disas_host_each(code, size, address, print_insn, &l);
}
