/* SPDX-License-Identifier: MIT */
/*
 * The guest program around the sequences: one ELF file, code and data, no library.
 * For each sequence it sets scratch memory, loop counters and all registers, runs it,
 * stores the registers and writes the Dump to its standard output.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "random_insn.h"

enum {
    TEXT = 0x10000,
    DATA = 0x2000000,
    BEFORE = 1024, /* loop counters and pool, just before the dump */
    ROUNDS_SHORT = 3,
    ROUNDS_LONG = 200,
};

/* In the data segment, one after another. */
typedef struct Data {
    u64 loop[64], pool[POOL_SIZE]; /* BEFORE bytes */
    Dump dump;
    u8 scratch[SCRATCH_SIZE]; /* what each sequence finds there */
    u64 loop_start[64];
    u64 spare;
} Data;

typedef struct Start {
    u64 fcsr, f[32], x[32];
} Start;

static_assert(offsetof(Data, dump) == BEFORE, "tp reaches back to the counters");
static_assert(offsetof(Dump, scratch) % 64 == 0, "whole cache blocks");

typedef struct Text {
    u32 *at, n;
} Text;

static void put(Text *t, u32 insn) { t->at[t->n++] = insn; }

static void put_address(Text *t, u32 rd, u64 v)
{
    put(t, enc_u(E_LUI, rd, (u32)((v + 0x800) >> 12)));
    put(t, enc_i(E_ADDIW, rd, rd, (i32)(v & 0xfff)));
}

/* Copies words 8 bytes each: x5 source, x6 destination, x7 end of source. */
static void put_copy(Text *t, u64 from, u64 to, u64 len)
{
    put_address(t, 5, from);
    put_address(t, 6, to);
    put_address(t, 7, from + len);
    put(t, enc_i(E_LD, 8, 5, 0));
    put(t, enc_s(E_SD, 6, 8, 0));
    put(t, enc_i(E_ADDI, 5, 5, 8));
    put(t, enc_i(E_ADDI, 6, 6, 8));
    put(t, enc_r(E_BNE, 0, 5, 7) | imm_b(-16));
}

static void put_before(Text *t, u64 start)
{
    u64 dump = DATA + offsetof(Data, dump);

    put_copy(t, DATA + offsetof(Data, scratch), dump + offsetof(Dump, scratch),
             SCRATCH_SIZE);
    put_copy(t, DATA + offsetof(Data, loop_start), DATA + offsetof(Data, loop),
             8 * LOOP_SLOTS);
    put_address(t, 5, DATA + offsetof(Data, spare));
    put(t, enc_r(E_SC_W, 0, 5, 0)); /* no reservation from earlier */
    put_address(t, X_GP, dump + offsetof(Dump, scratch) + SCRATCH_MIDDLE);
    put_address(t, X_TP, dump);
    put_address(t, 5, start);
    put(t, enc_i(E_LD, 6, 5, offsetof(Start, fcsr)));
    put(t, enc_i(E_CSRRW, 0, 6, CSR_FCSR));
    for (u32 i = 0; i < 32; i++)
        put(t, enc_i(E_FLD, i, 5, (i32)(offsetof(Start, f) + 8 * i)));
    for (u32 i = 1; i < 32; i++)
        if (i != X_GP && i != X_TP && i != 5)
            put(t, enc_i(E_LD, i, 5, (i32)(offsetof(Start, x) + 8 * i)));
    put(t, enc_i(E_LD, 5, 5, (i32)(offsetof(Start, x) + 8 * 5)));
}

static void put_system_call(Text *t, i32 number)
{
    put(t, enc_i(E_ADDI, 17, 0, number));
    put(t, E_ECALL);
}

