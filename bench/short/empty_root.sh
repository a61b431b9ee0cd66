# SPDX-License-Identifier: MIT
# Makes DIR/root, where dpkg has installed nothing yet.
# usage: empty_root.sh DIR
rm -rf "$1/root"
mkdir -p "$1/root/var/lib/dpkg/info" "$1/root/var/lib/dpkg/updates"
: >"$1/root/var/lib/dpkg/status"
