/* SPDX-License-Identifier: MIT */
/* -stats: what the translator did, one line a figure, at the end of a process. */
#include <stdio.h>
#include <unistd.h>
#include "user.h"

static double ratio(u64 a, u64 b) { return b ? (double)a / (double)b : 0; }

void task_stats(Process *p)
{
    CacheStats s;

    if (!p->options.stats)
        return;
    cache_stats(p->cache, &s);
    log_begin();
    fprintf(stderr, "tessera-%s: statistics of process %d, %s\n", p->abi->guest,
            getpid(), p->program);
    fprintf(stderr, "  blocks translated    %12llu\n", (long long)s.blocks);
    fprintf(stderr, "  traces               %12llu\n", (long long)s.traces);
    fprintf(stderr, "  guest instructions   %12llu\n", (long long)s.guest_insns);
    fprintf(stderr, "  ns per instruction   %12.1f\n",
            ratio(s.translate_ns, s.guest_insns));
    fprintf(stderr, "  host code per insn   %12.1f bytes\n",
            ratio(s.host_bytes, s.guest_insns));
    fprintf(stderr, "  metadata per insn    %12.1f bytes\n",
            ratio(s.meta_bytes, s.guest_insns));
    fprintf(stderr, "  exits linked         %12llu\n", (long long)s.links);
    fprintf(stderr, "  entries from C       %12llu\n", (long long)s.entries);
    fprintf(stderr, "  block look-ups       %12llu\n", (long long)s.lookups);
    fprintf(stderr, "  jump cache misses    %12llu\n", (long long)s.jump_misses);
    fprintf(stderr, "  blocks invalidated   %12llu\n", (long long)s.invalidated);
    fprintf(stderr, "  cache flushes        %12llu\n", (long long)s.flushes);
    fprintf(stderr, "  SMC faults           %12llu\n", (long long)s.smc_faults);
    fprintf(stderr, "  hot pages            %12llu\n", (long long)s.hot_pages);
    fprintf(stderr, "  outside code         %12.1f %% of the time\n",
            100 * ratio(s.outside_ns, s.total_ns));
    log_end();
}
