/* SPDX-License-Identifier: MIT */
/*
 * The command line of tessera-system-*, in QEMU's words.  One table gives each option's
 * spelling, value, kind, place in MachineOptions and help.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "board.h"

#define PROGRAM "tessera-system-riscv64"

static const BoardType *const boards[] = {&board_virt};

enum { DEFAULT_RAM_MIB = 128, GDB_PORT = 1234 };
#define MiB (1ull << 20)

/* The options so far, and what only parsing needs. */
typedef struct Parse {
    MachineOptions *o;
    const char *board, *accel, *log_items, *log_file, *log_filter, *display;
    bool one_insn, no_defaults;
} Parse;

typedef enum Kind {
    FLAG,   /* a bool becomes true */
    STRING, /* the last one counts */
    LIST,   /* all count */
    CALL,   /* take says */
    IGNORED /* it asks for what is so anyway */
} Kind;

typedef struct Option {
    const char *name, *value;
    Kind kind;
    size_t at; /* offset in MachineOptions, or in Parse */
    bool in_parse;
    bool (*take)(Parse *p, const char *value, char **error);
    const char *help;
} Option;

/* ---- options that are more than a word ---- */

static bool refuse(char **error, const char *option, const char *value,
                   const char *wanted)
{
    *error = g_strdup_printf("%s %s: %s", option, value, wanted);
    return false;
}

static bool take_machine(Parse *p, const char *value, char **error)
{
    Props *props;
    const char *word;

    if (!strcmp(value, "help") || !strcmp(value, "?")) {
        for (u32 i = 0; i < ARRAY_SIZE(boards); i++)
            printf("%-20s %s%s\n", boards[i]->name, boards[i]->help,
                   i ? "" : " (default)");
        exit(0);
    }
    props_free(p->o->machine);
    p->o->machine = props = props_parse(value, "type");
    word = props_get(props, "type");
    if (word)
        p->board = word;
    if ((word = props_get(props, "dumpdtb")))
        p->o->dump_dtb = word;
    if ((word = props_get(props, "accel")))
        p->accel = word;
    return true;
}

static bool take_accel(Parse *p, const char *value, char **error)
{
    p->accel = value;
    return true;
}

static bool take_device(Parse *p, const char *value, char **error)
{
    if (!strcmp(value, "help") || !strcmp(value, "?")) {
        devices_help();
        exit(0);
    }
    g_ptr_array_add(p->o->devices, (gpointer)value);
    return true;
}

static bool take_memory(Parse *p, const char *value, char **error)
{
    Props *props = props_parse(value, "size");
    const char *size = props_get(props, "size"), *bad = props_unused(props);
    u64 bytes = 0;
    bool ok = size && !bad && number_parse(size, MiB, &bytes) && bytes;

    props_free(props);
    p->o->ram_size = align_up(bytes, PAGE_SIZE);
    return ok || refuse(error, "-m", value, "MiB, or a size as 512M or 2G, is wanted");
}

/* N, or cpus=, or the product of what is said of sockets, cores and threads. */
static bool take_smp(Parse *p, const char *value, char **error)
{
    static const char *const parts[] = {"sockets", "clusters", "cores", "threads"};
    Props *props = props_parse(value, "cpus");
    u64 n, product = 1, most = MAX_CPUS;
    bool ok = props_u64(props, "maxcpus", &most, error);

    for (u32 i = 0; ok && i < ARRAY_SIZE(parts); i++) {
        u64 part = 1;

        ok = props_u64(props, parts[i], &part, error) &&
             !__builtin_mul_overflow(product, part, &product);
    }
    n = product;
    ok = ok && props_u64(props, "cpus", &n, error) && !props_unused(props);
    g_clear_pointer(error, g_free);
    props_free(props);
    p->o->n_cpus = (u32)MIN(n, MAX_CPUS + 1);
    return (ok && n && n <= MAX_CPUS && n <= most) ||
           refuse(error, "-smp", value, "1 to 8 processors can be had");
}

