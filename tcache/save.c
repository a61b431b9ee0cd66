/* SPDX-License-Identifier: MIT */
/*
 * Making files of saved translations.  When a process ends, the blocks that it has made
 * of a file's code, and those that the file had of it already, are translated once more
 * in the form for keeping, from the file itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "saved.h"
#include "trace.h"

enum { RACY = 2 }; /* seconds that a file must not have been changed for */

/* A block to be saved; pcs: of its instructions, if it is a trace. */
typedef struct Wanted {
    TbKey key;
    u32 n_insns, n_exits;
    bool trace, loops;
    u64 *pcs;
} Wanted;

typedef struct Saver {
    Cache *c;
    CodeMap map;
    int fd;     /* of the file that is made */
    Cache *out; /* where the code is made */
    SavedForm form;
    Space space;    /* with the file's bytes in it */
    const u8 *old;  /* what there is; NULL: nothing */
    GArray *wanted; /* by key */
} Saver;

/* ---- what to save ---- */

static int by_key(const void *a, const void *b)
{
    const Wanted *x = a, *y = b;

    if (x->key.pc != y->key.pc)
        return x->key.pc < y->key.pc ? -1 : 1;
    if (x->key.flags != y->key.flags)
        return x->key.flags < y->key.flags ? -1 : 1;
    return y->trace - x->trace;
}

static void want(Saver *s, const Tb *tb, const u8 *maps)
{
    Wanted w = {.key = {tb->pc, tb->flags},
                .n_insns = tb->n_insns,
                .n_exits = tb->n_exits,
                .trace = tb->trace,
                .loops = tb->loops};

    if (tb->trace) {
        w.pcs = g_new(u64, tb->n_insns);
        tb_map_pcs(tb, maps, w.pcs);
    }
    g_array_append_val(s->wanted, w);
}

static bool lies_in(const Saver *s, const Tb *tb, const u8 *maps)
{
    u64 pcs[IR_INSNS];

    if (tb->pc < s->map.start || tb->pc >= s->map.end)
        return false;
    if (!tb->trace)
        return true;
    tb_map_pcs(tb, maps, pcs);
    for (u32 i = 0; i < tb->n_insns; i++)
        if (pcs[i] < s->map.start || pcs[i] >= s->map.end)
            return false;
    return true;
}

static const SavedHead *head_of(const u8 *base)
{
    return (const SavedHead *)(base + SAVED_HEAD);
}

static void want_old(Saver *s)
{
    const SavedHead *h = s->old ? head_of(s->old) : NULL;

    for (u32 i = 1; h && i < h->n_tbs; i++) {
        Tb tb = saved_tb(h, &((const SavedTb *)(s->old + h->tbs))[i]);

        if (lies_in(s, &tb, s->old + h->maps))
            want(s, &tb, s->old + h->maps);
    }
}

/* First come, of equal keys, the traces. */
static void drop_doubles(GArray *wanted)
{
    u32 n = 0;

    g_array_sort(wanted, by_key);
    for (u32 i = 0; i < wanted->len; i++) {
        Wanted *w = &g_array_index(wanted, Wanted, i);
        Wanted *last = n ? &g_array_index(wanted, Wanted, n - 1) : NULL;

        if (last && last->key.pc == w->key.pc && last->key.flags == w->key.flags)
            g_free(w->pcs);
        else
            g_array_index(wanted, Wanted, n++) = *w;
    }
    g_array_set_size(wanted, n);
}

static u32 count_insns(const GArray *wanted)
{
    u32 n = 0;

    for (u32 i = 0; i < wanted->len; i++)
        n += g_array_index(wanted, Wanted, i).n_insns;
    return n;
}

static u32 count_exits(const GArray *wanted)
{
    u32 n = 0;

    for (u32 i = 0; i < wanted->len; i++)
        n += g_array_index(wanted, Wanted, i).n_exits;
    return n;
}

