/* SPDX-License-Identifier: MIT */
/* -fsdev local: a host folder, and what leads to files in it and to nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fs.h"

enum { ALWAYS = O_CLOEXEC | O_NOFOLLOW, NEVER_WAITS = O_NONBLOCK | O_NOCTTY };

/* ---- paths ---- */

/* A pipe or device is never waited for. */
int fs_open(const Fs *fs, const char *path, int flags, u32 mode)
{
    const struct open_how how = {
        .flags = (u32)(flags | ALWAYS | (flags & O_PATH ? 0 : NEVER_WAITS)),
        .mode = flags & O_CREAT ? mode & 07777 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, fs->root, *path ? path : ".", &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

int fs_stat(const Fs *fs, const char *path, struct stat *s)
{
    int fd = fs_open(fs, path, O_PATH, 0), result;

    if (fd < 0)
        return fd;
    result = fstat(fd, s) ? -errno : 0;
    close(fd);
    return result;
}

static void fd_path(int fd, char path[32])
{
    snprintf(path, 32, "/proc/self/fd/%d", fd);
}

int fs_reopen(int fd, int flags)
{
    char path[32];
    struct stat s;
    int again;

    if (fstat(fd, &s))
        return -errno;
    if (!S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode))
        return S_ISLNK(s.st_mode) ? -ELOOP : -ENXIO;
    fd_path(fd, path);
    again = open(path, flags | O_CLOEXEC | NEVER_WAITS);
    return again < 0 ? -errno : again;
}

int fs_chmod(int fd, u32 mode)
{
    char path[32];
    struct stat s;

    if (fstat(fd, &s))
        return -errno;
    if (S_ISLNK(s.st_mode))
        return -EOPNOTSUPP;
    fd_path(fd, path);
    return chmod(path, mode & 07777) ? -errno : 0;
}

int fs_parent(const Fs *fs, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? g_strndup(path, slash - path) : g_strdup("");
    int fd;

    *name = slash ? slash + 1 : path;
    fd = *path ? fs_open(fs, folder, O_PATH | O_DIRECTORY, 0) : -EBUSY;
    g_free(folder);
    return fd;
}

int fs_own(const Fs *fs, int fd, u32 mode, u32 uid, u32 gid)
{
    int result;

    if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) && fs->owners)
        return -errno;
    result = fs_chmod(fd, mode);
    return result == -EOPNOTSUPP ? 0 : result; /* a symbolic link has none */
}

/* ---- the back end ---- */

static void fs_free(Device *d)
{
    Fs *fs = (Fs *)d;

    close(fs->root);
    g_free(fs->path);
    g_free(fs->device.id);
    g_free(fs);
}

static void fs_info(const Device *d, GString *out)
{
    const Fs *fs = (const Fs *)d;

    g_string_append_printf(out, "%s%s\n", fs->path,
                           fs->read_only ? " (read-only)" : "");
}

const DeviceType fs_local = {.name = "fs-local", .info = fs_info, .free = fs_free};

Fs *fs_find(const Machine *m, const char *id)
{
    return (Fs *)device_find(m, fs_local.name, id);
}

/* False: *error says what is wrong with the list. */
static bool options_get(Fs *fs, Props *p, char **error)
{
    const char *driver = props_get(p, "fsdriver"), *id = props_get(p, "id"),
               *path = props_get(p, "path"), *model = props_get(p, "security_model"),
               *unused;

    if (!props_bool(p, "readonly", &fs->read_only, error))
        return false;
    fs->path = g_strdup(path);
    fs->device.id = g_strdup(id);
    fs->owners = !g_strcmp0(model, "passthrough");
    unused = props_unused(p);
    if (g_strcmp0(driver, "local") != 0)
        *error = g_strdup("no such driver (there is: local)");
    else if (!id || !path)
        *error = g_strdup_printf("%s is missing", id ? "path=PATH" : "id=ID");
    else if (model && !fs->owners && strcmp(model, "none") != 0)
        *error =
            g_strdup_printf("security_model=%s: neither none nor passthrough", model);
    else if (unused)
        *error = g_strdup_printf("no such property: %s", unused);
    return !*error;
}

static bool root_open(Fs *fs, char **error)
{
    struct stat s;
    int fd;

    fs->root = open(fs->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fs->root < 0 || fstat(fs->root, &s)) {
        *error = g_strdup_printf("%s: %s", fs->path, strerror(errno));
        return false;
    }
    fs->dev = s.st_dev;
    fd = fs_open(fs, "", O_PATH, 0);
    if (fd < 0)
        *error = g_strdup_printf("the host has no openat2: %s", strerror(-fd));
    else
        close(fd);
    return fd >= 0;
}

bool fs_add(Machine *m, const char *spec, char **error)
{
    Fs *fs = g_new0(Fs, 1);
    Props *p = props_parse(spec, "fsdriver");
    char *why = NULL;
    bool ok;

    fs->root = -1;
    ok = options_get(fs, p, &why) && root_open(fs, &why);
    if (ok && fs_find(m, fs->device.id)) {
        why = g_strdup_printf("id=%s is taken", fs->device.id);
        ok = false;
    }
    if (ok) {
        device_add(m, &fs->device, &fs_local, 0, 0);
    } else {
        *error = g_strdup_printf("-fsdev %s: %s", spec, why);
        fs_free(&fs->device);
    }
    props_free(p);
    g_free(why);
    return ok;
}
