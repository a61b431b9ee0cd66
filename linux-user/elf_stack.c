/* SPDX-License-Identifier: MIT */
/* The main thread's stack as a program finds it: strings, argument and environment
 * vectors, auxiliary vector. */
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>
#include "elf.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define STACK_DEFAULT (8ull << 20)
#define STACK_MOST    (1ull << 30)
#define STACK_LEAST   (128ull << 10)
#define STACK_GUARD   (1ull << 20) /* mmap stays away so far below it */
#define TOP_UNUSED    (1ull << 16) /* nothing at the end of the window */

typedef struct Stack {
    Task *t;
    u64 low, sp;
} Stack;

/* ---- memory ---- */

static u64 stack_size(const Process *p)
{
    struct rlimit limit;
    u64 size = p->options.stack_size;

    if (!size && getrlimit(RLIMIT_STACK, &limit) == 0)
        size = limit.rlim_cur == RLIM_INFINITY ? STACK_DEFAULT : limit.rlim_cur;
    return align_up(MAX(MIN(size, STACK_MOST), STACK_LEAST), PAGE_SIZE);
}

void elf_stack_map(Task *t)
{
    Process *p = t->process;
    Memory *m = p->mem;
    u64 size = stack_size(p);
    int prot = PROT_READ | PROT_WRITE | (p->image.exec_stack ? PROT_EXEC : 0);
    i64 r;

    m->stack_end = m->high - TOP_UNUSED;
    m->stack_start = m->stack_end - size;
    r = mem_mmap(t, m->stack_start, size, prot,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
                 0);
    if (r < 0)
        fatal(126, "%s: no room for a stack of %llu bytes", p->program,
              (long long)size);
    madvise(space_host(&m->space, m->stack_start), size, MADV_NOHUGEPAGE);
    m->top = m->stack_start - STACK_GUARD;
}

static u64 push(Stack *s, const void *data, size_t len)
{
    if (s->sp - s->low < len + STACK_LEAST / 2)
        fatal(126, "%s: argument list too long", s->t->process->program);
    s->sp -= len;
    memcpy(space_host(&s->t->process->mem->space, s->sp), data, len);
    return s->sp;
}

static u64 push_string(Stack *s, const char *text)
{
    return push(s, text, strlen(text) + 1);
}

static size_t count(char *const *list)
{
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

/* Pushes the strings so that they stand in order; returns the lowest address. */
static u64 push_strings(Stack *s, char *const *list)
{
    for (size_t i = count(list); i-- > 0;)
        push_string(s, list[i]);
    return s->sp;
}

/* Addresses of strings that stand one after the other, then NULL. */
static u64 *put_vector(u64 *out, char *const *list, u64 at)
{
    for (; *list; list++) {
        *out++ = at;
        at += strlen(*list) + 1;
    }
    *out++ = 0;
    return out;
}

/* ---- the auxiliary vector ---- */

static void random_bytes(const Process *p, u64 out[2])
{
    u64 x = p->options.seed;

    if (!p->options.seed_given && getrandom(out, 16, GRND_NONBLOCK) == 16)
        return;
    for (int i = 0; i < 2; i++) { /* splitmix64 */
        u64 z = x += 0x9e3779b97f4a7c15;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        out[i] = z ^ z >> 31;
    }
}

typedef struct Aux {
    u64 type, value;
} Aux;

enum { AUX_MAX = 24 };

static size_t make_aux(const Process *p, u64 random, u64 program, Aux out[AUX_MAX])
{
    const Image *i = &p->image;
    const Aux aux[] = {
        {AT_HWCAP, p->abi->hwcap},
        {AT_PAGESZ, PAGE_SIZE},
        {AT_CLKTCK, getauxval(AT_CLKTCK)},
        {AT_PHDR, i->phdr},
        {AT_PHENT, sizeof(Elf64_Phdr)},
        {AT_PHNUM, i->n_phdr},
        {AT_BASE, i->interp_base},
        {AT_FLAGS, 0},
        {AT_ENTRY, i->entry},
        {AT_UID, getauxval(AT_UID)},
        {AT_EUID, getauxval(AT_EUID)},
        {AT_GID, getauxval(AT_GID)},
        {AT_EGID, getauxval(AT_EGID)},
        {AT_SECURE, getauxval(AT_SECURE)},
        {AT_RANDOM, random},
        {AT_HWCAP2, 0},
        {AT_EXECFN, program},
        {AT_MINSIGSTKSZ, p->abi->frame_size},
        {AT_NULL, 0},
    };

    _Static_assert(ARRAY_SIZE(aux) <= AUX_MAX, "room for all");
    memcpy(out, aux, sizeof aux);
    return ARRAY_SIZE(aux);
}

/* argc, argv, envp and the auxiliary vector, at the final sp. */
static void push_vectors(Stack *s, char **envp, const Aux *aux, size_t n_aux)
{
    Process *p = s->t->process;
    size_t argc = count(p->argv), n = 1 + argc + 1 + count(envp) + 1;
    u64 size = n * sizeof(u64) + n_aux * sizeof *aux, *out;

    if (s->sp - s->low < size + STACK_LEAST / 2)
        fatal(126, "%s: argument list too long", p->program);
    s->sp = align_down(s->sp - size, 16);
    out = (u64 *)space_host(&p->mem->space, s->sp);
    *out++ = argc;
    out = put_vector(out, p->argv, p->arg_start);
    out = put_vector(out, envp, p->env_start);
    memcpy(out, aux, n_aux * sizeof *aux);
    p->auxv_start = s->sp + n * sizeof(u64);
    p->auxv_end = p->auxv_start + n_aux * sizeof *aux;
}

u64 elf_stack(Task *t, char **envp)
{
    Process *p = t->process;
    Stack s = {t, p->mem->stack_start, p->mem->stack_end};
    u64 zero = 0, random[2], program, random_at;
    Aux aux[AUX_MAX];

    push(&s, &zero, sizeof zero);
    program = push_string(&s, p->filename);
    p->env_end = s.sp;
    p->env_start = p->arg_end = push_strings(&s, envp);
    p->arg_start = push_strings(&s, p->argv);
    s.sp = align_down(s.sp, 16);
    random_bytes(p, random);
    random_at = push(&s, random, sizeof random);
    push_vectors(&s, envp, aux, make_aux(p, random_at, program, aux));
    return s.sp;
}
