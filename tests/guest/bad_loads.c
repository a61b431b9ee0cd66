/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run bad_loads
 *
 * Every load, load-reserved and AMO, into every register, from an address that is not
 * there: the handler and the code after it must find the register as it was. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "check.h"

enum { A0 = 10, A1 = 11, BAD = 0x1000, VALUES = 3 };

typedef u64 Code(u64 address, u64 value);

static const struct {
    const char *name;
    u32 bits; /* with rs1 a0, rs2 a1 */
    int fp;
} loads[] = {
#define LOAD(name, funct3, opcode)                             \
    {                                                          \
        name, A0 << 15 | funct3 << 12 | opcode, opcode == 0x07 \
    }
#define ATOMIC(name, funct5, rs2)                                               \
    {name ".w", (u32)funct5 << 27 | rs2 << 20 | A0 << 15 | 2 << 12 | 0x2f, 0},  \
    {                                                                           \
        name ".d", (u32)funct5 << 27 | rs2 << 20 | A0 << 15 | 3 << 12 | 0x2f, 0 \
    }
    LOAD("lb", 0, 0x03),       LOAD("lh", 1, 0x03),      LOAD("lw", 2, 0x03),
    LOAD("ld", 3, 0x03),       LOAD("lbu", 4, 0x03),     LOAD("lhu", 5, 0x03),
    LOAD("lwu", 6, 0x03),      LOAD("flw", 2, 0x07),     LOAD("fld", 3, 0x07),
    ATOMIC("lr", 2, 0),        ATOMIC("amoswap", 1, A1), ATOMIC("amoadd", 0, A1),
    ATOMIC("amoxor", 4, A1),   ATOMIC("amoand", 12, A1), ATOMIC("amoor", 8, A1),
    ATOMIC("amomin", 16, A1),  ATOMIC("amomax", 20, A1), ATOMIC("amominu", 24, A1),
    ATOMIC("amomaxu", 28, A1),
};

static u32 *code;
static u32 reg;
static int fp;
static u64 value, seen;
static unsigned faults;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;

    faults++;
    CHECK_EQ(sig, SIGSEGV);
    CHECK_EQ(info->si_addr, BAD);
    CHECK_EQ(m->__gregs[0], &code[1]);
    if (fp)
        memcpy(&seen, &m->__fpregs.__d.__f[reg], sizeof seen);
    else
        seen = m->__gregs[reg];
    m->__gregs[0] += 4;
}

/* reg = value; load; return reg. */
static void make_code(u32 load)
{
    if (fp) {
        code[0] = 0xf2000053 | A1 << 15 | reg << 7; /* fmv.d.x reg, a1 */
        code[2] = 0xe2000053 | reg << 15 | A0 << 7; /* fmv.x.d a0, reg */
    } else {
        code[0] = 0x13 | A1 << 15 | reg << 7; /* mv reg, a1 */
        code[2] = 0x13 | reg << 15 | A0 << 7; /* mv a0, reg */
    }
    code[1] = load | reg << 7;
    code[3] = 0x00008067; /* ret */
    __builtin___clear_cache((char *)code, (char *)(code + 4));
}

static void try_load(size_t i)
{
    static const u64 values[VALUES] = {0x0123456789abcdef, 0, 0xffffffff3f800000};

    make_code(loads[i].bits);
    for (int v = 0; v < VALUES; v++) {
        u64 after;

        value = values[v];
        seen = ~value;
        after = ((Code *)code)(BAD, value);
        if (seen != value || after != value)
            printf("%s to %c%u: ", loads[i].name, fp ? 'f' : 'x', reg);
        CHECK_EQ(seen, value);
        CHECK_EQ(after, value);
    }
}

/* ra, sp, gp, tp and a0 are in use; s-registers are the caller's. */
static int may_use(void)
{
    return fp ? reg < 8 || (reg >= 10 && reg < 18) || reg >= 28
              : (reg >= 5 && reg < 8) || (reg > A0 && reg < 18) || reg >= 28;
}

int main(void)
{
    struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    unsigned want = 0;

    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaction(SIGSEGV, &act, NULL);
    for (size_t i = 0; i < COUNT(loads); i++) {
        fp = loads[i].fp;
        for (reg = 0; reg < 32; reg++)
            if (may_use()) {
                try_load(i);
                want += VALUES;
            }
    }
    CHECK_EQ(faults, want);
    return check_done("bad_loads");
}