/* Is there enough to make it worth a file? */
static bool gather(Saver *s)
{
    Cache *c = s->c;
    u32 before, n = 0;

    for (u32 i = MAX(c->saved->born, 1); i < c->n_tbs; i++)
        if (c->tbs[i].state == TB_ALIVE && lies_in(s, &c->tbs[i], c->maps))
            n += c->tbs[i].n_insns;
    if (n < SAVED_LEAST_INSNS)
        return false;
    s->old = saved_open(c->saved, &s->map.key, NULL, SAVED_MOST);
    want_old(s);
    drop_doubles(s->wanted);
    before = count_insns(s->wanted);
    for (u32 i = 1; i < c->n_tbs; i++)
        if (c->tbs[i].state == TB_ALIVE && lies_in(s, &c->tbs[i], c->maps))
            want(s, &c->tbs[i], c->maps);
    drop_doubles(s->wanted);
    n = count_insns(s->wanted);
    return n > before &&
           n - before >= MAX(SAVED_LEAST_INSNS, before / SAVED_LEAST_MORE);
}

/* ---- the file that the code is of ---- */

CacheFileId cache_file_id(const struct stat *st)
{
    return (CacheFileId){
        st->st_dev, st->st_ino, (u64)st->st_size,
        (u64)st->st_mtim.tv_sec * 1000000000 + (u64)st->st_mtim.tv_nsec,
        (u64)st->st_ctim.tv_sec * 1000000000 + (u64)st->st_ctim.tv_nsec};
}

/* The file's bytes at the guest's addresses; false: it is not what was mapped, or was
 * changed so lately that the next change might not show. */
static bool open_source(Saver *s)
{
    u64 len = s->map.end - s->map.start;
    int fd = open(s->map.path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    void *p = MAP_FAILED;
    struct stat st;
    CacheFileId id;

    if (fd < 0)
        return false;
    if (!fstat(fd, &st)) {
        id = cache_file_id(&st);
        if (!memcmp(&id, &s->map.key.id, sizeof id) &&
            time(NULL) - st.st_ctime > RACY && s->map.offset < id.size &&
            s->map.end - s->map.key.start < 1u << 30)
            p = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, (off_t)s->map.offset);
    }
    close(fd);
    s->space = *s->c->space;
    s->space.base = (u8 *)((uintptr_t)p - s->map.start);
    s->space.size = s->map.end; /* what follows is not the file's */
    return p != MAP_FAILED;
}

static void close_source(Saver *s)
{
    munmap(space_host(&s->space, s->map.start), s->map.end - s->map.start);
}

/* ---- the code ---- */

void save_places(const SavedForm *form, EmitTask *t)
{
    u32 cell = SAVED_DATA + offsetof(SavedData, cell) + t->block * sizeof(SavedCell);

    t->counter = cell;
    t->hot_slot = cell + offsetof(SavedCell, slot);
    t->slots = form->slots;
}

/* Room for all: no block may need more slots than it is given here. */
static bool make_out(Saver *s)
{
    Cache *c = s->c, *out = s->out = calloc(1, sizeof *out);
    u64 insns = count_insns(s->wanted), n = s->wanted->len + 1;
    u64 slots = SAVED_DATA + sizeof(SavedData) + n * sizeof(SavedCell);
    u64 n_exits = count_exits(s->wanted) + 2 * n + IR_EXITS;
    u64 code = align_up(slots + 8 * n_exits, PAGE_SIZE);

    if (!out || n >= 1u << SAVED_NUMBERS || n_exits >= 1u << SAVED_NUMBERS)
        return false;
    out->options = c->options;
    out->guest = c->guest;
    out->space = &s->space;
    out->stencils = c->stencils;
    out->ir = c->ir;
    out->task = c->task;
    out->helpers = c->helpers;
    out->timed = c->timed;
    out->plans = calloc(MAX_PLANS, sizeof *out->plans);
    s->form = (SavedForm){.slots = (u32)slots};
    out->form = &s->form;
    if (!out->plans ||
        !tb_make_tables(out,
                        align_up(code + insns * 128 + n * 128 + (1 << 20), 1 << 16), 0))
        return false;
    out->plans[0] = c->plans[0];
    out->n_tbs = out->n_exits = out->n_maps = out->n_refs = out->n_plans = 1;
    out->low_tb = out->max_tbs;
    out->max_exits = MIN(out->max_exits, (u32)n_exits);
    emit_thunks(&out->thunks, out->stencils, &out->plans[0], out->write,
                (const struct Guest *)out->guest, SAVED_DATA, true);
    assert(out->thunks.end <= SAVED_HEAD);
    out->at = out->at_start = (u32)code;
    return true;
}