static bool take_nographic(Parse *p, const char *value, char **error)
{
    p->o->nographic = true;
    p->display = NULL;
    return true;
}

static bool take_display(Parse *p, const char *value, char **error)
{
    if (strcmp(value, "none"))
        return refuse(error, "-display", value, "there is none but none");
    p->display = value;
    return true;
}

static bool take_gdb_default(Parse *p, const char *value, char **error)
{
    g_ptr_array_add(p->o->gdbs, (gpointer) "tcp::1234");
    return true;
}

static bool take_icount(Parse *p, const char *value, char **error)
{
    Props *props = props_parse(value, "shift");
    const char *shift = props_get(props, "shift");
    u64 bits = 3;
    bool is_auto = shift && !strcmp(shift, "auto");
    bool align = false, sleep = true;
    bool ok = is_auto || props_u64(props, "shift", &bits, error);

    ok = ok && props_bool(props, "sleep", &sleep, error) &&
         props_bool(props, "align", &align, error) && !props_unused(props) && !align;
    g_clear_pointer(error, g_free);
    props_free(props);
    p->o->icount = (i32)MIN(bits, 11);
    p->o->single_thread = true;
    return (ok && bits <= 10) ||
           refuse(error, "-icount", value, "shift=0 to 10, or auto, is wanted");
}

static bool take_sandbox(Parse *p, const char *value, char **error)
{
    Props *props = props_parse(value, "enable");
    bool ok = props_bool(props, "enable", &p->o->sandbox, error);

    g_clear_pointer(error, g_free);
    props_free(props);
    return ok || refuse(error, "-sandbox", value, "on or off is wanted");
}

/* Nanoseconds since 1970 of 2026-01-31 or 2026-01-31T12:00:00; 0: no date. */
static u64 date_parse(const char *text)
{
    g_autofree char *full =
        g_strdup_printf("%s%s", text, strchr(text, 'T') ? "" : "T00:00:00");
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) date = g_date_time_new_from_iso8601(full, utc);
    i64 seconds = date ? g_date_time_to_unix(date) : 0;

    return seconds > 0 && seconds < 1ll << 33 ? (u64)seconds * 1000000000 : 0;
}

static bool take_rtc(Parse *p, const char *value, char **error)
{
    Props *props = props_parse(value, "base");
    const char *base = props_get(props, "base"), *clock = props_get(props, "clock");
    bool host = !base || !strcmp(base, "utc"), ok;

    p->o->rtc_base = host ? 0 : date_parse(base);
    ok = (host || p->o->rtc_base) && !props_unused(props) &&
         (!clock || !strcmp(clock, host ? "host" : "vm"));
    props_free(props);
    return ok || refuse(error, "-rtc", value,
                        "base=utc, or base=DATE as 2026-01-31T12:00:00, is wanted");
}

static bool take_object(Parse *p, const char *value, char **error)
{
    return g_str_has_prefix(value, "rng-random,") ||
           g_str_has_prefix(value, "rng-builtin,") ||
           refuse(error, "-object", value, "only rng-random and rng-builtin are there");
}

static bool take_tb_size(Parse *p, const char *value, char **error)
{
    u64 bytes;

    if (!number_parse(value, MiB, &bytes))
        return refuse(error, "-tb-size", value, "MiB, or a size, is wanted");
    p->o->cache.code_size = bytes;
    return true;
}

static bool take_version(Parse *p, const char *value, char **error)
{
    printf(PROGRAM " version %s\n", TESSERA_VERSION);
    exit(0);
}

static bool take_help(Parse *p, const char *value, char **error);

/* ---- the table ---- */

#define AT(field)  offsetof(MachineOptions, field), false, NULL
#define OWN(field) offsetof(Parse, field), true, NULL
#define BY(take)   0, false, take

