# SPDX-License-Identifier: MIT
# Makes DIR/package.deb, for any machine: a hundred files and a script that looks at some.
# usage: package.sh DIR
set -e
files=$1/package/usr/share/tessera-bench
mkdir -p "$1/package/DEBIAN" "$files"
for i in $(seq 100); do seq "$i" $((i + 200)) >"$files/file$i"; done
cat >"$1/package/DEBIAN/control" <<'TEXT'
Package: tessera-bench
Version: 1
Architecture: all
Maintainer: nobody
Description: a hundred files
TEXT
cat >"$1/package/DEBIAN/postinst" <<'TEXT'
#!/bin/sh
set -e
for i in 1 2 3 4 5 6 7 8 9; do
    grep -qx "$i" "$DPKG_ROOT/usr/share/tessera-bench/file$i"
done
TEXT
chmod 755 "$1/package/DEBIAN/postinst"
dpkg-deb --root-owner-group --build "$1/package" "$1/package.deb" >/dev/null
