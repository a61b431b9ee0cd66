/* SPDX-License-Identifier: MIT */
/*
 * Every stencil, as C.  Compiled, never linked: stencilgen reads the object.
 * A function op__form__i_j is op in that form with host registers i, j bound to its
 * operands; undefined symbols are the holes.  "__a", "__b": the same with two
 * sample constants, where a symbol would not compile to an immediate.
 * PART picks a share of the file, so that a build compiles the shares side by side.
 */
/* The lists below read as tables. */
/* clang-format off */
#include "stencil.h"
#include "env.h"

register char *rbp __asm__("rbp");
#define ENV       ((Env *)(rbp - ENV_BIAS))
#define MEM(T, a) (*(__seg_gs T *)(a))
#include "ops.h"

extern const char hole_imm[], hole_env[];
extern void hole_next(void), hole_exit(void);
#define IMM      ((u64)hole_imm)
#define SLOT     (*(u64 *)(rbp + (u64)hole_env))
#define FSLOT    (*(double *)(rbp + (u64)hole_env))

#define FN(name, ...)                                                                  \
    void name(void);                                                                   \
    void name(void)                                                                    \
    {                                                                                  \
        __VA_ARGS__;                                                                   \
        hole_next();                                                                   \
    }
#define BRANCH(name, condition)                                                        \
    void name(void);                                                                   \
    void name(void)                                                                    \
    {                                                                                  \
        if (condition)                                                                 \
            hole_exit();                                                               \
        else                                                                           \
            hole_next();                                                               \
    }

#if PART_FIXED
/* The rare ops: operands and result in fixed registers, captured by empty asms. */
#define IN_R(v, r)                                                                     \
    u64 v;                                                                             \
    __asm__ volatile("" : "=" r(v))
