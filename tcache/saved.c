/* SPDX-License-Identifier: MIT */
/*
 * Saved translations at work: which guest mappings have them, mapping them, taking
 * single blocks of them into the cache's tables.  Making files is save.c's.
 */
#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "saved.h"

/* ---- beginning ---- */

static int find_build_id(struct dl_phdr_info *info, size_t size, void *out)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        const u8 *note = (const u8 *)(info->dlpi_addr + ph->p_vaddr), *id;
        const ElfW(Nhdr) * n;

        for (u64 at = 0; ph->p_type == PT_NOTE && at + sizeof *n < ph->p_memsz;
             at += sizeof *n + align_up(n->n_namesz, 4) + align_up(n->n_descsz, 4)) {
            n = (const ElfW(Nhdr) *)(note + at);
            id = (const u8 *)(n + 1) + align_up(n->n_namesz, 4);
            if (n->n_type == NT_GNU_BUILD_ID)
                *(u64 *)out = saved_sum(id, n->n_descsz);
        }
    }
    return 1; /* the program itself comes first */
}

/* All that code depends on: us, and how we were asked to make it. */
static bool find_version(const Cache *c, u64 version[2])
{
    const CacheOptions *o = &c->options;
    u64 how[] = {o->max_insns, o->hot, o->counted, c->stencils == stencils_pick(true)};

    version[0] = 0;
    dl_iterate_phdr(find_build_id, version);
    version[1] = saved_sum((const u8 *)how, sizeof how);
    return version[0];
}

/* Files are mapped within reach of the code buffer. */
bool saved_begin(Cache *c)
{
    Saved *s = calloc(1, sizeof *s);

    if (!s || c->tables_end + SAVED_AREA > 0x7f000000 || !find_version(c, s->version) ||
        !saved_folder(c->options.saved)) {
        free(s);
        return false;
    }
    s->dir = c->options.saved;
    s->limit = c->options.saved_limit;
    s->maps = g_array_new(FALSE, FALSE, sizeof(CodeMap));
    s->area = s->at = (u32)c->tables_end;
    s->end = s->area + SAVED_AREA;
    s->born = 1;
    c->saved = s;
    return true;
}

bool cache_keeps(const Cache *c) { return c->saved; }

/* ---- which code lies where ---- */

static CodeMap *map_at(Saved *s, u64 pc)
{
    for (u32 i = 0; i < s->maps->len; i++) {
        CodeMap *m = &g_array_index(s->maps, CodeMap, i);

        if (pc - m->start < m->end - m->start)
            return m;
    }
    return NULL;
}

static void remove_map(Saved *s, u32 i)
{
    g_free(g_array_index(s->maps, CodeMap, i).path);
    g_array_remove_index_fast(s->maps, i);
}

void cache_file_mapped(Cache *c, const CacheFile *file)
{
    CodeMap m = {.start = file->addr,
                 .end = file->addr + file->len,
                 .offset = file->offset,
                 .key = {.id = file->id, .start = file->addr, .offset = file->offset},
                 .file = SAVED_UNKNOWN};

    if (!c->saved)
        return;
    memcpy(m.key.version, c->saved->version, sizeof m.key.version);
    m.path = g_strdup(file->path);
    lock_take(&c->lock);
    g_array_append_val(c->saved->maps, m);
    lock_leave(&c->lock);
}

/* The larger part of what is left. */
static void cut(CodeMap *m, u64 addr, u64 end)
{
    u64 below = addr > m->start ? addr - m->start : 0;
    u64 above = m->end > end ? m->end - end : 0;

    if (below >= above) {
        m->end = m->start + below;
        return;
    }
    m->offset += end - m->start;
    m->start = end;
}

bool saved_forget(Cache *c, u64 addr, u64 len)
{
    Saved *s = c->saved;
    bool used = false;

    for (u32 i = s ? s->maps->len : 0; i-- > 0;) {
        CodeMap *m = &g_array_index(s->maps, CodeMap, i);
        const SavedHead *head = m->file >= 0 ? s->file[m->file].head : NULL;

        if (addr >= m->end || addr + len <= m->start)
            continue;
        if (head && (addr >= head->high || addr + len <= head->low)) {
            m->end = MIN(m->end, addr >= head->high ? addr : m->end);
            continue;
        }
        used |= head != NULL;
        if (head)
            m->start = m->end;
        else
            cut(m, addr & PAGE_MASK, align_up(addr + len, PAGE_SIZE));
        if (m->start >= m->end)
            remove_map(s, i);
    }
    return used;
}

/* ---- mapping files ---- */