static void put_after(Text *t)
{
    for (u32 i = 1; i < 32; i++)
        put(t, enc_s(E_SD, X_TP, i, (i32)(offsetof(Dump, x) + 8 * i)));
    for (u32 i = 0; i < 32; i++)
        put(t, enc_s(E_FSD, X_TP, i, (i32)(offsetof(Dump, f) + 8 * i)));
    put(t, enc_i(E_CSRRS, 5, 0, CSR_FCSR));
    put(t, enc_s(E_SD, X_TP, 5, offsetof(Dump, fcsr)));
    put(t, enc_i(E_ADDI, 10, 0, 1));
    put(t, enc_i(E_ADDI, 11, X_TP, 0));
    put_address(t, 12, sizeof(Dump));
    put_system_call(t, 64); /* write */
}

static void put_exit(Text *t)
{
    put(t, enc_i(E_ADDI, 10, 0, 0));
    put_system_call(t, 94); /* exit_group */
}

/* A sequence between its prologue and epilogue; begins at a multiple of 4. */
static void put_sequence(Text *t, Seq *s, u64 start)
{
    u64 here, end;

    put_before(t, start);
    here = TEXT + 4ull * t->n;
    end = seq_lay_out(s, here);
    seq_encode(s, (u8 *)(t->at + t->n), here);
    if (end & 2) { /* c.nop */
        *(u16 *)((u8 *)t->at + (end - TEXT)) = 1;
        end += 2;
    }
    t->n += (u32)(end - here) / 4;
    put_after(t);
}

static void fill_data(Data *d)
{
    u64 state = 0x1234567;

    for (u32 i = 0; i < POOL_SIZE; i++)
        d->pool[i] = i & 1 ? random_float(&state) : random_int(&state);
    for (u32 i = 0; i < SCRATCH_SIZE; i++)
        d->scratch[i] = (u8)(random_next(&state) >> 40);
    for (u32 i = 0; i < LOOP_SLOTS; i++)
        d->loop_start[i] = i % 4 ? ROUNDS_SHORT : ROUNDS_LONG;
}

static void fill_start(Start *out, const Seq *s)
{
    out->fcsr = s->fcsr;
    memcpy(out->f, s->f, sizeof(out->f));
    memcpy(out->x, s->x, sizeof(out->x));
}

static void fill_headers(u8 *file, size_t text, size_t data)
{
    Elf64_Ehdr *e = (Elf64_Ehdr *)file;
    Elf64_Phdr *p = (Elf64_Phdr *)(e + 1);

    memcpy(e->e_ident, ELFMAG "\2\1\1", 7);
    e->e_type = ET_EXEC;
    e->e_machine = EM_RISCV;
    e->e_version = 1;
    e->e_entry = TEXT;
    e->e_phoff = sizeof(*e);
    e->e_flags = 5; /* RVC, double-float ABI */
    e->e_ehsize = sizeof(*e);
    e->e_phentsize = sizeof(*p);
    e->e_phnum = 2;
    p[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, PAGE_SIZE, TEXT,
                        TEXT,    text,        text,      PAGE_SIZE};
    p[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, PAGE_SIZE + text, DATA, DATA,
                        data,    data,        PAGE_SIZE};
}

u8 *random_elf(Seq *seqs, u32 n, size_t *size)
{
    size_t room = n * (1024ull + SEQ_ITEMS * 4 * ITEM_WORDS) + 64;
    size_t data = sizeof(Data) + n * sizeof(Start);
    u8 *file = calloc(1, 2 * PAGE_SIZE + room + data);
    Text text = {(u32 *)(file + PAGE_SIZE), 0};
    size_t len;

    for (u32 i = 0; i < n; i++)
        put_sequence(&text, &seqs[i], DATA + sizeof(Data) + i * sizeof(Start));
    put_exit(&text);
    len = align_up(text.n * 4, PAGE_SIZE);
    fill_data((Data *)(file + PAGE_SIZE + len));
    for (u32 i = 0; i < n; i++)
        fill_start((Start *)(file + PAGE_SIZE + len + sizeof(Data)) + i, &seqs[i]);
    fill_headers(file, len, data);
    *size = PAGE_SIZE + len + data;
    return file;
}
