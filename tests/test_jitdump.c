/* SPDX-License-Identifier: MIT */
/* Run: TESSERA=./tessera-riscv64 GUESTS=tests/guest tests/test_jitdump   (build folder)
 *
 * The records of a jitdump file: sizes, order, times, code, lines of the listing. */
#include <criterion/criterion.h>
#include <elf.h>
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CODE_LOAD = 0, CODE_DEBUG_INFO = 2, CODE_CLOSE = 3 };

typedef struct Reader {
    const uint8_t *at, *end;
    size_t n_lines; /* of the listing */
    char *listing;
    uint64_t time, lines_for, lines_first, lines_last;
    uint64_t loads, with_lines, mains;
} Reader;

static uint64_t take(Reader *r, size_t n)
{
    uint64_t v = 0;

    cr_assert(n <= (size_t)(r->end - r->at), "the record ends early");
    memcpy(&v, r->at, n);
    r->at += n;
    return v;
}

static const char *take_string(Reader *r)
{
    const char *s = (const char *)r->at;
    const uint8_t *nul = memchr(r->at, 0, (size_t)(r->end - r->at));

    cr_assert(nul, "a string without end");
    r->at = nul + 1;
    return s;
}

static void read_header(Reader *r)
{
    cr_assert_eq(take(r, 4), 0x4a695444);
    cr_assert_eq(take(r, 4), 1);
    cr_assert_eq(take(r, 4), 40);
    cr_assert_eq(take(r, 4), EM_X86_64);
    take(r, 4);
    cr_assert_gt(take(r, 4), 0);
    r->time = take(r, 8);
    cr_assert_eq(take(r, 8), 0, "flags");
}

static void read_lines(Reader *r)
{
    uint64_t n;

    r->lines_for = take(r, 8);
    n = take(r, 8);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t address = take(r, 8), line = take(r, 4);

        take(r, 4);
        cr_assert_str_eq(take_string(r), r->listing);
        cr_assert(line > 0 && line <= r->n_lines, "line %llu", (long long)line);
        cr_assert(i == 0 || address >= r->lines_last);
        if (i == 0)
            r->lines_first = address;
        r->lines_last = address;
    }
    cr_assert(n == 0 || r->lines_first == r->lines_for);
}

static void read_load(Reader *r)
{
    uint64_t vma, code, size, index;
    const char *name;

    take(r, 8);
    vma = take(r, 8);
    code = take(r, 8);
    size = take(r, 8);
    index = take(r, 8);
    name = take_string(r);
    cr_assert_eq(vma, code);
    cr_assert_eq(index, r->loads);
    cr_assert_eq((size_t)(r->end - r->at), size);
    if (strchr(name, '[')) { /* a block's lines come before it */
        cr_assert_eq(r->lines_for, code);
        cr_assert_lt(r->lines_last, code + size);
        r->with_lines++;
    }
    r->mains += g_str_has_prefix(name, "main+0x0 [block 0x");
    r->loads++;
    r->at += size;
}

static bool read_record(Reader *r)
{
    const uint8_t *start = r->at, *end = r->end;
    uint64_t id = take(r, 4), size = take(r, 4), time = take(r, 8);

    cr_assert(size >= 16 && size <= (size_t)(end - start));
    cr_assert(time >= r->time);
    r->time = time;
    r->end = start + size;
    if (id == CODE_LOAD)
        read_load(r);
    else if (id == CODE_DEBUG_INFO)
        read_lines(r);
    else
        cr_assert_eq(id, CODE_CLOSE);
    cr_assert_eq(r->at, r->end, "the record's size is not what it holds");
    r->end = end;
    return id != CODE_CLOSE;
}

/* Output of a shell command, its last newline cut off. */
static char *output_of(const char *format, const char *arg)
{
    g_autofree char *command = g_strdup_printf(format, arg);
    char *out = NULL;

    cr_assert(g_spawn_command_line_sync(command, &out, NULL, NULL, NULL));
    return g_strchomp(out);
}

static size_t count_lines(const char *path)
{
    char *text = NULL;
    size_t n = 0;

    cr_assert(g_file_get_contents(path, &text, NULL, NULL));
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        n++;
    g_free(text);
    return n;
}

/* Runs hello with -jitdump; the dump's path. */
static char *run(const char *folder, const char *accel)
{
    const char *tessera = g_getenv("TESSERA"), *guests = g_getenv("GUESTS");
    g_autofree char *command =
        g_strdup_printf("env JITDUMPDIR=%s %s -accel %s -jitdump %s/hello", folder,
                        tessera ? tessera : "./tessera-riscv64", accel,
                        guests ? guests : "tests/guest");
    int status = -1;

    cr_assert(g_spawn_command_line_sync(command, NULL, NULL, &status, NULL));
    cr_assert_eq(status, 0);
    return output_of("find %s -name jit-[0-9]*.dump", folder);
}

static void check_records(const char *accel)
{
    g_autofree char *folder = g_dir_make_tmp("test_jitdump-XXXXXX", NULL);
    g_autofree char *path = run(folder, accel), *bytes = NULL;
    Reader r = {.loads = 0};
    gsize size = 0;

    cr_assert(g_file_get_contents(path, &bytes, &size, NULL), "%s", path);
    r.at = (uint8_t *)bytes;
    r.end = r.at + size;
    r.listing = g_strdup_printf("%.*s.s", (int)strlen(path) - 5, path);
    r.n_lines = count_lines(r.listing);
    read_header(&r);
    while (read_record(&r))
        ;
    cr_assert_eq(r.at, r.end, "something follows the end");
    cr_assert_eq(r.mains, 1);
    cr_assert_gt(r.with_lines, 300);
    cr_assert_eq(r.loads, r.with_lines + 5, "the rest: thunks");
    g_free(r.listing);
    g_free(output_of("rm -rf %s", folder));
}

Test(jitdump, records) { check_records("jit"); }

Test(jitdump, records_with_traces) { check_records("jit,hot=2"); }