static const Option table[] = {
    {"h", NULL, CALL, BY(take_help), "this text"},
    {"help", NULL, CALL, BY(take_help), ""},
    {"version", NULL, CALL, BY(take_version), "the version"},
    {"M", "BOARD[,KEY=VALUE...]", CALL, BY(take_machine),
     "the board (help lists them); dumpdtb=FILE: write its device tree, and end"},
    {"machine", "BOARD[,...]", CALL, BY(take_machine), "the same"},
    {"cpu", "MODEL", STRING, AT(cpu), "the processor (help lists them)"},
    {"m", "SIZE", CALL, BY(take_memory), "memory: MiB, or as 512M, 1.5G (128M)"},
    {"smp", "N", CALL, BY(take_smp), "processors, 1 to 8"},
    {"accel", "NAME[,KEY=VALUE...]", CALL, BY(take_accel),
     "how to run: jit (also called dbt and tcg; v3=off, hot=N, tb-size=MIB), interp, "
     "check; thread=single: all processors on one host thread"},
    {"bios", "FILE", STRING, AT(bios),
     "firmware; none: the kernel without any, default: our own SBI under the kernel"},
    {"kernel", "FILE", STRING, AT(kernel), "the kernel: Linux's Image, ELF, raw"},
    {"initrd", "FILE", STRING, AT(initrd), "its initial RAM disk"},
    {"append", "TEXT", STRING, AT(append), "its command line"},
    {"dtb", "FILE", STRING, AT(dtb), "this device tree in place of the board's"},
    {"drive", "KEY=VALUE,...", LIST, AT(drives), "a disk image: file, if, id, ..."},
    {"device", "NAME[,KEY=VALUE...]", CALL, BY(take_device),
     "a device (help lists them)"},
    {"netdev", "user,id=ID,...", LIST, AT(netdevs), "a network of the host's"},
    {"nic", "user[,...]", LIST, AT(nics), "such a network with its card"},
    {"fsdev", "local,id=ID,path=PATH,...", LIST, AT(fsdevs), "a folder of the host's"},
    {"virtfs", "local,path=PATH,mount_tag=TAG,...", LIST, AT(virtfs),
     "such a folder with its device"},
    {"chardev", "KIND,id=ID,...", LIST, AT(chardevs),
     "where characters go: stdio, pty, socket, file, null"},
    {"serial", "WHERE", LIST, AT(serials),
     "the serial line: stdio, mon:stdio, pty, unix:PATH, tcp:HOST:PORT, file:PATH, "
     "null"},
    {"monitor", "WHERE", LIST, AT(monitors), "the monitor"},
    {"qmp", "WHERE", LIST, AT(qmps), "the same for machines: QMP"},
    {"fw_cfg", "name=NAME,file=FILE|string=TEXT", LIST, AT(fw_cfgs),
     "a file for the guest's firmware"},
    {"global", "DRIVER.KEY=VALUE", LIST, AT(globals), "a default of devices"},
    {"object", "rng-random,...", CALL, BY(take_object), "the host's randomness"},
    {"name", "TEXT", STRING, AT(name), "the machine's name, for QMP"},
    {"nographic", NULL, CALL, BY(take_nographic),
     "serial line and monitor on the terminal: C-a c changes between them, C-a x ends"},
    {"display", "none", CALL, BY(take_display),
     "no display, and no serial line unless "
     "-serial says so"},
    {"nodefaults", NULL, FLAG, OWN(no_defaults), "the same"},
    {"rtc", "base=utc|DATE", CALL, BY(take_rtc),
     "the clock's time: the host's, or from this date on"},
    {"snapshot", NULL, FLAG, AT(snapshot), "keep no disk's changes"},
    {"no-reboot", NULL, FLAG, AT(no_reboot), "end where the guest reboots"},
    {"no-shutdown", NULL, FLAG, AT(no_shutdown), "stop where the guest powers off"},
    {"S", NULL, FLAG, AT(start_stopped), "do not begin until told to"},
    {"s", NULL, CALL, BY(take_gdb_default), "-gdb tcp::1234"},
    {"gdb", "tcp:HOST:PORT|unix:PATH", LIST, AT(gdbs), "wait there for gdb"},
    {"loadvm", "FILE", STRING, AT(load_state), "go on from where savevm was"},
    {"icount", "shift=N", CALL, BY(take_icount),
     "time by instructions, 2^N ns each: the same run every time"},
    {"sandbox", "on", CALL, BY(take_sandbox),
     "give up most system calls after start-up"},
    {"d", "ITEM,...", STRING, OWN(log_items), "log items (help lists them)"},
    {"D", "FILE", STRING, OWN(log_file), "log there (%d: pid)"},
    {"dfilter", "RANGE,...", STRING, OWN(log_filter),
     "log only these guest addresses: START..END, START+LENGTH"},
    {"one-insn-per-tb", NULL, FLAG, OWN(one_insn), "one guest instruction a block"},
    {"singlestep", NULL, FLAG, OWN(one_insn), "the same"},
    {"tb-size", "MIB", CALL, BY(take_tb_size), "size of the code cache"},
    {"perfmap", NULL, FLAG, AT(cache.perfmap),
     "name translated code in /tmp/perf-PID.map, for perf report"},
    {"jitdump", NULL, FLAG, AT(cache.jitdump), "write it for perf inject -j"},
    {"no-user-config", NULL, IGNORED, BY(NULL), ""},
    {"enable-sync-profile", NULL, IGNORED, BY(NULL), ""},
};

