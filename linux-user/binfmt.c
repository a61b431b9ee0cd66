/* SPDX-License-Identifier: MIT */
/*
 * -binfmt: makes the kernel start guest programs with us (binfmt_misc), takes that
 * back, or says in one line each what is wrong with it.  Flags: P keeps argv[0], O and
 * C make programs nobody may read and setuid programs work, F keeps us open, so that
 * we need not be inside the chroot or container.
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/binfmts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <glib.h>
#include "user.h"

#define DIR   "/proc/sys/fs/binfmt_misc"
#define FLAGS "POCF"

/* e_ident to e_machine: what the kernel compares. */
enum { MAGIC = 20, RULE_MOST = 1920 };

/* What stands in a file of DIR. */
typedef struct Entry {
    bool enabled;
    char interpreter[PATH_MAX], flags[16];
    int offset, n;
    u8 magic[128], mask[128];
} Entry;

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void complain(const char *format, ...)
{
    va_list args;

    fputs("-binfmt: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static const char *entry_path(const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", DIR, name);
    return out;
}

static const char *own_name(const Abi *abi, char out[64])
{
    snprintf(out, 64, "tessera-%s", abi->guest);
    return out;
}

/* ---- the bytes ---- */

static void guest_magic(const Abi *abi, u8 magic[MAGIC], u8 mask[MAGIC])
{
    Elf64_Ehdr eh = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
                                 ELFDATA2LSB, EV_CURRENT},
                     .e_type = ET_EXEC,
                     .e_machine = abi->elf_machine};

    memcpy(magic, &eh, MAGIC);
    memset(mask, 0xff, MAGIC);
    mask[EI_OSABI] = 0;
    mask[EI_NIDENT] = 0xfe; /* ET_EXEC and ET_DYN */
}

static char *put_bytes(char *out, const u8 *bytes)
{
    for (int i = 0; i < MAGIC; i++)
        out += sprintf(out, "\\x%02x", bytes[i]);
    return out;
}

/* Returns the number of bytes, -1: no such text. */
static int parse_hex(const char *text, u8 *out, int most)
{
    int n = 0;

    for (; g_ascii_isxdigit(text[0]) && g_ascii_isxdigit(text[1]) && n < most;
         text += 2)
        out[n++] =
            (u8)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
    return *text && *text != '\n' ? -1 : n;
}

/* Is the entry for the guest's programs? */
static bool entry_matches(const Entry *e, const Abi *abi)
{
    u8 magic[MAGIC], mask[MAGIC];

    guest_magic(abi, magic, mask);
    if (!e->n || e->offset > MAGIC - e->n)
        return false;
    for (int i = 0; i < e->n; i++)
        if ((e->magic[i] ^ magic[e->offset + i]) & e->mask[i] & mask[e->offset + i])
            return false;
    return true;
}

/* ---- entries ---- */

static void entry_line(Entry *e, const char *line)
{
    if (!strncmp(line, "enabled", 7))
        e->enabled = true;
    else if (sscanf(line, "interpreter %4095[^\n]", e->interpreter) == 1 ||
             sscanf(line, "flags: %15s", e->flags) == 1 ||
             sscanf(line, "offset %d", &e->offset) == 1)
        return;
    else if (!strncmp(line, "magic ", 6))
        e->n = parse_hex(line + 6, e->magic, sizeof e->magic);
    else if (!strncmp(line, "mask ", 5) &&
             parse_hex(line + 5, e->mask, sizeof e->mask) != e->n)
        e->n = 0;
}

/* False: there is no such entry. */
static bool entry_read(const char *name, Entry *e)
{
    char path[PATH_MAX], line[PATH_MAX + 32];
    FILE *f = fopen(entry_path(name, path), "re");

    *e = (Entry){0};
    memset(e->mask, 0xff, sizeof e->mask);
    if (!f)
        return false;
    while (fgets(line, sizeof line, f))
        entry_line(e, line);
    fclose(f);
    if (e->n < 0 || e->offset < 0)
        e->n = 0;
    return true;
}

