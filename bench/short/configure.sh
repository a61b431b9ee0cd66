# SPDX-License-Identifier: MIT
# What configure scripts do: small tools by the dozen.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for name in stdio stdlib string unistd fcntl errno; do
    echo "#include <$name.h>" >"$work/$name.c"
    printf 'checking for %s.h... ' "$name"
    if grep "include <$name" "$work/$name.c" >/dev/null; then
        echo yes
        echo "$name" | tr a-z A-Z | sed 's/.*/#define HAVE_&_H 1/' >>"$work/config.h"
    fi
done
sort "$work/config.h" | sed 's/^#define \(.*\) 1$/\1/' | while read -r define; do
    eval "ac_$define=yes"
done
wc -l <"$work/config.h"