static bool attach(Cache *c, SavedFile *f, const u8 *base)
{
    const SavedHead *head = (const SavedHead *)(base + SAVED_HEAD);
    SavedData *data = (SavedData *)(base + SAVED_DATA);

    if (mprotect(data, head->data_end - SAVED_DATA, PROT_READ | PROT_WRITE))
        return false;
    *f = (SavedFile){.base = base,
                     .head = head,
                     .tbs = (const SavedTb *)(base + head->tbs),
                     .exits = (const SavedExit *)(base + head->exits),
                     .plans = (const Plan *)(base + head->plans),
                     .hash = (const u32 *)(base + head->hash),
                     .at = (u32)(base - c->exec)};
    f->taken = calloc(head->n_tbs, sizeof *f->taken);
    f->plan = calloc(head->n_plans, sizeof *f->plan);
    data->numbers = EXIT_SAVED | (u32)(f - c->saved->file) << SAVED_NUMBERS;
    return f->taken && f->plan;
}

static void find_file(Cache *c, CodeMap *m)
{
    Saved *s = c->saved;
    SavedFile *f = &s->file[s->n_files];
    const SavedHead *head;
    const u8 *base;

    m->file = SAVED_NONE;
    if (s->n_files == SAVED_FILES)
        return;
    base = saved_open(s, &m->key, c->exec + s->at, s->end - s->at);
    if (!base)
        return;
    head = (const SavedHead *)(base + SAVED_HEAD);
    if (head->low < m->start || head->high > m->end || !attach(c, f, base)) {
        saved_unmap(base, head->size, true);
        return;
    }
    s->at += (u32)align_up(f->head->size, PAGE_SIZE);
    m->file = (i32)s->n_files++;
    space_set_bits(c->space, f->head->low, f->head->high - f->head->low, PAGE_CODE);
    c->stats.saved_files++;
    c->stats.saved_insns += f->head->n_insns;
}

void saved_reset(Cache *c)
{
    Saved *s = c->saved;

    if (!s)
        return;
    for (u32 i = 0; i < s->n_files; i++) {
        free(s->file[i].taken);
        free(s->file[i].plan);
    }
    if (s->at > s->area)
        saved_unmap(c->exec + s->area, s->at - s->area, true);
    s->n_files = 0;
    s->at = s->area;
    s->born = 1;
    for (u32 i = 0; i < s->maps->len; i++)
        g_array_index(s->maps, CodeMap, i).file = SAVED_UNKNOWN;
}

/* ---- taking blocks into the tables ---- */

static SavedFile *file_of(const Cache *c, u32 number)
{
    return &c->saved->file[(number & (EXIT_SAVED - 1)) >> SAVED_NUMBERS];
}

static SavedCell *cell_of(const SavedFile *f, u32 local)
{
    return &((SavedData *)(f->base + SAVED_DATA))->cell[local];
}

static u32 number_in_file(u32 number) { return number & ((1u << SAVED_NUMBERS) - 1); }

/* The last block whose u32 at `field` is not above `most`; 0: none.  Blocks are in the
 * order of their code, and of their exits. */
static u32 last_from(const SavedFile *f, size_t field, u32 most)
{
    u32 low = 1, high = f->head->n_tbs;

    while (low < high) {
        u32 mid = (low + high) / 2;

        if (*(const u32 *)((const u8 *)&f->tbs[mid] + field) <= most)
            low = mid + 1;
        else
            high = mid;
    }
    return low - 1;
}

Tb saved_tb(const SavedHead *head, const SavedTb *tb)
{
    return (Tb){.pc = head->key.start + tb->pc,
                .flags = tb->flags,
                .code = tb->code,
                .end = tb->code + tb->size,
                .first_exit = tb->first_exit,
                .map = tb->map,
                .n_insns = tb->n_insns,
                .n_exits = tb->n_exits,
                .plan = tb->plan,
                .trace = tb->trace,
                .loops = tb->loops};
}

static TbExit exit_of(const SavedFile *f, const SavedExit *x)
{
    return (TbExit){.pc = f->head->key.start + (u64)(i64)x->pc,
                    .kind = x->kind,
                    .trap = x->trap,
                    .request = x->request,
                    .next_page = x->next_page,
                    .slot = x->slot};
}

TbExit saved_exit(const Cache *c, u32 number)
{
    const SavedFile *f = file_of(c, number);

    return exit_of(f, &f->exits[number_in_file(number)]);
}

static bool room(const Cache *c, const SavedTb *tb)
{
    return c->n_tbs + 1 < c->low_tb && c->n_exits + tb->n_exits + 1 < c->max_exits &&
           c->n_plans < MAX_PLANS;
}

static u16 take_plan(Cache *c, SavedFile *f, u16 plan)
{
    if (!plan)
        return 0;
    if (!f->plan[plan])
        f->plan[plan] = tb_plan(c, &f->plans[plan]);
    return f->plan[plan];
}

