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

/* ---- boot.c: what is loaded ---- */

/* One file's bytes, where they go, and where they are entered. */
typedef struct Image {
    char *path;
    u64 start, end; /* physical addresses used, with what is zeroed */
    u64 entry;
    GPtrArray *parts; /* of ImagePart * */
} Image;

typedef struct ImagePart {
    u64 phys, size; /* size: with zeroes behind the bytes */
    GBytes *bytes;
} ImagePart;

typedef enum ImageKind { IMAGE_RAW = 1, IMAGE_ELF = 2, IMAGE_LINUX = 4 } ImageKind;

/* Reads a file of one of these kinds, to be loaded at phys (an ELF says itself where;
 * a Linux Image how far above).  NULL: *error, one line. */
Image *image_read(const char *path, u32 kinds, u64 phys, char **error);
void image_free(Image *i);
/* All of it into RAM.  False: it lies outside. */
bool image_load(Machine *m, const Image *i);

#endif
