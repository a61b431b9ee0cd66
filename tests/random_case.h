/* SPDX-License-Identifier: MIT */
/*
 * What test_random and the guest program that runs its sequences
 * (guest/bare/random_runner.c) agree on: the file of sequences, the file of results,
 * and the guest's memory while a sequence runs.
 *
 * A sequence is run for some rounds.  Each begins with registers of which some are as
 * the last round left them and others are new values, and adds the state it ends in,
 * and the state at each fault, to a hash.
 */
#ifndef TESTS_RANDOM_CASE_H
#define TESTS_RANDOM_CASE_H

#include "../microops/base.h"

/* ---- the guest's memory ---- */

enum {
    CODE_AT = 0x20000000, /* all sequences; may be written */
    AREA_AT = 0x30000000,
    ROOM_AT = 0x31000000, /* tp */
    CASE_AT = 0x32000000, /* the file */
};

/* Pages from AREA_AT on, each of its own kind, so that borders between all are near. */
enum {
    AREA_NOTHING, /* not mapped */
    AREA_EDGE,    /* read and write */
    AREA_NONE,    /* mapped, no access */
    AREA_EDGE2,
    AREA_READ, /* read only */
    AREA_EDGE3,
    AREA_FILE,   /* the whole of a file ... */
    AREA_BEYOND, /* ... and beyond its end */
    AREA_NOTHING2,
    AREA_TRAP,    /* read and write, in some rounds less */
    AREA_SCRATCH, /* gp points to its start */
    AREA_SCRATCH2,
    AREA_END,
    AREA_BYTES = AREA_END * 4096,
    GP_AT = AREA_AT + AREA_SCRATCH * 4096,
};

enum {
    POOL_SIZE = 64, /* values that sequences can load */
    LOOP_SLOTS = 16,
    ADDR_SLOTS = 16, /* addresses for accesses that may fault */
    VALUES = 512,    /* for x registers; as many for f registers */
    TARGETS = 256,   /* addresses to pick from, the good ones first */
    TARGETS_GOOD = 128,
    MAX_ROUNDS = 128,
    RECORDS = 28, /* faults kept in full: those of one round, about */
    SCRATCH_BEFORE = 2048,
    SCRATCH_BYTES = 2048 + 2 * 4096,
};

typedef struct State {
    u64 x[32], f[32], fcsr;
} State;

/* At ROOM_AT, which is 1024 bytes into it, so that displacements reach all. */
typedef struct Room {
    u64 loop[64]; /* rounds left of each loop */
    u64 pool[POOL_SIZE];
    State state; /* that the sequence begins with, then that it ends with */
    u64 last_x;  /* x31, while the sequence jumps to leave */
    u64 leave;   /* where it jumps then */
    u64 resume;  /* where to go on after a jump to where no code is */
    u64 addr[ADDR_SLOTS];
    u64 wild[ADDR_SLOTS]; /* where no code is */
} Room;

enum {
    ROOM_BEFORE = 1024,
    LOOP_OFFSET = -1024, /* from tp */
    POOL_OFFSET = -512,
    X_OFFSET = 0,
    LAST_X_OFFSET = 520,
    LEAVE_OFFSET = 528,
    RESUME_OFFSET = 536,
    ADDR_OFFSET = 544,
    WILD_OFFSET = ADDR_OFFSET + 8 * ADDR_SLOTS,
};

/* ---- the file of sequences: a CaseHead, the CaseSeqs, and from code_at the code ----
 */

enum {
    SEQ_FAULTY = 1, /* addr[] may hold bad addresses, the trap page may be protected */
    SEQ_SHORT = 2,  /* no long loops */
    SEQ_EACH = 4,   /* the trap page is protected in every fourth round */
    SEQ_RESERVES = 8, /* LR and SC: a signal may change what comes of them */
};

typedef struct CaseSeq {
    u64 entry; /* guest address */
    u64 seed;
    u64 flags; /* SEQ_* */
    State start;
} CaseSeq;

typedef struct CaseHead {
    u64 n, rounds, code_at, code_bytes;
    u64 ints[VALUES], floats[VALUES], targets[TARGETS], wild[ADDR_SLOTS];
    u8 scratch[SCRATCH_BYTES];
    CaseSeq seq[];
} CaseHead;

/* ---- the file of results: one CaseResult a sequence ---- */

typedef struct FaultRecord {
    u64 number, sig, code, addr, pc;
    State state;
} FaultRecord;

typedef struct CaseResult {
    u64 faults;
    u64 hash[MAX_ROUNDS];       /* of everything up to the end of the round */
    State begin, end;           /* of the last round */
    FaultRecord fault[RECORDS]; /* the last ones */
    u8 scratch[SCRATCH_BYTES];
} CaseResult;

#endif