/* Another entry for our programs: says so.  Returns how many. */
static int others_complain(const Abi *abi)
{
    char own[64];
    const char *name;
    GDir *dir = g_dir_open(DIR, 0, NULL);
    int n = 0;
    Entry e;

    own_name(abi, own);
    while (dir && (name = g_dir_read_name(dir))) {
        if (!strcmp(name, own) || !strcmp(name, "register") || !strcmp(name, "status"))
            continue;
        if (!entry_read(name, &e) || !e.enabled || !entry_matches(&e, abi))
            continue;
        complain("%s starts %s programs already, with %s (echo -1 >" DIR
                 "/%s takes that back)",
                 name, abi->guest, e.interpreter, name);
        n++;
    }
    if (dir)
        g_dir_close(dir);
    return n;
}

/* ---- what may be wrong ---- */

static bool kernel_knows(void)
{
    char *text = NULL;
    bool knows = g_file_get_contents("/proc/filesystems", &text, NULL, NULL) &&
                 strstr(text, "\tbinfmt_misc\n");

    g_free(text);
    return knows;
}

static bool is_mounted(void) { return access(DIR "/register", F_OK) == 0; }

/* False: there is no binfmt_misc, and why. */
static bool mount_check(bool mount_it)
{
    if (is_mounted())
        return true;
    if (mount_it && mount("binfmt_misc", DIR, "binfmt_misc", 0, NULL) == 0)
        return true;
    if (access("/proc/self", F_OK))
        complain("/proc is not mounted");
    else if (!kernel_knows())
        complain("this kernel has no binfmt_misc (modprobe binfmt_misc, or a kernel "
                 "with CONFIG_BINFMT_MISC)");
    else
        complain("binfmt_misc is not mounted%s: mount -t binfmt_misc binfmt_misc " DIR,
                 geteuid() ? " and you are not root" : "");
    return false;
}

static bool is_enabled(void)
{
    char *text = NULL;
    bool enabled = !g_file_get_contents(DIR "/status", &text, NULL, NULL) ||
                   strncmp(text, "disabled", 8) != 0;

    g_free(text);
    if (!enabled)
        complain("binfmt_misc is switched off: echo 1 >" DIR "/status");
    return enabled;
}

/* A program that needs libraries at run time.  What it is called may be any file. */
static bool is_dynamic(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    bool dynamic = false;
    Elf64_Ehdr eh;
    Elf64_Phdr ph;

    if (pread(fd, &eh, sizeof eh, 0) == sizeof eh)
        for (u64 at = eh.e_phoff; !dynamic && eh.e_phnum; eh.e_phnum--) {
            if (pread(fd, &ph, sizeof ph, (off_t)at) != sizeof ph)
                break;
            dynamic = ph.p_type == PT_INTERP;
            at += sizeof ph;
        }
    if (fd >= 0)
        close(fd);
    return dynamic;
}

static bool dynamic_check(const char *path)
{
    if (!is_dynamic(path))
        return true;
    complain("%s is not linked statically: in a chroot or container it lacks its "
             "libraries",
             path);
    return false;
}

/* ---- the actions ---- */

/* One write, as the kernel wants it. */
static bool write_file(const char *name, const char *text)
{
    char path[PATH_MAX];
    int fd = open(entry_path(name, path), O_WRONLY | O_CLOEXEC), error = errno;
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (!good) {
        error = fd >= 0 ? errno : error;
        complain("cannot write %s: %s%s", path, strerror(error),
                 error == EACCES || error == EPERM ? " (not root here)" : "");
    }
    if (fd >= 0)
        close(fd);
    return good;
}

/* The rule's separator: a character that is not in the path. */
static char separator(const char *path)
{
    const char *c = ":|;,!";

    while (*c && strchr(path, *c))
        c++;
    return *c;
}

/* False: the kernel would not take it. */
static bool make_rule(const Abi *abi, const char *name, const char *path,
                      char rule[2 * PATH_MAX])
{
    char *end = rule, c = separator(path);
    u8 magic[MAGIC], mask[MAGIC];

    guest_magic(abi, magic, mask);
    end += sprintf(end, "%c%s%cM%c%c", c, name, c, c, c);
    end = put_bytes(end, magic);
    *end++ = c;
    end = put_bytes(end, mask);
    end += sprintf(end, "%c%s%c" FLAGS, c, path, c);
    if (c && end - rule < RULE_MOST)
        return true;
    complain("%s: the kernel takes no such name (too long, or with all of :|;,!)",
             path);
    return false;
}

