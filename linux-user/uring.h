/* SPDX-License-Identifier: MIT */
/* What the two files of io_uring share. */
#ifndef TESSERA_URING_H
#define TESSERA_URING_H

#include <glib.h>
#include <linux/io_uring.h>
#include "sys.h"

/* A guest's entry becomes the host's.  What it needs beside it is put into temps, and
 * must live until the host has taken the entry. */
void uring_entry(Task *t, struct io_uring_sqe *entry, GPtrArray *temps);
/* A probe's answer, without what we refuse. */
void uring_probe(struct io_uring_probe *p, u32 room);

#endif
