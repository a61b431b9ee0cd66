#compdef tessera-riscv64 tessera-system-riscv64
# SPDX-License-Identifier: MIT
# zsh completion.  Options and what they do come from -help, values from "-OPTION help"
# where there is such a list.

# _tessera_list FIRST-ARGUMENTS...: the first words of the lines that the program prints.
_tessera_list() {
    local -a words
    words=(${${(f)"$($program "$@" 2>/dev/null)"}%%[[:space:]]*})
    compadd -S '' -a words
}

_tessera_value() { # OPTION VALUE-AS-IN-HELP
    local -a words
    case $1 in
    -d) compset -P '*,'; _tessera_list -d help ;;
    -cpu | -M | -machine | -device) _tessera_list $1 help ;;
    -accel) compadd -S '' jit interp check ;;
    *)  # on|off|FILE: what is in capitals is any text
        words=(${(s:|:)2})
        compadd ${(M)words:#[a-z]##}
        [[ -z ${words:#[a-z]##} ]] || _files
        ;;
    esac
}

_tessera() {
    local program=$words[1] line option name value help
    local -a specs
    setopt localoptions extendedglob

    for line in ${(M)${(f)"$($program -help 2>/dev/null)"}:#  -*}; do
        option=${${line#  }%% *}
        line=${line#  $option}
        value=
        if [[ $line = ' '[^\ ]* ]]; then # a value is one space from its option
            value=${${line# }%% *}
            line=${line# $value}
        fi
        help=${line##[[:space:]]#}
        help=${${${help//\\/\\\\}//\[/\\[}//\]/\\]}
        if [[ $option = *\[=* ]]; then # -NAME[=VALUE[...]]
            name=${option%%\[*}
            value=${${option#*=}%%[\[\]]*}
            specs+=("*$name=-[$help]::value:{_tessera_value $name $value}")
        elif [[ -n $value ]]; then
            specs+=("*${option}[$help]:${value//:/\\:}:{_tessera_value $option ${(q)value}}")
        else
            specs+=("*${option}[$help]")
        fi
    done
    if [[ ${program:t} = tessera-riscv64 ]]; then # what follows is the guest program's
        specs+=('(-)1:program:_files' '*::argument: _normal')
    else
        specs+=('*:image:_files')
    fi
    _arguments -S $specs
}

_tessera "$@"