/* Our own file's name; false: it has none any more. */
static bool own_path(char path[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

    path[MAX(n, 0)] = 0;
    if (n > 0 && access(path, X_OK) == 0)
        return true;
    complain("%s: this program's own file is gone", path);
    return false;
}

static int print(const Abi *abi, const char *name)
{
    char path[PATH_MAX], rule[2 * PATH_MAX];

    if (!own_path(path) || !make_rule(abi, name, path, rule))
        return 1;
    puts(rule);
    return 0;
}

static int install(const Abi *abi, const char *name)
{
    char path[PATH_MAX], rule[2 * PATH_MAX];
    Entry e;

    if (!mount_check(true) || !is_enabled() || !own_path(path) || others_complain(abi))
        return 1;
    if (!make_rule(abi, name, path, rule))
        return 1;
    if (entry_read(name, &e) && !write_file(name, "-1")) /* it has an older file open */
        return 1;
    if (!write_file("register", rule))
        return 1;
    dynamic_check(path);
    printf("%s starts %s programs from now on\n", path, abi->guest);
    return 0;
}

static int uninstall(const char *name)
{
    Entry e;

    if (!mount_check(false))
        return 1;
    if (!entry_read(name, &e)) {
        complain("%s is not registered", name);
        return 1;
    }
    return write_file(name, "-1") ? 0 : 1;
}

static const char *flag_lost(char flag)
{
    switch (flag) {
    case 'P': return "programs do not see the argv[0] they were called by";
    case 'O': return "programs that may not be read do not start";
    case 'C': return "setuid programs run without their owner's rights";
    default: return "the file must be there in every chroot and container, too";
    }
}

static bool entry_check(const Entry *e, const Abi *abi, const char *name)
{
    bool good = e->enabled;
    struct stat st;

    if (!e->enabled)
        complain("%s is switched off: echo 1 >" DIR "/%s", name, name);
    if (!entry_matches(e, abi)) {
        complain("%s is for other files than %s programs", name, abi->guest);
        good = false;
    }
    if (access(e->interpreter, X_OK) || stat(e->interpreter, &st)) {
        complain("%s: %s", e->interpreter, strerror(errno));
        good = false;
    } else if (!S_ISREG(st.st_mode)) {
        complain("%s: not a program", e->interpreter);
        good = false;
    }
    for (const char *f = FLAGS; *f; f++)
        if (!strchr(e->flags, *f)) {
            complain("registered without flag %c: %s", *f, flag_lost(*f));
            good = false;
        }
    return dynamic_check(e->interpreter) && good;
}

static int check(const Abi *abi, const char *name)
{
    bool good;
    Entry e;

    if (!mount_check(false))
        return 1;
    good = is_enabled();
    good &= others_complain(abi) == 0;
    if (!entry_read(name, &e)) {
        complain("%s is not registered (-binfmt install)", name);
        return 1;
    }
    good &= entry_check(&e, abi, name);
    if (good)
        printf("%s starts %s programs (flags %s)\n", e.interpreter, abi->guest,
               e.flags);
    return good ? 0 : 1;
}

int binfmt_run(const Abi *abi, const char *action)
{
    char name[64];

    own_name(abi, name);
    if (!strcmp(action, "install"))
        return install(abi, name);
    if (!strcmp(action, "remove"))
        return uninstall(name);
    if (!strcmp(action, "check"))
        return check(abi, name);
    if (!strcmp(action, "print"))
        return print(abi, name);
    complain("%s: install, remove, check or print is wanted", action);
    return 1;
}

/* ---- started by the kernel ---- */

/* A descriptor of the program, -1: there is none. */
static int program_fd(void)
{
    u64 fd;

    errno = 0;
    fd = getauxval(AT_EXECFD);
    return fd == 0 && errno ? -1 : (int)fd;
}

bool binfmt_started(Options *o, int argc, char **argv)
{
    bool keeps_argv0 = getauxval(AT_FLAGS) & AT_FLAGS_PRESERVE_ARGV0;

    o->program_fd = program_fd();
    if ((o->program_fd < 0 && !keeps_argv0) || argc < 2 + keeps_argv0)
        return false;
    o->program = argv[1];
    o->filename = (const char *)getauxval(AT_EXECFN); /* of a script, the script */
    o->argv0 = keeps_argv0 ? argv[2] : NULL;
    o->args = argv + 2 + keeps_argv0;
    o->binfmt = true;
    return true;
}
