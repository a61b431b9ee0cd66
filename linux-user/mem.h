/* SPDX-License-Identifier: MIT */
/* What mem.c shares with mem_remap.c and mem_shm.c.  Memory.lock is held for all. */
#ifndef TESSERA_MEM_H
#define TESSERA_MEM_H

#include "user.h"

static inline void *mem_host(const Memory *m, u64 addr)
{
    return space_host(&m->space, addr);
}

/* Has the guest something at all of it? */
bool mem_covers(const Memory *m, u64 addr, u64 len);
/* Page flags for PROT_* bits. */
u8 mem_flags(int prot, bool shared);
/* Has mseal been here?  Nothing of it is the host's: pages with translated code change
 * their protection. */
static inline bool mem_sealed(const Memory *m, u64 addr, u64 len)
{
    return extents_touch(&m->sealed, addr, addr + len);
}
/* Where mmap shall put len bytes: the address or -errno. */
i64 mem_place(const Memory *m, u64 addr, u64 len, int flags);
/* Puts the inaccessible reservation at a range; 0 or -errno. */
i64 mem_reserve(Memory *m, u64 addr, u64 len);
/* The guest has nothing at [addr, addr+len) any more; host mappings stay. */
void mem_forget(Process *p, u64 addr, u64 len);
/* The guest has this at [addr, addr+len), which was forgotten before; false: no
 * memory for the list. */
bool mem_grant(Memory *m, u64 addr, u64 len, u8 flags);
/* Bytes are about to change behind the guest's back: drops their blocks. */
void mem_contents_change(Process *p, u64 addr, u64 len);
/* Forgets and reserves. */
i64 mem_unmap(Process *p, u64 addr, u64 len);
/* mem_file.c: where a file of len bytes is to be that can be anywhere; 0: anywhere. */
u64 mem_home(const Process *p, int fd, u64 len);
/* mmap's addr, or where it would best be put when that is 0. */
u64 mem_mmap_hint(const Process *p, u64 addr, u64 len, int prot, int flags, int fd,
                  u64 offset);
/* Tells the cache of code that was mapped. */
void mem_note_file(Process *p, u64 addr, u64 len, int prot, int flags, int fd,
                   u64 offset);
/* shmat's attachments in there are gone. */
void mem_shm_forget(Memory *m, u64 start, u64 end);

#endif