static bool take_help(Parse *p, const char *value, char **error)
{
    printf("usage: " PROGRAM " [OPTION...]\n"
           "Runs a whole RISC-V machine.\n\n");
    for (u32 i = 0; i < ARRAY_SIZE(table); i++) {
        const Option *o = &table[i];
        int n;

        if (o->kind == IGNORED)
            continue;
        n = printf("  -%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("%*s%s\n", *o->help ? MAX(32 - n, 1) : 0, "", o->help);
    }
    printf("\n-name and --name are the same.\n");
    exit(0);
}

/* ---- parsing ---- */

static const Option *option_find(const char *name)
{
    for (u32 i = 0; i < ARRAY_SIZE(table); i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

static bool apply(Parse *p, const Option *option, const char *value, char **error)
{
    void *at = (char *)(option->in_parse ? (void *)p : p->o) + option->at;

    switch (option->kind) {
    case FLAG: *(bool *)at = true; return true;
    case STRING: *(const char **)at = value; return true;
    case LIST: g_ptr_array_add(*(GPtrArray **)at, (gpointer)value); return true;
    case CALL: return option->take(p, value, error);
    case IGNORED: return true;
    }
    return true;
}

static bool parse_words(Parse *p, int argc, char **argv, char **error)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i] + 1 + (argv[i][0] == '-' && argv[i][1] == '-');
        const Option *option = *argv[i] == '-' ? option_find(name) : NULL;

        if (!option) {
            *error =
                *argv[i] == '-'
                    ? g_strdup_printf("%s: unknown option (-help lists them)", argv[i])
                    : g_strdup_printf("%s: not an option: disks are given with "
                                      "-drive",
                                      argv[i]);
            return false;
        }
        if (option->value && i + 1 == argc) {
            *error = g_strdup_printf("%s: %s is missing", argv[i], option->value);
            return false;
        }
        if (!apply(p, option, option->value ? argv[++i] : NULL, error))
            return false;
    }
    return true;
}

/* ---- what follows from all of them ---- */

static bool choose_board(Parse *p, char **error)
{
    const char *bad = p->o->machine ? props_unused(p->o->machine) : NULL;

    for (u32 i = 0; i < ARRAY_SIZE(boards); i++)
        if (!p->board || !strcmp(p->board, boards[i]->name)) {
            p->o->board = boards[i];
            return !bad ||
                   refuse(error, "-M", bad, "unknown (dumpdtb=, accel= are known)");
        }
    return refuse(error, "-M", p->board, "unknown (-M help lists the boards)");
}

