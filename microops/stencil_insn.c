/* SPDX-License-Identifier: MIT */
/*
 * Lengths of x86-64 instructions, and jumps.  Part of the build tool: linear sweep
 * is exact here, since the compiler puts no data between instructions.
 */
#include <string.h>
#include "stencil_insn.h"

/*
 * What follows each opcode, by the manual's opcode maps (volume 2, appendix A).
 *   .  nothing         m  ModRM              b  byte           z  4 bytes (66: 2)
 *   w  2 bytes         M  ModRM, byte        Z  ModRM, z       v  z, or 8 with REX.W
 *   o  8 bytes         j  1-byte jump        J  4-byte jump    c  4-byte call
 *   r  return, trap    6, 7, f  groups with ModRM              -  not in our maps
 */
static const char map_1[] = "mmmmbz--mmmmbz--" /* 00: arithmetic */
                            "mmmmbz--mmmmbz--"
                            "mmmmbz--mmmmbz--"
                            "mmmmbz--mmmmbz--"
                            "----------------" /* 40: REX */
                            "................"
                            "---m----zZbM----"
                            "jjjjjjjjjjjjjjjj"
                            "MZ-Mmmmmmmmmmmmm" /* 80 */
                            "..........-....."
                            "oooo....bz......"
                            "bbbbbbbbvvvvvvvv"
                            "MMrr--MZ-.rrrr-r" /* c0 */
                            "mmmm---.mmmmmmmm"
                            "jjjjbbbbcJ-j...."
                            "-r--r.67......mf";
static const char map_0f[] = "-----------r-m--" /* 00 */
                             "mmmmmmmmmmmmmmmm"
                             "--------mmmmmmmm"
                             "----------------"
                             "mmmmmmmmmmmmmmmm" /* 40 */
                             "mmmmmmmmmmmmmmmm"
                             "mmmmmmmmmmmmmmmm"
                             "MMMMmmm.mmmmmmmm"
                             "JJJJJJJJJJJJJJJJ" /* 80 */
                             "mmmmmmmmmmmmmmmm"
                             "..-mMm----.mMmmm"
                             "mmmmmmmmmmMmmmmm"
                             "mmMmMMMm........" /* c0 */
                             "mmmmmmmmmmmmmmmm"
                             "mmmmmmmmmmmmmmmm"
                             "mmmmmmmmmmmmmmmr";

typedef struct Reader {
    const u8 *code;
    u32 size, at;
    bool short_z, wide; /* prefixes 66 and REX.W */
} Reader;

static u8 peek(const Reader *r, u32 ahead)
{
    return r->at + ahead < r->size ? r->code[r->at + ahead] : 0;
}

static void read_prefixes(Reader *r)
{
    static const u8 prefixes[] = {0x66, 0xf0, 0xf2, 0xf3, 0x2e,
                                  0x36, 0x3e, 0x26, 0x64, 0x65};

    for (; memchr(prefixes, peek(r, 0), sizeof prefixes); r->at++)
        r->short_z |= peek(r, 0) == 0x66;
    if ((peek(r, 0) & 0xf0) == 0x40)
        r->wide = r->code[r->at++] & 8;
}

/* The opcode after 0f, 0f 38, 0f 3a or the same map behind a VEX prefix. */
static char read_mapped(Reader *r, u32 map)
{
    u8 opcode = peek(r, 0);

    r->at++;
    return map == 1 ? map_0f[opcode] : map == 2 ? 'm' : map == 3 ? 'M' : '-';
}

static char read_opcode(Reader *r, u8 *opcode)
{
    *opcode = peek(r, 0);
    r->at++;
    if (*opcode == 0xc5) {
        r->at++;
        return read_mapped(r, 1);
    }
    if (*opcode == 0xc4) {
        r->at += 2;
        return read_mapped(r, r->at - 2 < r->size ? r->code[r->at - 2] & 31 : 0);
    }
    if (*opcode != 0x0f)
        return map_1[*opcode];
    if (peek(r, 0) != 0x38 && peek(r, 0) != 0x3a)
        return read_mapped(r, 1);
    r->at++;
    return read_mapped(r, r->code[r->at - 1] == 0x38 ? 2 : 3);
}

/* Steps over ModRM, SIB and displacement; returns ModRM's middle field. */
static u32 skip_modrm(Reader *r)
{
    u8 modrm = peek(r, 0), mod = modrm >> 6, rm = modrm & 7;

    r->at++;
    if (mod == 3)
        return modrm >> 3 & 7;
    if (rm == 4) {
        if (mod == 0 && (peek(r, 0) & 7) == 5)
            r->at += 4;
        r->at++;
    }
    r->at += mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 5) ? 4 : 0;
    return modrm >> 3 & 7;
}

static i32 read_rel(Reader *r, u32 n)
{
    i32 rel = 0;

    r->at += n;
    if (r->at <= r->size)
        memcpy(&rel, r->code + r->at - n, n);
    return (i32)r->at + (n == 1 ? (i8)rel : rel);
}

static bool read_operands(Reader *r, char what, u8 opcode, Insn *insn)
{
    u32 z = r->short_z ? 2 : 4, reg = 0;

    if (strchr("mMZ67f", what))
        reg = skip_modrm(r);
    switch (what) {
    case '.':
    case 'm': break;
    case 'b':
    case 'M': r->at += 1; break;
    case 'w': r->at += 2; break;
    case 'z':
    case 'Z': r->at += z; break;
    case 'v': r->at += r->wide ? 8 : z; break;
    case 'o': r->at += 8; break;
    case '6': r->at += reg < 2 ? 1 : 0; break;
    case '7': r->at += reg < 2 ? z : 0; break;
    case 'j':
        insn->kind = opcode == 0xeb ? INSN_JUMP : INSN_JCC;
        insn->to = read_rel(r, 1);
        break;
    case 'J':
        insn->kind = opcode == 0xe9 ? INSN_JUMP : INSN_JCC;
        insn->to = read_rel(r, 4);
        break;
    case 'c':
        insn->kind = INSN_CALL;
        r->at += 4;
        break;
    case 'r': insn->kind = INSN_RETURN; break;
    case 'f':
        insn->kind = reg == 4 || reg == 5   ? INSN_INDIRECT
                     : reg == 2 || reg == 3 ? INSN_CALL
                                            : INSN_PLAIN;
        break;
    default: return false;
    }
    return true;
}

bool insn_read(const u8 *code, u32 size, u32 at, Insn *insn)
{
    Reader r = {.code = code, .size = size, .at = at};
    u8 opcode;
    char what;

    *insn = (Insn){.at = at};
    read_prefixes(&r);
    what = read_opcode(&r, &opcode);
    if (!read_operands(&r, what, opcode, insn) || r.at > size)
        return false;
    insn->len = r.at - at;
    return true;
}
