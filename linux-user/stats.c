/* SPDX-License-Identifier: MIT */
/* -stats: what the translator did, one line a figure, at the end of a process. */
#include <stdio.h>
#include <unistd.h>
#include "user.h"

static double ratio(u64 a, u64 b) { return b ? (double)a / (double)b : 0; }

void task_stats(Process *p)
{
    CacheStats s;
    u64 jumped; /* indirect jumps that found their block without leaving */

    symbols_check_filter(p->symbols);
    cache_end(p->cache);
    if (!p->options.stats)
        return;
    cache_stats(p->cache, &s);
    jumped = s.jumps - MIN(s.jumps, s.jump_misses);
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
    fprintf(stderr, "  blocks run           %12llu\n", (long long)s.entered);
    fprintf(stderr, "  ... by linked exits  %12.1f %% of those not jumped to\n",
            100 * ratio(s.entered - MIN(s.entered, s.entries + jumped),
                        s.entered - MIN(s.entered, jumped)));
    fprintf(stderr, "  jump cache hits      %12.1f %% of %llu\n",
            100 * ratio(jumped, s.jumps), (long long)s.jumps);
    fprintf(stderr, "  blocks invalidated   %12llu\n", (long long)s.invalidated);
    fprintf(stderr, "  cache flushes        %12llu\n", (long long)s.flushes);
    fprintf(stderr, "  SMC faults           %12llu\n", (long long)s.smc_faults);
    fprintf(stderr, "  hot pages            %12llu\n", (long long)s.hot_pages);
    if (s.compared + s.passed_by) {
        fprintf(stderr, "  blocks compared      %12llu\n", (long long)s.compared);
        fprintf(stderr, "  ... not compared     %12llu\n", (long long)s.passed_by);
    }
    if (s.total_ns)
        fprintf(stderr, "  outside code         %12.1f %% of the time\n",
                100 - 100 * ratio(s.inside_ns, s.total_ns));
    log_end();
}
