# SPDX-License-Identifier: MIT
# Sourced by tests/system_*: boots Debian's kernel and bench/system's initramfs under
#   SYSTEM         the emulator (default build/tessera-system-riscv64); qemu-system-riscv64
#                  checks the tests themselves
#   SYSTEM_OPTIONS more words of its command line, e.g. "-accel interp"
# Leaves with 77 where the images cannot be had.
# shellcheck shell=bash disable=SC2034

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
test_name=tests/${0##*/}
: "${SYSTEM:=$here/../build/tessera-system-riscv64}"
command -v "$SYSTEM" >/dev/null || { echo "no $SYSTEM"; exit 1; }
: "${BOOT_SECONDS:=150}" # bounds a boot, on a machine with much else to do
failed=0
guest_pid=
no_reboot=-no-reboot
work=$(mktemp -d) || exit 1
job=$work/initrd
ulimit -c 0

leave()
{
    [ -z "$guest_pid" ] || kill -9 "$guest_pid" 2>/dev/null
    # shellcheck disable=SC2046
    [ -z "$(jobs -p)" ] || kill $(jobs -p) 2>/dev/null
    rm -rf "$work"
}
trap leave EXIT
trap 'exit 1' INT TERM

# fail WHY: says so, with the end of what the guest's console showed.
fail()
{
    echo "FAIL ${part:+$part: }$*"
    tail -n 15 "$work/console" "$work/errors" 2>/dev/null
    echo "  again: SYSTEM=$SYSTEM $test_name $part"
    failed=1
}

# is WHAT GOT WANT
is() { [ "$2" = "$3" ] || fail "$1: got '$2', want '$3'"; }

digest() { sha256sum | cut -d' ' -f1; } # of the standard input

# Runs the parts asked for, or all.
parts()
{
    for part; do
        declare -F "part_$part" >/dev/null || { echo "no part $part"; exit 2; }
        "part_$part"
    done
    exit $failed
}

# images: sets kernel, initrd (the small one) and modules; or leaves with 77.
images()
{
    local status=0

    images_dir=$("$here/../bench/system/images") || status=$?
    [ $status = 0 ] || { echo "skipped: no images ($status)"; exit 77; }
    kernel=$images_dir/kernel/Image
    initrd=$images_dir/system/initramfs
    modules=$images_dir/system/modules
}

# job [BASE] <SCRIPT: the guest runs it when $job is booted. BASE: $initrd or $modules.
# "report NAME VALUE..." in it is what result NAME prints here; it has digest, too.
job()
{
    mkdir -p "$work/job"
    { echo 'report() { echo "== $*"; }'; declare -f digest; cat; } >"$work/job/job"
    { cat "${1:-$modules}"; "$here/../bench/system/pack" "$work/job"; } >"$job"
}

# Words of the command line that every boot has.
command_line()
{
    machine=("$SYSTEM" -M virt -m 256 -nographic -kernel "$kernel")
    # shellcheck disable=SC2206
    machine+=($no_reboot $SYSTEM_OPTIONS)
}

# boot ARGUMENTS...: boots $job, to the end; sets status.
boot()
{
    command_line
    timeout "$BOOT_SECONDS" "${machine[@]}" -initrd "$job" \
        -append "console=ttyS0 quiet panic=-1 ${append:-}" "$@" \
        >"$work/raw" 2>"$work/errors" </dev/null
    status=$?
    tr -d '\r' <"$work/raw" >"$work/console"
    [ $status = 0 ] || fail "exit status $status"
}

# result NAME: what the job reported.
# (The kernel may write into the same line.)
result() { sed -n "s/^== $1 \{0,1\}//; T; s/\[ *[0-9.]*\] .*//; p" "$work/console"; }

# ---- a guest that is talked to ----

# start ARGUMENTS...: in the background, its console in $work/console, typed at by say.
start()
{
    rm -f "$work/keys" "$work/console"
    mkfifo "$work/keys"
    exec 8<>"$work/keys"
    command_line
    "${machine[@]}" -append "console=ttyS0 quiet panic=-1 ${append:-}" "$@" \
        <"$work/keys" >"$work/console" 2>"$work/errors" 8>&- &
    guest_pid=$!
    seen=0
}

# until_true SECONDS COMMAND...: whether it succeeds in time.
until_true()
{
    local end=$((SECONDS + $1))

    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

console_has() { tail -c "+$((seen + 1))" "$work/console" 2>/dev/null | grep -aq -- "$1"; }
console_has_or_gone() { console_has "$1" || ! kill -0 "$guest_pid" 2>/dev/null; }

# await PATTERN [SECONDS]: until the console shows it after what was awaited before.
await()
{
    until_true "${2:-$BOOT_SECONDS}" console_has_or_gone "$1"
    console_has "$1" || { fail "no '$1' on the console"; return 1; }
    seen=$(stat -c %s "$work/console")
}

say() { printf '%s\n' "$*" >&8; }
gone() { ! kill -0 "$guest_pid" 2>/dev/null; }

# finish: waits for its end; sets status.
finish()
{
    until_true "$BOOT_SECONDS" gone || { fail "does not end"; kill -9 "$guest_pid"; }
    wait "$guest_pid"
    status=$?
    guest_pid=
    exec 8>&-
}
