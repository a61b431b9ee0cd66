/* SPDX-License-Identifier: MIT */
/* Files of one zstd frame. */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include "zfile.h"

enum { CHUNK = 1 << 17, LEVEL = 1 };

struct ZFile {
    FILE *f;
    ZSTD_CCtx *out;
    ZSTD_DCtx *in;
    int error;       /* errno of the first failure */
    bool frame_over; /* the whole frame was read, its checksum was right */
    ZSTD_inBuffer raw;
    u8 bytes[CHUNK];
};

static ZFile *zfile_new(const char *path, const char *mode, char **error)
{
    ZFile *z = g_new0(ZFile, 1);

    z->f = fopen(path, mode);
    if (z->f)
        return z;
    *error = g_strdup_printf("%s: %s", path, strerror(errno));
    g_free(z);
    return NULL;
}

void zfile_free(ZFile *z)
{
    if (z->f)
        fclose(z->f);
    ZSTD_freeCCtx(z->out);
    ZSTD_freeDCtx(z->in);
    g_free(z);
}

/* ---- writing ---- */

ZFile *zfile_create(const char *path, char **error)
{
    ZFile *z = zfile_new(path, "wbe", error);

    if (!z)
        return NULL;
    z->out = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(z->out, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(z->out, ZSTD_c_checksumFlag, 1);
    return z;
}

static void compress(ZFile *z, const void *bytes, size_t n, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = {bytes, n, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {z->bytes, CHUNK, 0};

        left = ZSTD_compressStream2(z->out, &out, &in, end);
        if (ZSTD_isError(left))
            z->error = EIO;
        else if (fwrite(z->bytes, 1, out.pos, z->f) != out.pos)
            z->error = errno;
    } while (!z->error && (in.pos < in.size || (end == ZSTD_e_end && left)));
}

void zfile_write(ZFile *z, const void *bytes, size_t n)
{
    if (!z->error)
        compress(z, bytes, n, ZSTD_e_continue);
}

bool zfile_close(ZFile *z, char **error)
{
    int failed;

    if (!z->error)
        compress(z, NULL, 0, ZSTD_e_end);
    if (!z->error && (fflush(z->f) || fsync(fileno(z->f))))
        z->error = errno;
    if (fclose(z->f) && !z->error)
        z->error = errno;
    z->f = NULL;
    failed = z->error;
    zfile_free(z);
    if (failed)
        *error = g_strdup_printf("the state was not saved: %s", strerror(failed));
    return !failed;
}

/* ---- reading ---- */

ZFile *zfile_open(const char *path, char **error)
{
    ZFile *z = zfile_new(path, "rbe", error);

    if (!z)
        return NULL;
    z->in = ZSTD_createDCtx();
    return z;
}

bool zfile_rewind(ZFile *z)
{
    ZSTD_DCtx_reset(z->in, ZSTD_reset_session_only);
    z->raw = (ZSTD_inBuffer){0};
    z->frame_over = false;
    z->error = 0;
    return !fseek(z->f, 0, SEEK_SET);
}

static bool refill(ZFile *z)
{
    if (z->raw.pos < z->raw.size)
        return true;
    z->raw = (ZSTD_inBuffer){z->bytes, fread(z->bytes, 1, CHUNK, z->f), 0};
    return z->raw.size;
}

/* Up to n more bytes; false: there are none, or they are damaged. */
static bool decompress(ZFile *z, ZSTD_outBuffer *out)
{
    size_t before = out->pos;

    while (!z->frame_over && out->pos == before && out->pos < out->size) {
        bool more = refill(z);
        size_t left = ZSTD_decompressStream(z->in, out, &z->raw);

        if (ZSTD_isError(left) || (!more && out->pos == before && left))
            return false;
        z->frame_over = !left;
    }
    return out->pos > before;
}

bool zfile_read(ZFile *z, void *bytes, size_t n)
{
    ZSTD_outBuffer out = {bytes, n, 0};

    while (out.pos < n)
        if (!decompress(z, &out))
            return false;
    return true;
}

bool zfile_ends(ZFile *z)
{
    u8 more;
    ZSTD_outBuffer out = {&more, 1, 0};

    return !decompress(z, &out) && z->frame_over && !refill(z);
}
