/* SPDX-License-Identifier: MIT */
/*
 * Env: what one guest CPU is at run time.  Generated code holds its address
 * (plus ENV_BIAS) in rbp; a stencil names a field by its offset.  The guest's
 * registers are "globals": g[i], one 64-bit slot each, whatever the guest calls
 * them.  While generated code runs, some globals live in host registers (the
 * plan); outside of it g[] is the truth.
 */
#ifndef TESSERA_ENV_H
#define TESSERA_ENV_H

#include "base.h"

enum {
    ENV_GLOBALS = 64,
    ENV_TEMPS = 32,
    ENV_BIAS = 128,         /* rbp points here: g[0..31] within a byte's reach */
    JUMP_CACHE_SIZE = 4096, /* slots; a power of two */
    JUMP_MORE_SIZE = 1 << 14,
};

/* Why generated code was left; Trap.kind. */
typedef enum TrapKind {
    TRAP_NONE,
    TRAP_SYSCALL,    /* pc: of the instruction */
    TRAP_BREAK,      /* breakpoint instruction at pc */
    TRAP_ILLEGAL,    /* unknown or forbidden instruction at pc */
    TRAP_FETCH,      /* code at addr cannot be read or executed */
    TRAP_MEMORY,     /* access to addr refused by the host: sig, code say how */
    TRAP_MISALIGNED, /* atomic access to addr, not naturally aligned */
    TRAP_FENCE_I,    /* instruction-fetch fence; pc: of the next instruction */
    TRAP_WAIT,       /* nothing to do until an interrupt; pc: of the next instruction */
    TRAP_REQUEST,    /* somebody called exec_request; pc: where to go on */
    TRAP_STOP,       /* pc is one of the Space's stops: a debugger's breakpoint */
} TrapKind;

typedef struct Trap {
    TrapKind kind;
    int sig, code; /* TRAP_MEMORY: host signal number and si_code */
    u64 addr;      /* guest address */
    bool write;
} Trap;

/* Bits of Env.request. */
enum { REQUEST_SIGNAL = 1, REQUEST_STOP = 2 };

typedef struct JumpSlot {
    u64 pc; /* guest pc; JUMP_EMPTY when unused */
    const void *host;
} JumpSlot;

/* One page of a system guest's virtual addresses, as its accesses look it up. */
typedef struct TlbEntry {
    u64 read, write; /* the page's address where that may be done; else TLB_NONE */
    u64 addend;      /* host address - guest address */
    u64 phys;        /* the page's physical address */
} TlbEntry;

#define TLB_NONE (~0ull)
/* With the site of a TLB miss: it is for a load and a store in one; the page is to be
 * the near one of the slot in the bits from MISS_SLOT. */
#define MISS_ATOMIC (1ull << 61)
#define MISS_NEAR   (1ull << 62)
enum { MISS_SLOT = 32 };

/* The last page that a guest register was a pointer into, for reading and for writing:
 * looked up without a search.  An empty slot stands for a page where nothing is, at
 * host address 0; so an access to it ends in a host fault. */
enum { NEAR_SLOTS = 64 };
#define NEAR_NONE (1ull << 62)
static inline u32 near_slot(u32 global, bool write) { return global * 2 + write; }

/* What the guest read from clocks: a block that is run twice reads the same. */
typedef struct ClockTape {
    u32 at;
    bool plays; /* else it records */
    u64 value[256];
} ClockTape;

#define JUMP_EMPTY      1ull /* no guest instruction stands at an odd address */
#define JUMP_MORE_EMPTY (~0ull)

static inline u32 jump_slot(u64 pc) { return pc >> 1 & (JUMP_CACHE_SIZE - 1); }
/* Key flags are below 1 << 14: they tell apart what the slot's number does not. */
static inline u32 jump_more_slot(u64 pc)
{
    return (pc ^ pc >> 14) >> 1 & (JUMP_MORE_SIZE - 1);
}

enum { STRIDES_MOST = 8 };

typedef struct Env {
    u64 g[ENV_GLOBALS];
    u64 pc;        /* guest pc, true outside generated code */
    u64 key_flags; /* guest state that code depends on: TbKey.flags */
    _Atomic u64 request;
    u32 mxcsr;      /* guest rounding mode and sticky flags, outside generated code */
    u32 mxcsr_host; /* ours, while generated code runs */
    u32 csr;        /* on its way to or from MXCSR */
    u32 spare;
    u64 base;                 /* host address of guest address 0; gs holds it too */
    u64 res_addr, res_value;  /* load-reserved; res_addr == -1: none */
    u64 arg[4], ret;          /* a helper call's arguments and result */
    u64 temp[ENV_TEMPS];      /* temps without a host register */
    u64 host_sp;              /* our stack, while generated code runs */
    const void *leave, *call; /* host code: back to C; a helper call */
    u64 call_site;            /* host address after the helper call under way; or 0 */
    const void *const *helpers;
    i64 budget;         /* instructions left to run, where they are counted */
    u64 entered, jumps; /* blocks and indirect jumps run; only while counted */
    TlbEntry *tlb;      /* of the mode the CPU is in */
    u64 tlb_mask;       /* its size less one entry, in bytes */
    u64 jump_tag;       /* system: what pcs in the jump cache are XOR-ed with */
    u64 near_page[NEAR_SLOTS], near_host[NEAR_SLOTS]; /* guest's and host's address */
    u64 near_used;                                    /* slots that may not be empty */
    u64 rounds, rounds_first; /* a loop's, until it is left; how many are granted */
    /* Of a loop that is looked up ahead: host - guest address; its last round. */
    u64 stride_delta[STRIDES_MOST], stride_limit;

    /* Not seen by stencils. */
    Trap trap;
    u64 guest_state[8];    /* the guest's own, beyond its globals */
    u64 id;                /* of the thread, for logs */
    struct Cache *cache;   /* tcache's */
    struct Thread *thread; /* tcache's, of this Env */
    void *task;            /* linux-user's or hw's */
    struct Mmu *mmu;       /* softmmu's; NULL: the window is the memory */
    u64 bounce[2];         /* stands for memory that has no host address */
    ClockTape *tape;       /* NULL: clocks are read as they are */
    JumpSlot *jump_more;   /* looked in next, by a thunk; pc is XOR-ed with key_flags */

    JumpSlot jump_cache[JUMP_CACHE_SIZE]; /* last: all before it is in one page */
} Env;

/* What a clock that shows now is to be for the guest. */
static inline u64 env_clock(Env *env, u64 now)
{
    ClockTape *t = env->tape;

    if (!t || t->at == ARRAY_SIZE(t->value))
        return now;
    if (!t->plays)
        t->value[t->at] = now;
    return t->value[t->at++];
}

static inline void env_forget_jumps(Env *env)
{
    for (u32 i = 0; i < JUMP_CACHE_SIZE; i++)
        env->jump_cache[i].pc = JUMP_EMPTY;
}

/* The slot that knows these bytes, all in one page; NULL: none does. */
static inline const TlbEntry *env_tlb(const Env *env, u64 addr, u32 size, bool write)
{
    u64 slot = addr / (PAGE_SIZE / sizeof(TlbEntry)) & env->tlb_mask;
    const TlbEntry *e = (const TlbEntry *)((const char *)env->tlb + slot);

    return (write ? e->write : e->read) == ((addr + size - 1) & PAGE_MASK) ? e : NULL;
}

#define ENV_OFF(field) ((i32)offsetof(Env, field) - ENV_BIAS)

#endif
