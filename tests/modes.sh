# SPDX-License-Identifier: MIT
# Sourced by the test scripts: the ways in which everything is run.
#   mode_set MODE  sets mode_args for $TESSERA; 1: no such mode
# cached: everything is run twice, with $work/kept.
export TESSERA_CACHE="${TESSERA_CACHE:-off}"

mode_set() {
    case $1 in
    default) mode_args= ;;
    small) mode_args="-tb-size 1048576" ;;
    step) mode_args="-one-insn-per-tb" ;;
    explain) mode_args="-explain /dev/null" ;;
    interp) mode_args="-accel interp" ;;
    hot) mode_args="-accel jit,hot=2" ;;
    check) mode_args="-accel check,hot=20" ;;
    cached) mode_args="-cache $work/kept" ;;
    baseline) mode_args="-accel jit,v3=off" ;;
    *) echo "mode $1? default small step hot explain interp baseline check cached" >&2; return 1 ;;
    esac
    case $TESSERA in
    *qemu-riscv64*) mode_args="-cpu rv64,zba=true,zbb=true,zbs=true,Zfh=true" ;;
    esac
}
