/* SPDX-License-Identifier: MIT */
/* Run: tests/fuzz gdb
 *
 * What a debugger sends: the input's lines are packets for a stub whose one thread
 * stands still, and the input as a whole is a stream of bytes for the reader.  Packets
 * that kill or open files are left out.
 */
#include <sys/mman.h>
#include "../linux-user/gdb.h"
#include "fuzz_task.h"

enum { CODE = 0x10000, DATA = 0x20000, NOBODY = 0x7ffffffe };

static GdbStub *stub;

static void map(Task *t, u64 at, int prot)
{
    if (mem_mmap(t, at, PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                 0) != (i64)at)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    Task *t = fuzz_task();

    process.program = "none";
    process.options.program = "none";
    t->tid = NOBODY; /* signals go nowhere */
    map(t, CODE, PROT_READ | PROT_EXEC);
    map(t, DATA, PROT_NONE);
    gdb_task_new(gdb_new(&process), t);
    stub = &process.gdb->stub;
    stub->chosen = stub->threads;
    stub->attached = true;
    return 0;
}

static bool begins(const u8 *packet, size_t size, const char *word)
{
    return size >= strlen(word) && !memcmp(packet, word, strlen(word));
}

static void answer(const u8 *packet, size_t size)
{
    GString *out = g_string_new(NULL);

    stub->stopped = 1;
    stub->detached = false;
    if (!begins(packet, size, "k") && !begins(packet, size, "vKill") &&
        !begins(packet, size, "vFile:open"))
        gdb_packet(stub, (const char *)packet, size, out);
    fuzz_demand(out->len <= 2 * GDB_PACKET_MAX, "%zu bytes", (size_t)out->len);
    g_string_free(out, TRUE);
}

static void read_stream(const u8 *data, size_t size)
{
    GdbReader r;

    gdb_reader_init(&r);
    for (size_t i = 0; i < size; i++)
        if (gdb_reader_put(&r, data[i]) == GDB_PACKET)
            answer((const u8 *)r.packet->str, r.packet->len);
    gdb_reader_free(&r);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const u8 *end = data + size, *line = data, *next;

    read_stream(data, size);
    for (; line < end; line = next + 1) {
        next = memchr(line, '\n', (size_t)(end - line));
        next = next ? next : end;
        answer(line, (size_t)(next - line));
    }
    gdb_remove_all(stub);
    return 0;
}
