/* SPDX-License-Identifier: MIT */
/*
 * Inside tcache: translations kept in files.
 *
 * A saved file holds the code of one guest file's mapping at one guest address.  It is
 * mapped behind the code buffer, privately and never written but for its data pages:
 *
 *   thunks, head | counters, slots | code | blocks, exits, pc maps, plans, hash
 *
 * All offsets in it are from its start.  Jumps between its blocks are there already;
 * whatever is found out later (a hot block's trace, an exit's block) goes to a slot in
 * its data.  Its code leaves with numbers that have EXIT_SAVED and the file's place in
 * them.  A block of it that C has to know by name is taken into the cache's tables; the
 * others just run.
 */
#ifndef TESSERA_SAVED_H
#define TESSERA_SAVED_H

#include "tb.h"

enum {
    SAVED_FILES = 64,        /* mapped at a time */
    SAVED_NUMBERS = 22,      /* bits of a block's or an exit's number in one */
    EXIT_SAVED = 0x10000000, /* | file << SAVED_NUMBERS | number there */
    SAVED_AREA = 1 << 30,    /* bytes behind the tables where they are mapped */
    SAVED_MOST = 256 << 20,  /* a file */
    SAVED_HEAD = 2048,       /* where it is */
    SAVED_DATA = PAGE_SIZE,
    SAVED_LEAST_INSNS = 200, /* not worth a file ... */
    SAVED_LEAST_MORE = 16,   /* ... nor is a new one for less than 1/16 more */
};

#define SAVED_MAGIC "TESSERA"

/* A code's counter, and where it goes on when that has run out. */
typedef struct SavedCell {
    i32 count;
    u32 unused;
    u64 slot;
} SavedCell;

/* Beginning of the data. */
typedef struct SavedData {
    u32 numbers; /* what is added to the code's exit numbers */
    u32 unused[15];
    SavedCell cell[]; /* by block; then the exits' slots */
} SavedData;

/* A Tb and a TbExit in a file; pcs are from where the guest mapped the code. */
typedef struct SavedTb {
    u32 pc, flags, code, size, first_exit, map;
    u32 hash_next; /* another block's number; 0: none */
    u16 n_insns, n_exits, plan;
    u8 trace, loops;
} SavedTb;

typedef struct SavedExit {
    i32 pc;
    u8 kind, trap, request : 1, next_page : 1, slot : 1; /* it has not been linked */
} SavedExit;

/* What a file is for; equal bytes: the same. */
typedef struct SavedKey {
    u64 version[2]; /* of us and all that code depends on */
    CacheFileId id;
    u64 start, offset; /* where the guest mapped it, and from where in the file */
} SavedKey;

typedef struct SavedHead {
    char magic[8];
    u64 sum; /* of all the file but magic and this */
    u64 size;
    SavedKey key;
    u32 data_end, code, code_end, slots;
    u32 tbs, exits, maps, plans, hash; /* where they are */
    u32 n_tbs, n_exits, maps_size, n_plans, hash_bits;
    u32 n_insns;
    u64 low, high; /* guest addresses that it was made from */
} SavedHead;

typedef struct SavedFile {
    const u8 *base;
    const SavedHead *head;
    const SavedTb *tbs;
    const SavedExit *exits;
    const Plan *plans;
    const u32 *hash;
    u32 at;     /* of base, from the start of the executable view */
    u32 *taken; /* number of each block in the cache's tables; 0: not taken */
    u16 *plan;  /* of each plan; 0: not taken */
} SavedFile;

/* A guest mapping of a file's code. */
typedef struct CodeMap {
    u64 start, end; /* of what is left of it */
    u64 offset;     /* of start in the file */
    SavedKey key;
    char *path; /* host's */
    i32 file;   /* index into Saved.file; SAVED_NONE, SAVED_UNKNOWN */
} CodeMap;

enum { SAVED_NONE = -1, SAVED_UNKNOWN = -2 };

typedef struct Saved {
    const char *dir;
    u64 limit;
    u64 version[2];
    GArray *maps;      /* of CodeMap */
    u32 area, at, end; /* of the executable view: where files are mapped; next free */
    SavedFile file[SAVED_FILES];
    u32 n_files;
    u32 born; /* blocks there were at the last fork */
} Saved;

/* Where tb_gen puts what is to be saved. */
typedef struct SavedForm {
    u32 slots;                   /* of exits */
    const struct Replay *replay; /* the trace at hand goes as that one did */
} SavedForm;

static inline bool saved_at(const Cache *c, u64 offset)
{
    return c->saved && offset - c->saved->area < c->saved->at - c->saved->area;
}

/* Neighbours share slots, as in the cache's own table. */
static inline u32 saved_hash(u64 pc, u32 bits)
{
    return (u32)(pc >> 1 ^ pc >> (bits + 1)) & ((1u << bits) - 1);
}

/* ---- saved.c ---- */
/* Makes c->saved; false: not here. */
bool saved_begin(Cache *c);
/* The block, taken into the tables; NULL: none.  The lock is held. */
Tb *saved_find(Cache *c, TbKey key);
/* Whose code, described in tb as if it were in the tables; NULL: nobody's.  No lock. */
const Tb *saved_tb_at(const Cache *c, u32 offset, Tb *tb, const Plan **plan);
/* A block that may not be in the tables, and how many entries are left before it is
 * hot; NULL: none.  Lock held. */
const SavedTb *saved_peek(const Cache *c, TbKey key, i32 *count);
TbKey saved_key(const Cache *c, u32 number); /* of a block's number; no lock */
/* What an exit's number stands for; no lock. */
TbExit saved_exit(const Cache *c, u32 number);
/* A block of the file with this head, as it is there. */
Tb saved_tb(const SavedHead *head, const SavedTb *tb);
/* The same in the tables, when its block is there or has room; 0: not.  Lock held. */
u32 saved_take_exit(Cache *c, u32 number);
/* A block's number likewise. */
u32 saved_take_block(Cache *c, u32 number);
/* Has the block's code go on at another's from now on, as long as that is alive. */
void saved_redirect(Cache *c, const Tb *tb, Tb *to);
/* The guest's map changes.  Lock held.  True: blocks of files are no longer true. */
bool saved_forget(Cache *c, u64 addr, u64 len);
void saved_reset(Cache *c); /* with the rest of the cache */

/* ---- saved_file.c ---- */
/* Is the folder there (or can be made), and ours alone to write?  False: errno. */
bool saved_folder(const char *dir);
u64 saved_sum(const u8 *bytes, u64 size);
/* Of a file, without the place of its sum. */
u64 saved_file_sum(const u8 *base, u64 size);
/* The file for a key, of at most room bytes: mapped as code at `at`, or (NULL) to be
 * read anywhere.  NULL: there is none, or it is not as it should be. */
const u8 *saved_open(const Saved *s, const SavedKey *key, void *at, u64 room);
/* keep: the addresses remain reserved. */
void saved_unmap(const u8 *base, u64 size, bool keep);
/* For saved_write, until it is closed; -1: no, or another process is making the file.
 */
int saved_claim(const Saved *s, const SavedKey *key);
/* Writes what was claimed, all or nothing. */
bool saved_write(const Saved *s, const SavedKey *key, int fd, const u8 *bytes,
                 u64 size);
void saved_prune(const Saved *s); /* keeps the folder within its size */

/* ---- save.c ---- */
/* Where the block at hand has its counter and slots. */
void save_places(const SavedForm *form, EmitTask *t);

#endif
