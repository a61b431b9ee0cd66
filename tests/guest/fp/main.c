/* SPDX-License-Identifier: MIT */
/* Run: tests/fp      (this program alone: fp_sweep -h) */
#include <unistd.h>
#include "fp.h"

static const char usage[] =
    "fp_sweep [options] special|random|sequence...\n"
    "  -f LIST   families of instructions: fd,zfh,zfa\n"
    "  -i INSN   this instruction\n"
    "  -m MODE   this rounding mode\n"
    "  -n COUNT  random chunks an instruction and mode, or sequences\n"
    "  -k EVERY  one chunk in so many\n"
    "  -c CHUNK  this chunk\n"
    "  -l COUNT  sequences: their first instructions only\n"
    "  -x INDEX  show this case of it\n"
    "  -v        show its cases, not their hash\n";

static void set(const char *name, const Options *o)
{
    if (!strcmp(name, "special"))
        single_special(o);
    else if (!strcmp(name, "random"))
        single_random(o);
    else if (!strcmp(name, "sequence"))
        sequence_all(o);
    else
        exit(2);
}

static Options options(int argc, char **argv)
{
    Options o = {.family = "fd", .chunk = -1, .index = -1, .count = 2, .every = 1};

    for (int c; (c = getopt(argc, argv, "f:i:m:n:k:c:l:x:vh")) != -1;)
        switch (c) {
        case 'f': o.family = optarg; break;
        case 'i': o.insn = optarg; break;
        case 'm': o.mode = optarg; break;
        case 'n': o.count = (u32)strtoul(optarg, NULL, 0); break;
        case 'k': o.every = (u32)strtoul(optarg, NULL, 0); break;
        case 'c': o.chunk = strtol(optarg, NULL, 0); break;
        case 'l': o.length = (u32)strtoul(optarg, NULL, 0); break;
        case 'x': o.index = strtol(optarg, NULL, 0), o.show = true; break;
        case 'v': o.show = true; break;
        default: fputs(usage, stderr); exit(2);
        }
    return o;
}

int main(int argc, char **argv)
{
    Options o = options(argc, argv);

    insns_init();
    for (; optind < argc; optind++)
        set(argv[optind], &o);
    return 0;
}