static bool choose_cpu(Parse *p, char **error)
{
    static const char *const cpus[] = {"rv64", "max"};

    if (p->o->cpu && !strcmp(p->o->cpu, "help")) {
        for (u32 i = 0; i < ARRAY_SIZE(cpus); i++)
            puts(cpus[i]);
        exit(0);
    }
    for (u32 i = 0; p->o->cpu && i < ARRAY_SIZE(cpus); i++)
        if (!strcmp(p->o->cpu, cpus[i]))
            return true;
    return !p->o->cpu || refuse(error, "-cpu", p->o->cpu,
                                "unknown (-cpu help lists "
                                "them)");
}

/* What concerns the machine is taken out; the rest is cache_accel's. */
static bool choose_accel(Parse *p, char **error)
{
    g_auto(GStrv) words = g_strsplit(p->accel ? p->accel : "jit", ",", 0);
    GString *rest = g_string_new(NULL);
    char *why;

    for (u32 i = 0; words[i]; i++) {
        const char *w = words[i];

        if (!i && (!strcmp(w, "tcg") || !strcmp(w, "dbt")))
            w = "jit";
        if (i && !strcmp(w, "thread=single"))
            p->o->single_thread = true;
        else if (i && g_str_has_prefix(w, "tb-size=") &&
                 number_parse(w + 8, MiB, &p->o->cache.code_size))
            continue;
        else if (!i || strcmp(w, "thread=multi"))
            g_string_append_printf(rest, "%s%s", i ? "," : "", w);
    }
    why = cache_accel(&p->o->cache, rest->str);
    g_string_free(rest, TRUE);
    if (!why)
        return true;
    *error = g_strdup_printf("-accel %s", why);
    g_free(why);
    return false;
}

static bool choose_log(Parse *p, char **error)
{
    const char *bad;

    if (p->log_items && !log_set_items(p->log_items, &bad)) {
        *error = g_strdup_printf("-d %.*s: unknown item (-d help lists them)",
                                 (int)strcspn(bad, ","), bad);
        return false;
    }
    if (p->log_file && !log_set_file(p->log_file))
        return refuse(error, "-D", p->log_file, strerror(errno));
    if (p->log_filter && !log_set_filter(p->log_filter))
        return refuse(error, "-dfilter", p->log_filter,
                      "START..END, START+LENGTH or START-LENGTH is wanted");
    if (p->one_insn && log_on(LOG_EXEC | LOG_CPU))
        log_mask |= LOG_NOCHAIN; /* every instruction is to be seen */
    return true;
}

/* Without a display, the terminal is where the machine shows itself. */
static void choose_serial(Parse *p)
{
    if (p->o->serials->len)
        return;
    if (p->display || p->no_defaults)
        g_ptr_array_add(p->o->serials, (gpointer) "null");
    else
        g_ptr_array_add(p->o->serials,
                        (gpointer)(p->o->monitors->len ? "stdio" : "mon:stdio"));
}

static void lists_new(MachineOptions *o)
{
    GPtrArray **const lists[] = {
        &o->drives,  &o->devices,  &o->netdevs, &o->nics, &o->chardevs,
        &o->serials, &o->monitors, &o->qmps,    &o->gdbs, &o->fw_cfgs,
        &o->globals, &o->fsdevs,   &o->virtfs,
    };

    for (u32 i = 0; i < ARRAY_SIZE(lists); i++)
        *lists[i] = g_ptr_array_new();
}

bool options_parse(MachineOptions *o, int argc, char **argv, char **error)
{
    Parse p = {.o = o};

    *o = (MachineOptions){.ram_size = DEFAULT_RAM_MIB * MiB, .n_cpus = 1, .icount = -1};
    lists_new(o);
    if (!parse_words(&p, argc, argv, error) || !choose_board(&p, error) ||
        !choose_cpu(&p, error) || !choose_accel(&p, error) || !choose_log(&p, error))
        return false;
    o->cache.max_insns = p.one_insn;
    choose_serial(&p);
    return true;
}
