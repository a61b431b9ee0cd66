# SPDX-License-Identifier: MIT
# bash completion for tessera-riscv64 and tessera-system-riscv64.  Options come from
# -help, values from "-OPTION help" where there is such a list.

_tessera_values() {
    case $1 in
    -d) "$2" -d help 2>/dev/null | awk '{ print $1 }' ;;
    -cpu | -M | -machine) "$2" "$1" help 2>/dev/null | awk '{ print $1 }' ;;
    -accel) printf '%s\n' jit interp check ;;
    *) "$2" -help | awk -v o="$1" '$1 == o && $2 ~ /^[a-z]+([|][a-z]+)+$/ {
           gsub(/[|]/, "\n", $2); print $2 }' ;;
    esac
}

# Does the option take a value?  Its help is further right than one space else.
_tessera_takes_value() {
    "$2" -help | grep -qE -- "^  $1 [^ ]"
}

_tessera() {
    local program=$1 word=$2 option i=1 list

    while [ $i -lt "$COMP_CWORD" ]; do
        option=${COMP_WORDS[i]/#--/-}
        case $option in
        -*) _tessera_takes_value "$option" "$program" && i=$((i + 1)) ;;
        *)  # the guest's program: what follows is its own
            [ "${program##*/}" = tessera-riscv64 ] || break
            declare -F _command_offset >/dev/null && _command_offset $i
            return ;;
        esac
        i=$((i + 1))
    done
    if [ $i -gt "$COMP_CWORD" ]; then # the value of the option before
        list=$(_tessera_values "$option" "$program")
        mapfile -t COMPREPLY < <(compgen -W "$list" -- "$word")
        [ -n "$list" ] || mapfile -t COMPREPLY < <(compgen -f -- "$word")
    elif [[ $word = -* ]]; then
        list=$("$program" -help | awk '/^  -/ { sub(/\[.*/, "", $1); print $1 }')
        mapfile -t COMPREPLY < <(compgen -W "$list" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}

complete -o filenames -o bashdefault -F _tessera tessera-riscv64 tessera-system-riscv64