#define IN_F(v, r)                                                                     \
    register Fpr v##_ __asm__(r);                                                      \
    __asm__ volatile("" : "=x"(v##_));                                                 \
    Fpr v = v##_
#define OUT_R(e)                                                                       \
    u64 d = e;                                                                         \
    __asm__ volatile("" : : "a"(d))
#define OUT_F(e)                                                                       \
    register Fpr d __asm__("xmm0") = e;                                                \
    __asm__ volatile("" : : "x"(d))
#define IN_RAX                                                                         \
    u64 a;                                                                             \
    __asm__ volatile("" : "=a"(a))
#define IN_RAX_RCX                                                                     \
    u64 a, b;                                                                          \
    __asm__ volatile("" : "=a"(a), "=c"(b))
#define IN_X0                                                                          \
    register Fpr a_ __asm__("xmm0");                                                   \
    __asm__ volatile("" : "=x"(a_));                                                   \
    Fpr a = a_
#define IN_X0_X1                                                                       \
    register Fpr a_ __asm__("xmm0");                                                   \
    register Fpr b_ __asm__("xmm1");                                                   \
    __asm__ volatile("" : "=x"(a_), "=x"(b_));                                         \
    Fpr a = a_, b = b_

#define R_R(op)  FN(op##__fx__, IN_RAX; OUT_R(op_##op(a)))
#define R_RR(op) FN(op##__fx__, IN_RAX_RCX; OUT_R(op_##op(a, b)))
#define R_RR_C(op)                                                                     \
    FN(op##__fxc__, IN_RAX_RCX; u64 d = op_##op(a, b); __asm__ volatile("" : : "c"(d)))
#define F_F(op)  FN(op##__fx__, IN_X0; OUT_F(op_##op(a)))
#define F_CANON(op)                                                                    \
    FN(op##__fx__, IN_X0; if (op##_wrong(a)) a = op##_right(); __asm__ volatile("" : "+x"(a)); OUT_F(a))
#define F_FF(op) FN(op##__fx__, IN_X0_X1; OUT_F(op_##op(a, b)))
#define F_R(op)  FN(op##__fx__, IN_RAX; OUT_F(op_##op(a)))
#define R_F(op)  FN(op##__fx__, IN_X0; OUT_R(op_##op(a)))

R_RR(andn) R_RR(orn) R_RR(xnor) R_RR(rol) R_RR(ror) R_RR(rolw) R_RR(rorw) R_RR(rorz)
R_RR(mulh) R_RR(mulhu) R_RR(div) R_RR(divu) R_RR(rem) R_RR(remu)
R_RR(divw) R_RR(divuw) R_RR(remw) R_RR(remuw) R_RR(min) R_RR(max) R_RR(minu)
R_RR(maxu) R_RR(czeqz) R_RR(cznez)
R_R(clz) R_R(ctz) R_R(cpop) R_R(clzw) R_R(ctzw) R_R(cpopw) R_R(rev8) R_R(orcb)
R_R(lr32) R_R(lr64) R_RR(swap32) R_RR_C(swap64)
R_RR(aadd32) R_RR_C(aadd64) 


F_FF(fmin_d) F_FF(fmax_d) F_FF(fmin_s) F_FF(fmax_s)
F_FF(fsgnj_d) F_FF(fsgnjn_d) F_FF(fsgnjx_d) F_FF(fsgnj_s) F_FF(fsgnjn_s)
F_FF(fsgnjx_s) F_F(fneg_d) F_F(fabs_d) F_F(fneg_s) F_F(fabs_s)
R_F(fclass_d) R_F(fclass_s) F_F(fcvt_s_d) F_F(fcvt_d_s)
#ifdef __F16C__
F_F(fcvt_s_h) F_F(fcvt_h_s)
#endif
F_R(fcvt_d_wu) F_R(fcvt_d_lu) F_R(fcvt_s_wu) F_R(fcvt_s_lu)
R_F(fcvt_w_d) R_F(fcvt_l_d) 
R_F(fcvt_w_s) R_F(fcvt_l_s) 
R_F(fcvtz_w_d) R_F(fcvtz_l_d) 
R_F(fcvtz_w_s) R_F(fcvtz_l_s) 
F_CANON(fcanon_d) F_CANON(fcanon_s)
R_R(fround) FN(fget__fx__, OUT_R(op_fget())) FN(fset__fx__, IN_RAX; op_fset(a))
FN(fence__x__, op_fence())
#define REQUEST (*(u64 *)&ENV->request)
BRANCH(check__x__, UNLIKELY(REQUEST))

/* To the guest pc in rax: the jump cache's slot, unless it or a request says no. */
#define JUMP(name, tag)                                                                \
    void name##__x__(void);                                                            \
    void name##__x__(void)                                                             \
    {                                                                                  \
        IN_RAX;                                                                        \
        JumpSlot *slot = (JumpSlot *)((char *)ENV->jump_cache +                        \
                                      (a * (sizeof(JumpSlot) / 2) &                    \
                                       (JUMP_CACHE_SIZE - 1) * sizeof(JumpSlot)));     \
                                                                                       \
        if (UNLIKELY((slot->pc ^ a tag) | REQUEST)) {                                  \
            __asm__ volatile("" : : "a"(a));                                           \
            hole_exit();                                                               \
        } else {                                                                       \
            ((void (*)(void))slot->host)();                                            \
        }                                                                              \
    }
JUMP(jump, )
JUMP(jump_tag, ^ ENV->jump_tag)

/* The page of the first and of the last byte must be the one in the slot. */
#define TLB(name, field, size)                                                         \
    void name##__x__(void);                                                            \
    void name##__x__(void)                                                             \
    {                                                                                  \
        IN_RAX;                                                                        \
        TlbEntry *t = (TlbEntry *)((char *)ENV->tlb +                                  \
                                   (a / (PAGE_SIZE / sizeof(TlbEntry)) & ENV->tlb_mask)); \
                                                                                       \
        if (UNLIKELY(t->field != ((a + size - 1) & PAGE_MASK))) {                      \
            __asm__ volatile("" : : "a"(a));                                           \
            hole_exit();                                                               \
        } else {                                                                       \
            a += t->addend;                                                            \
            __asm__ volatile("" : : "a"(a));                                           \
            hole_next();                                                               \
        }                                                                              \
    }
TLB(tlb_r1, read, 1) TLB(tlb_r2, read, 2) TLB(tlb_r4, read, 4) TLB(tlb_r8, read, 8)
TLB(tlb_w1, write, 1) TLB(tlb_w2, write, 2) TLB(tlb_w4, write, 4) TLB(tlb_w8, write, 8)

#else
register u64 rbx __asm__("rbx"), r12 __asm__("r12"), r13 __asm__("r13"),
    r14 __asm__("r14"), r15 __asm__("r15"), r8 __asm__("r8"), r9 __asm__("r9"),
    r10 __asm__("r10"), r11 __asm__("r11"), rsi __asm__("rsi"), rdi __asm__("rdi"),
    rax __asm__("rax"), rcx __asm__("rcx");
register Fpr xmm4 __asm__("xmm4"), xmm5 __asm__("xmm5"), xmm6 __asm__("xmm6"),
    xmm7 __asm__("xmm7"), xmm8 __asm__("xmm8"), xmm9 __asm__("xmm9"),
    xmm10 __asm__("xmm10"), xmm11 __asm__("xmm11"), xmm12 __asm__("xmm12"),
    xmm13 __asm__("xmm13"), xmm14 __asm__("xmm14"), xmm15 __asm__("xmm15"),
    xmm0 __asm__("xmm0"), xmm1 __asm__("xmm1"), xmm2 __asm__("xmm2");

/* M(index, register, ...) for each host register; three copies, since they nest. */
#define EACH_R(M, ...)                                                                 \
    M(0, rbx, __VA_ARGS__) M(1, r12, __VA_ARGS__) M(2, r13, __VA_ARGS__)               \
    M(3, r14, __VA_ARGS__) M(4, r15, __VA_ARGS__) M(5, r8, __VA_ARGS__)                \
    M(6, r9, __VA_ARGS__) M(7, r10, __VA_ARGS__) M(8, r11, __VA_ARGS__)                \
    M(9, rsi, __VA_ARGS__) M(10, rdi, __VA_ARGS__) M(11, rax, __VA_ARGS__)             \
    M(12, rcx, __VA_ARGS__)
#define EACH_R2(M, ...)                                                                \
    M(0, rbx, __VA_ARGS__) M(1, r12, __VA_ARGS__) M(2, r13, __VA_ARGS__)               \
    M(3, r14, __VA_ARGS__) M(4, r15, __VA_ARGS__) M(5, r8, __VA_ARGS__)                \
    M(6, r9, __VA_ARGS__) M(7, r10, __VA_ARGS__) M(8, r11, __VA_ARGS__)                \
    M(9, rsi, __VA_ARGS__) M(10, rdi, __VA_ARGS__) M(11, rax, __VA_ARGS__)             \
    M(12, rcx, __VA_ARGS__)
#define EACH_R3(M, ...)                                                                \
    M(0, rbx, __VA_ARGS__) M(1, r12, __VA_ARGS__) M(2, r13, __VA_ARGS__)               \
    M(3, r14, __VA_ARGS__) M(4, r15, __VA_ARGS__) M(5, r8, __VA_ARGS__)                \
    M(6, r9, __VA_ARGS__) M(7, r10, __VA_ARGS__) M(8, r11, __VA_ARGS__)                \
    M(9, rsi, __VA_ARGS__) M(10, rdi, __VA_ARGS__) M(11, rax, __VA_ARGS__)             \
    M(12, rcx, __VA_ARGS__)
#define EACH_F(M, ...)                                                                 \
    M(0, xmm4, __VA_ARGS__) M(1, xmm5, __VA_ARGS__) M(2, xmm6, __VA_ARGS__)            \
    M(3, xmm7, __VA_ARGS__) M(4, xmm8, __VA_ARGS__) M(5, xmm9, __VA_ARGS__)            \
    M(6, xmm10, __VA_ARGS__) M(7, xmm11, __VA_ARGS__) M(8, xmm12, __VA_ARGS__)         \
    M(9, xmm13, __VA_ARGS__) M(10, xmm14, __VA_ARGS__) M(11, xmm15, __VA_ARGS__)       \
    M(12, xmm0, __VA_ARGS__) M(13, xmm1, __VA_ARGS__) \
    M(14, xmm2, __VA_ARGS__)
#define EACH_F2(M, ...)                                                                \
    M(0, xmm4, __VA_ARGS__) M(1, xmm5, __VA_ARGS__) M(2, xmm6, __VA_ARGS__)            \
    M(3, xmm7, __VA_ARGS__) M(4, xmm8, __VA_ARGS__) M(5, xmm9, __VA_ARGS__)            \
    M(6, xmm10, __VA_ARGS__) M(7, xmm11, __VA_ARGS__) M(8, xmm12, __VA_ARGS__)         \
    M(9, xmm13, __VA_ARGS__) M(10, xmm14, __VA_ARGS__) M(11, xmm15, __VA_ARGS__)       \
    M(12, xmm0, __VA_ARGS__) M(13, xmm1, __VA_ARGS__) \
    M(14, xmm2, __VA_ARGS__)

/* One operand: M(i, A, op).  Two: M(j, B, i, A, op).  Three: M(k, C, j, B, i, A, op). */
#define ONE(M, op)         EACH_R(M, op)
#define TWO(M, op)         EACH_R(TWO_, M, op)
#define TWO_(i, A, M, op)  EACH_R2(M, i, A, op)
#define THREE(M, op)       EACH_R(THREE_, M, op)
#define THREE_(i, A, M, op)        EACH_R2(THREE__, M, i, A, op)
#define THREE__(j, B, M, i, A, op) EACH_R3(M, j, B, i, A, op)
#define F_ONE(M, op)       EACH_F(M, op)
#define F_TWO(M, op)       EACH_F(F_TWO_, M, op)
#define F_TWO_(i, A, M, op) EACH_F2(M, i, A, op)
#define FR_TWO(M, op)      EACH_F(FR_TWO_, M, op)
#define FR_TWO_(i, A, M, op) EACH_R(M, i, A, op)
#define RF_TWO(M, op)      EACH_R(RF_TWO_, M, op)
#define RF_TWO_(i, A, M, op) EACH_F(M, i, A, op)

#define RRR(k, B, j, A, i, D, op) FN(op##__rrr__##i##_##j##_##k, D = op_##op(A, B))
#define RR(j, B, i, D, op)  FN(op##__rr__##i##_##j, D = op_##op(D, B))
#define RU(j, A, i, D, op)  FN(op##__ru__##i##_##j, D = op_##op(A))
#define RRI(j, A, i, D, op) FN(op##__rri__##i##_##j, D = op_##op(A, IMM))
#define RRS(j, A, i, D, op)                                                            \
    FN(op##__rri__##i##_##j##__a, D = op_##op(A, SAMPLE_32A))                          \
    FN(op##__rri__##i##_##j##__b, D = op_##op(A, SAMPLE_32B))
#define RI(i, D, op)        FN(op##__ri__##i, D = op_##op(D, IMM))
#define RK(i, D, op)                                                                   \
    FN(op##__rk__##i##__a, D = op_##op(D, SAMPLE_8A))                                  \
    FN(op##__rk__##i##__b, D = op_##op(D, SAMPLE_8B))
#define RM(i, D, op)        FN(op##__rm__##i, D = op_##op(D, SLOT))
#define RC(i, D, op)        FN(op##__rc__##i, D = op_##op(D, rcx))
#define LD(j, A, i, D, op)  FN(op##__rri__##i##_##j, D = op_##op(A + IMM))
#define ST(j, B, i, A, op)  FN(op##__sri__##i##_##j, op_##op(A + IMM, B))
#define SZ(i, A, op)        FN(op##__szi__##i, op_##op(A + IMM, 0))
#define BRR(j, B, i, A, op) BRANCH(op##__brr__##i##_##j, op_##op(A, B))
#define BRI(i, A, op)       BRANCH(op##__bri__##i, op_##op(A, IMM))
#define BRZ(i, A, op)       BRANCH(op##__brz__##i, op_##op(A, 0))
#define BZR(i, B, op)       BRANCH(op##__bzr__##i, op_##op(0, B))
#define CI(i, D, op)        FN(op##__ci__##i, D = IMM)
#define CZ(i, D, op)        FN(op##__cz__##i, D = 0)
#define CK(i, D, op)                                                                   \
    FN(op##__ck__##i##__a, D = SAMPLE_64A) FN(op##__ck__##i##__b, D = SAMPLE_64B)
#define LM(i, D, op)        FN(op##__lm__##i, D = SLOT)
#define SM(i, A, op)        FN(op##__sm__##i, SLOT = A)
#define FF(j, B, i, D, op)  FN(op##__ff__##i##_##j, D = op_##op(D, B))
#define FU(j, A, i, D, op)  FN(op##__fu__##i##_##j, D = op_##op(A))
#define F1(i, D, op)                                                                   \
    FN(op##__f1__##i, if (UNLIKELY(op##_wrong(D))) D = op##_right())
#define FLD(j, A, i, D, op) FN(op##__fri__##i##_##j, D = op_##op(A + IMM))
#define FST(j, B, i, A, op) FN(op##__sfi__##i##_##j, op_##op(A + IMM, B))
#define RFF(j, B, i, A, op) FN(op##__rff__##i##_##j, rax = op_##op(A, B))
#define RF(j, A, i, D, op)  FN(op##__rf__##i##_##j, D = op_##op(A))
#define FR(j, A, i, D, op)  FN(op##__fr__##i##_##j, D = op_##op(A))
#define XFF(j, C, i, B, name, NAME, sfx, SFX)                                          \
    FN(name##_##sfx##__xff__##i##_##j, xmm0 = F_##NAME##_##SFX(xmm0, B, C))
#define XN(sfx)             BRANCH(fcanon_##sfx##__xn__, UNLIKELY(f_isnan_##sfx(xmm0)))
#define XNN_D(j, B, i, A, op)                                                          \
    BRANCH(op##__xnn__##i##_##j, UNLIKELY(__builtin_isunordered(A[0], B[0])))
#define XNN_S(j, B, i, A, op)                                                          \
    BRANCH(op##__xnn__##i##_##j, UNLIKELY(__builtin_isunordered(f_s(A)[0], f_s(B)[0])))
#define FLM(i, D, op)       FN(op##__flm__##i, D = _mm_load_sd(&FSLOT))
#define FSM(i, A, op)       FN(op##__fsm__##i, _mm_store_sd(&FSLOT, A))

#if PART_ADD
THREE(RRR, add)
#elif PART_INT
TWO(RR, sub) TWO(RR, and) TWO(RR, or) TWO(RR, xor) TWO(RR, mul) TWO(RR, addw)
TWO(RR, subw) TWO(RR, mulw) TWO(RR, slt) TWO(RR, sltu) TWO(RR, sh1add)
TWO(RR, sh2add) TWO(RR, sh3add)
#ifdef __BMI2__
TWO(RR, sll) TWO(RR, srl) TWO(RR, sra) TWO(RR, sllw) TWO(RR, srlw) TWO(RR, sraw)
ONE(RK, srlw)
#else
ONE(RC, sll) ONE(RC, srl) ONE(RC, sra) ONE(RC, sllw) ONE(RC, srlw) ONE(RC, sraw)
#endif
ONE(RK, sll) ONE(RK, srl) ONE(RK, sra) ONE(RK, sllw)
ONE(RK, ror) ONE(RK, rorw) ONE(RK, rorz)
ONE(RI, and) ONE(RI, or) ONE(RI, xor) ONE(RI, slt) ONE(RI, sltu)
ONE(RM, add) ONE(RM, sub) ONE(RM, and) ONE(RM, or) ONE(RM, xor) ONE(RM, mul)
ONE(CI, mov) ONE(CZ, mov) ONE(CK, mov) ONE(LM, mov) ONE(SM, mov)
#elif PART_MOVE
TWO(RRI, add) TWO(RRS, addw)
TWO(RU, mov) TWO(RU, sext8) TWO(RU, sext16) TWO(RU, sext32) TWO(RU, zext8)
TWO(RU, zext16) TWO(RU, zext32)
TWO(BRR, beq) TWO(BRR, bne) TWO(BRR, blt) TWO(BRR, bge) TWO(BRR, bltu) TWO(BRR, bgeu)
ONE(BRI, beq) ONE(BRI, bne) ONE(BRI, blt) ONE(BRI, bge) ONE(BRI, bltu) ONE(BRI, bgeu)
ONE(BRZ, beq) ONE(BRZ, bne) ONE(BRZ, blt) ONE(BRZ, bge) ONE(BZR, blt) ONE(BZR, bge)
#elif PART_MEM
TWO(LD, ld8u) TWO(LD, ld8s) TWO(LD, ld16u) TWO(LD, ld16s) TWO(LD, ld32u)
TWO(LD, ld32s) TWO(LD, ld64)
TWO(ST, st8) TWO(ST, st16) TWO(ST, st32) TWO(ST, st64)
ONE(SZ, st8) ONE(SZ, st16) ONE(SZ, st32) ONE(SZ, st64)
FR_TWO(FLD, fld32) FR_TWO(FLD, fld64) RF_TWO(FST, fst32) RF_TWO(FST, fst64)
RF_TWO(RF, fmv_x_d) RF_TWO(RF, fmv_x_w) FR_TWO(FR, fmv_d_x) FR_TWO(FR, fmv_w_x)
FR_TWO(FR, fcvt_d_w) FR_TWO(FR, fcvt_d_l) FR_TWO(FR, fcvt_s_w) FR_TWO(FR, fcvt_s_l)
#elif PART_FP
F_TWO(FF, fadd_d) F_TWO(FF, fsub_d) F_TWO(FF, fmul_d) F_TWO(FF, fdiv_d)
F_TWO(FF, fadd_s) F_TWO(FF, fsub_s) F_TWO(FF, fmul_s) F_TWO(FF, fdiv_s)
F_TWO(FU, fmov) F_TWO(FU, fsqrt_d) F_TWO(FU, fsqrt_s)
F_ONE(F1, fcanon_d) F_ONE(F1, fcanon_s) F_ONE(F1, funbox)
F_TWO(RFF, feq_d) F_TWO(RFF, flt_d) F_TWO(RFF, fle_d)
F_TWO(RFF, feq_s) F_TWO(RFF, flt_s) F_TWO(RFF, fle_s)
F_TWO(XNN_D, fcanon_d) F_TWO(XNN_S, fcanon_s)
F_ONE(FLM, fmov) F_ONE(FSM, fmov)
#ifdef __FMA__
XN(d) XN(s)
#define FUSED(...) EACH_F(FUSED_, XFF, __VA_ARGS__)
#define FUSED_(i, B, M, ...) EACH_F2(M, i, B, __VA_ARGS__)
FUSED(fmadd, FMADD, d, D) FUSED(fmsub, FMSUB, d, D)
FUSED(fnmsub, FNMSUB, d, D) FUSED(fnmadd, FNMADD, d, D)
FUSED(fmadd, FMADD, s, S) FUSED(fmsub, FMSUB, s, S)
FUSED(fnmsub, FNMSUB, s, S) FUSED(fnmadd, FNMADD, s, S)
#endif
#endif
#endif
