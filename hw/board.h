/* SPDX-License-Identifier: MIT */
/*
 * What boards are made of: devices that stand at fixed places, what is loaded to boot,
 * a device tree.  The board knows each device's place, line and node of the tree.
 */
#ifndef TESSERA_BOARD_H
#define TESSERA_BOARD_H

#include "hw.h"

/* ---- devices of fixed places: each by the file of its name; false: *error ---- */

bool uart16550_new(Machine *m, u64 base, u32 irq, Chardev *serial, /* NULL: nobody */
                   char **error);
bool goldfish_rtc_new(Machine *m, u64 base, u32 irq, char **error);
bool sifive_test_new(Machine *m, u64 base, char **error);
/* With what -fw_cfg asks for. */
bool fw_cfg_new(Machine *m, u64 base, char **error);
/* One bank; its contents: -drive if=pflash,unit=, else blank. */
bool pflash_new(Machine *m, u64 base, u64 size, u32 unit, char **error);
/* That -drive's list (units that are not given are counted up); NULL: there is none. */
Props *pflash_drive(const Machine *m, u32 unit);

/* ---- the boards ---- */

extern const BoardType board_virt; /* riscv64_virt.c */

/* ---- boot.c: what is loaded ---- */

enum { IMAGE_PARTS = 64 };

/* A file, which stays open: it is read again at each reset. */
typedef struct Image {
    char *path;
    int fd;
    u64 file_size;
    u64 start, end; /* physical addresses used, with what is zeroed */
    u64 entry;
    bool is_linux; /* Linux's Image: it wants to be in S mode */
    u32 n_parts;
    struct ImagePart {
        u64 phys, size; /* size: with zeroes behind the bytes */
        u64 offset, n;  /* bytes in the file */
    } part[IMAGE_PARTS];
} Image;

typedef enum ImageKind { IMAGE_RAW = 1, IMAGE_ELF = 2, IMAGE_LINUX = 4 } ImageKind;

/* Reads a file of one of these kinds, to be loaded at phys (an ELF says itself where).
 * NULL: *error, one line. */
Image *image_read(const char *path, u32 kinds, u64 phys, char **error);
void image_free(Image *i);
/* All of it into RAM.  False: *error. */
bool image_load(Machine *m, const Image *i, char **error);

#endif
