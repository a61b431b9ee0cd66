/* SPDX-License-Identifier: MIT */
/* What monitors show of a hart: BoardType's functions, for a RISC-V board's table.  The
 * CPUs are parked.  Page tables are followed without a trace in A, D or the TLB. */
#ifndef TESSERA_RISCV64_INFO_H
#define TESSERA_RISCV64_INFO_H

#include "hw.h"

void riscv_info_cpu(const Cpu *cpu, GString *out);
void riscv_info_tlb(const Cpu *cpu, GString *out);
void riscv_info_mem(const Cpu *cpu, GString *out);
bool riscv_translate(const Cpu *cpu, u64 virt, u64 *phys);

#endif
