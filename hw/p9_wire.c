/* SPDX-License-Identifier: MIT */
/* 9P messages taken apart and put together: little-endian numbers, strings and bytes
 * with their length before them.  (The host is little-endian, too.) */
#include <errno.h>
#include <string.h>
#include "p9.h"

/* ---- taken apart ---- */

/* What is left of a body. */
typedef struct Rest {
    u8 *bytes;
    u32 size;
} Rest;

static bool take(Rest *r, u32 n, u64 *v)
{
    *v = 0;
    if (r->size < n)
        return false;
    memcpy(v, r->bytes, n);
    r->bytes += n;
    r->size -= n;
    return true;
}

/* Where its length was there is room for the NUL behind it. */
static char *take_string(Rest *r)
{
    char *s = (char *)r->bytes;
    u64 n;

    if (!take(r, 2, &n) || r->size < n || memchr(r->bytes, 0, n))
        return NULL;
    memmove(s, r->bytes, n);
    s[n] = 0;
    r->bytes += n;
    r->size -= (u32)n;
    return s;
}

static bool is_name(const char *s)
{
    return *s && !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static int take_name(Rest *r, char **s)
{
    *s = take_string(r);
    if (!*s)
        return -EINVAL;
    return is_name(*s) ? 0 : -ENOENT;
}

static int take_names(P9 *s, Rest *r, u64 *n)
{
    int result = take(r, 2, n) && *n <= P9_NAMES ? 0 : -EINVAL;

    for (u32 i = 0; i < *n && !result; i++)
        result = take_name(r, &s->name[i]);
    return result;
}

static bool take_bytes(Rest *r, Arg *a)
{
    if (!take(r, 4, &a->n) || r->size < a->n)
        return false;
    a->s = (char *)r->bytes;
    r->bytes += a->n;
    r->size -= (u32)a->n;
    return true;
}

static int take_fid(P9 *s, Rest *r, Arg *a)
{
    if (!take(r, 4, &a->n))
        return -EINVAL;
    a->fid = g_hash_table_lookup(s->fids, GUINT_TO_POINTER((u32)a->n));
    return a->fid ? 0 : -EBADF;
}

static int take_one(P9 *s, char letter, Rest *r, Arg *a)
{
    switch (letter) {
    case 'b': return take(r, 1, &a->n) ? 0 : -EINVAL;
    case 'h': return take(r, 2, &a->n) ? 0 : -EINVAL;
    case 'd': return take(r, 4, &a->n) ? 0 : -EINVAL;
    case 'q': return take(r, 8, &a->n) ? 0 : -EINVAL;
    case 'f': return take_fid(s, r, a);
    case 'n': return take_name(r, &a->s);
    case 's': return (a->s = take_string(r)) ? 0 : -EINVAL;
    case 'N': return take_names(s, r, &a->n);
    default: return take_bytes(r, a) ? 0 : -EINVAL;
    }
}

int p9_unpack(P9 *s, const char *format, u8 *body, u32 size, Arg *arg)
{
    Rest r = {body, size};
    int result = 0;

    while (*format && !result)
        result = take_one(s, *format++, &r, arg++);
    return result;
}

/* ---- put together ---- */

static void put(Out *o, const void *bytes, u32 n)
{
    if (o->overflow || n > o->limit - o->size) {
        o->overflow = true;
        return;
    }
    memcpy(o->bytes + o->size, bytes, n);
    o->size += n;
}

void out_u8(Out *o, u8 v) { put(o, &v, sizeof(v)); }
void out_u16(Out *o, u16 v) { put(o, &v, sizeof(v)); }
void out_u32(Out *o, u32 v) { put(o, &v, sizeof(v)); }
void out_u64(Out *o, u64 v) { put(o, &v, sizeof(v)); }

void out_string(Out *o, const char *s)
{
    size_t n = strlen(s);

    out_u16(o, (u16)n);
    put(o, s, (u16)n);
}

/* Files of other host file systems below the root are kept apart by their upper bits.
 */
u64 qid_path(const Fs *fs, dev_t dev, u64 ino)
{
    return ino ^ (u64)(dev ^ fs->dev) << 44;
}

void out_qid(Out *o, const Fs *fs, const struct stat *s)
{
    out_u8(o, S_ISDIR(s->st_mode) ? 0x80 : S_ISLNK(s->st_mode) ? 0x02 : 0);
    out_u32(o, (u32)(s->st_mtim.tv_sec ^ s->st_mtim.tv_nsec ^ s->st_size << 8));
    out_u64(o, qid_path(fs, s->st_dev, s->st_ino));
}
