/* SPDX-License-Identifier: MIT */
/* -cache: when translations are kept, and where. */
#include <glib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>
#include "user.h"

enum { SIZE_DEFAULT = 512 << 20 };

/* What shows or counts how code is made wants it made. */
static bool looks(const Options *o, const CacheOptions *c)
{
    return c->interp || c->check || c->explain || c->perfmap || c->jitdump || o->gdb ||
           o->one_insn ||
           log_on(LOG_IN_ASM | LOG_OP | LOG_OP_OPT | LOG_OUT_ASM | LOG_EXEC | LOG_CPU |
                  LOG_CHAIN | LOG_NOCHAIN);
}

/* Not somebody else's home, as root may have it. */
static bool is_own(const char *dir)
{
    struct stat st;

    return dir && *dir == '/' && !stat(dir, &st) && st.st_uid == geteuid();
}

static char *default_folder(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (cache && *cache)
        return is_own(cache) ? g_build_filename(cache, "tessera", NULL) : NULL;
    return is_own(home) ? g_build_filename(home, ".cache", "tessera", NULL) : NULL;
}

/* Once read: as the programs that this one executes are to be told. */
static void make_absolute(Options *o, const char *dir, u64 limit)
{
    o->cache = g_strdup_printf("%s,%llu", dir, (unsigned long long)limit);
}

void saved_options(CacheOptions *c, Options *o)
{
    g_auto(GStrv) words = o->cache ? g_strsplit(o->cache, ",", -1) : NULL;
    u64 limit = SIZE_DEFAULT, size;
    char *dir = NULL;

    for (char **w = words; w && *w; w++) {
        if (!strcmp(*w, "off") || !strcmp(*w, "0"))
            return;
        if (strchr(*w, '/'))
            dir = g_canonicalize_filename(*w, NULL);
        else if (**w && strcmp(*w, "on") != 0) {
            if (!options_number(*w, true, &size))
                fatal(1, "-cache %s: off, a folder or a size is wanted", *w);
            limit = size;
        }
    }
    if (dir)
        make_absolute(o, dir, limit);
    if (looks(o, c) || getauxval(AT_SECURE))
        return;
    c->saved = dir ? dir : default_folder();
    c->saved_limit = limit;
}

void saved_check(const Process *p, const CacheOptions *c)
{
    if (c->saved && p->options.cache && strchr(p->options.cache, '/') &&
        !cache_keeps(p->cache))
        report("-cache %s: %s: no translations are kept", c->saved, strerror(errno));
}