static void free_out(Cache *out)
{
    if (out && out->exec) {
        munmap(out->exec, out->tables_end);
        munmap(out->write, out->size);
    }
    if (out)
        free(out->plans);
    free(out);
}

/* False: no more room. */
static bool translate(Saver *s, Env *env, const Wanted *w)
{
    Replay replay = {w->pcs, w->n_insns, w->loops};
    Cache *out = s->out;
    bool faulted;
    Tb *tb;

    s->form.replay = &replay;
    tb = exec_gen(out, env, w->key, w->trace ? GEN_TRACE : GEN_BLOCK, &faulted);
    if (!tb)
        return faulted;
    ((SavedData *)(out->write + SAVED_DATA))->cell[tb_number(out, tb)].count =
        (i32)out->options.hot;
    return tb->end < SAVED_MOST / 3 * 2;
}

static void link_all(Cache *out)
{
    for (u32 i = 1; i < out->n_exits; i++) {
        const TbExit *x = &out->exits[i];
        Tb *to = x->jump ? tb_find(out, x->pc, out->tbs[x->tb].flags) : NULL;

        if (to)
            chain_link(out, i, to);
    }
}

static void translate_all(Saver *s, Env *env)
{
    Cache *c = s->c;

    c->saving = s->out;
    for (u32 i = 0; i < s->wanted->len; i++)
        if (!translate(s, env, &g_array_index(s->wanted, Wanted, i)))
            break;
    c->saving = NULL;
    link_all(s->out);
}

/* ---- the file ---- */

/* Appends bytes, aligned; returns where they are. */
static u32 add(GByteArray *file, const void *bytes, u64 size)
{
    static const u8 none[64];
    u32 at;

    g_byte_array_append(file, none, -file->len & 63);
    at = file->len;
    g_byte_array_append(file, bytes, (guint)size);
    return at;
}

static SavedTb *pack_tbs(const Saver *s)
{
    const Cache *out = s->out;
    SavedTb *all = g_new0(SavedTb, out->n_tbs);

    for (u32 i = 1; i < out->n_tbs; i++) {
        const Tb *tb = &out->tbs[i];

        all[i] = (SavedTb){.pc = (u32)(tb->pc - s->map.key.start),
                           .flags = (u32)tb->flags,
                           .code = tb->code,
                           .size = tb->end - tb->code,
                           .first_exit = tb->first_exit,
                           .map = tb->map,
                           .n_insns = tb->n_insns,
                           .n_exits = tb->n_exits,
                           .plan = tb->plan,
                           .trace = tb->trace,
                           .loops = tb->loops};
    }
    return all;
}

static SavedExit *pack_exits(const Saver *s)
{
    const Cache *out = s->out;
    SavedExit *all = g_new0(SavedExit, out->n_exits);

    for (u32 i = 1; i < out->n_exits; i++) {
        const TbExit *x = &out->exits[i];

        all[i] = (SavedExit){.pc = (i32)(x->pc - s->map.key.start),
                             .kind = x->kind,
                             .trap = x->trap,
                             .request = x->request,
                             .next_page = x->next_page,
                             .slot = x->jump && !x->to};
    }
    return all;
}

/* To find the blocks by. */
static u32 *hash_of(const Cache *out, SavedTb *tbs, u32 bits)
{
    u32 *hash = g_new0(u32, 1u << bits);

    for (u32 i = 1; i < out->n_tbs; i++) {
        u32 *slot = &hash[saved_hash(out->tbs[i].pc, bits)];

        tbs[i].hash_next = *slot;
        *slot = i;
    }
    return hash;
}