/* And one more exit, to its trace. */
static void take_exits(Cache *c, const SavedFile *f, Tb *tb, u32 first, u32 cell)
{
    u32 slots = f->at + f->head->slots;

    tb->first_exit = c->n_exits;
    for (u32 i = 0; i < tb->n_exits; i++) {
        TbExit x = exit_of(f, &f->exits[first + i]);

        x.jump = x.slot ? slots + 8 * (first + i) : 0;
        x.tb = tb_number(c, tb);
        c->exits[c->n_exits++] = x;
    }
    c->exits[c->n_exits++] = (TbExit){.pc = tb->pc,
                                      .jump = f->at + cell,
                                      .tb = tb_number(c, tb),
                                      .kind = EXIT_JUMP,
                                      .slot = true,
                                      .hot = true};
}

/* With the cache's offsets; its plan is still the file's. */
static Tb placed(const Cache *c, const SavedFile *f, u32 local)
{
    Tb tb = saved_tb(f->head, &f->tbs[local]);

    tb.code += f->at;
    tb.end += f->at;
    tb.map += (u32)(f->base + f->head->maps - c->maps);
    tb.saved = EXIT_SAVED | (u32)(f - c->saved->file) << SAVED_NUMBERS | local;
    return tb;
}

static Tb *take(Cache *c, SavedFile *f, u32 local)
{
    Tb *tb = f->taken[local] ? &c->tbs[f->taken[local]] : &c->tbs[c->low_tb - 1];
    u32 first = f->tbs[local].first_exit;

    if (f->taken[local])
        return tb;
    if (!room(c, &f->tbs[local]))
        return NULL;
    c->low_tb--;
    f->taken[local] = tb_number(c, tb);
    *tb = placed(c, f, local);
    tb->plan = take_plan(c, f, tb->plan);
    take_exits(c, f, tb, first, (u32)((u8 *)&cell_of(f, local)->slot - f->base));
    tb_insert(c, tb);
    c->stats.saved_taken++;
    return tb;
}

u32 saved_take_block(Cache *c, u32 number)
{
    Tb *tb = take(c, file_of(c, number), number_in_file(number));

    return tb ? tb_number(c, tb) : 0;
}

u32 saved_take_exit(Cache *c, u32 number)
{
    SavedFile *f = file_of(c, number);
    u32 exit = number_in_file(number);
    u32 local = last_from(f, offsetof(SavedTb, first_exit), exit);
    Tb *tb = take(c, f, local);

    return tb ? tb->first_exit + exit - f->tbs[local].first_exit : 0;
}

/* ---- finding ---- */

static u32 local_of(const SavedFile *f, TbKey key)
{
    u32 i = f->hash[saved_hash(key.pc, f->head->hash_bits)];
    u64 pc = key.pc - f->head->key.start;

    while (i && (f->tbs[i].pc != pc || f->tbs[i].flags != key.flags))
        i = f->tbs[i].hash_next;
    return i;
}

Tb *saved_find(Cache *c, TbKey key)
{
    Saved *s = c->saved;
    CodeMap *m = s ? map_at(s, key.pc) : NULL;
    SavedFile *f;
    u32 local;

    if (m && m->file == SAVED_UNKNOWN)
        find_file(c, m);
    if (!m || m->file < 0)
        return NULL;
    f = &s->file[m->file];
    local = local_of(f, key);
    if (!local || (f->taken[local] && c->tbs[f->taken[local]].state != TB_ALIVE))
        return NULL;
    return take(c, f, local);
}

const SavedTb *saved_peek(const Cache *c, TbKey key, i32 *count)
{
    const CodeMap *m = c->saved ? map_at(c->saved, key.pc) : NULL;
    const SavedFile *f = m && m->file >= 0 ? &c->saved->file[m->file] : NULL;
    u32 local = f ? local_of(f, key) : 0;

    if (!local)
        return NULL;
    *count = cell_of(f, local)->count;
    return &f->tbs[local];
}

TbKey saved_key(const Cache *c, u32 number)
{
    const SavedFile *f = file_of(c, number);
    const SavedTb *tb = &f->tbs[number_in_file(number)];

    return (TbKey){f->head->key.start + tb->pc, tb->flags};
}

static u32 local_at(const SavedFile *f, u32 offset)
{
    u32 local = last_from(f, offsetof(SavedTb, code), offset);

    return local && offset - f->tbs[local].code < f->tbs[local].size ? local : 0;
}

const Tb *saved_tb_at(const Cache *c, u32 offset, Tb *tb, const Plan **plan)
{
    for (u32 i = 0; i < c->saved->n_files; i++) {
        const SavedFile *f = &c->saved->file[i];
        u32 local = offset - f->at < f->head->size ? local_at(f, offset - f->at) : 0;

        if (!local)
            continue;
        *tb = placed(c, f, local);
        *plan = &f->plans[tb->plan];
        return tb;
    }
    return NULL;
}

/* ---- hot blocks ---- */

void saved_redirect(Cache *c, const Tb *tb, Tb *to)
{
    chain_link(c, tb->first_exit + tb->n_exits, to);
}