static void range_of(const Saver *s, SavedHead *h)
{
    h->low = s->map.end;
    for (u32 i = 1; i < s->out->n_tbs; i++) {
        const Tb *tb = &s->out->tbs[i];
        u64 pcs[IR_INSNS];

        tb_map_pcs(tb, s->out->maps, pcs);
        for (u32 k = 0; k < tb->n_insns; k++) {
            h->low = MIN(h->low, pcs[k]);
            h->high = MAX(h->high, pcs[k] + 4); /* no instruction is longer */
        }
        h->n_insns += tb->n_insns;
    }
    h->low &= PAGE_MASK;
    h->high = MIN(align_up(h->high, PAGE_SIZE), s->map.end);
}

static bool write_file(Saver *s)
{
    Cache *out = s->out;
    GByteArray *file = g_byte_array_new();
    SavedHead h = {.magic = SAVED_MAGIC,
                   .key = s->map.key,
                   .data_end = out->at_start,
                   .code = out->at_start,
                   .code_end = out->at,
                   .slots = s->form.slots,
                   .n_tbs = out->n_tbs,
                   .n_exits = out->n_exits,
                   .maps_size = out->n_maps,
                   .n_plans = out->n_plans,
                   .hash_bits = (u32)g_bit_storage(out->n_tbs) + 1};
    g_autofree SavedTb *tbs = pack_tbs(s);
    g_autofree SavedExit *exits = pack_exits(s);
    g_autofree u32 *hash = hash_of(out, tbs, h.hash_bits);
    bool ok;

    range_of(s, &h);
    add(file, out->write, out->at);
    h.tbs = add(file, tbs, out->n_tbs * sizeof *tbs);
    h.exits = add(file, exits, out->n_exits * sizeof *exits);
    h.maps = add(file, out->maps, out->n_maps);
    h.plans = add(file, out->plans, out->n_plans * sizeof *out->plans);
    h.hash = add(file, hash, sizeof *hash << h.hash_bits);
    h.size = file->len;
    memcpy(file->data + SAVED_HEAD, &h, sizeof h);
    h.sum = saved_file_sum(file->data, file->len);
    memcpy(file->data + SAVED_HEAD, &h, sizeof h);
    ok = saved_write(s->c->saved, &s->map.key, s->fd, file->data, file->len);
    s->c->stats.saved_written += ok ? file->len : 0;
    g_byte_array_free(file, TRUE);
    return ok;
}

static bool make_file(Saver *s, Env *env)
{
    bool ok = false;

    s->fd = saved_claim(s->c->saved, &s->map.key);
    if (s->fd < 0)
        return false;
    if (make_out(s)) {
        translate_all(s, env);
        ok = write_file(s);
    }
    free_out(s->out);
    close(s->fd);
    return ok;
}

static bool save_map(Cache *c, Env *env, const CodeMap *map)
{
    Saver s = {.c = c, .map = *map};
    bool ok = false;

    s.wanted = g_array_new(FALSE, FALSE, sizeof(Wanted));
    if (gather(&s) && open_source(&s)) {
        ok = make_file(&s, env);
        close_source(&s);
    }
    if (s.old)
        saved_unmap(s.old, head_of(s.old)->size, false);
    for (u32 i = 0; i < s.wanted->len; i++)
        g_free(g_array_index(s.wanted, Wanted, i).pcs);
    g_array_free(s.wanted, TRUE);
    return ok;
}

void cache_save(Cache *c, Env *env)
{
    bool any = false;

    if (!c->saved || c->n_tbs - c->saved->born < 2 || c->kick)
        return;
    exec_lock(c, env->thread);
    for (u32 i = 0; i < c->saved->maps->len; i++)
        any |= save_map(c, env, &g_array_index(c->saved->maps, CodeMap, i));
    c->saved->born = c->n_tbs;
    exec_unlock(c, env->thread);
    if (any)
        saved_prune(c->saved);
}
