# SPDX-License-Identifier: MIT
# Makes a manual page: the text of a .man file, its line @OPTIONS@ replaced by what the
# program's -help says.  Run: awk -v help=FILE -v version=N -f man.awk PROGRAM.man

function roff(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    sub(/^[.']/, "\\\\\\&&", text)
    return text
}

# "  -name VALUE  help [VARIABLE]", where VALUE, help and VARIABLE may be missing.
function option(line,    name, value, variable) {
    sub(/^ +/, "", line)
    if (match(line, / \[TESSERA_[A-Z0-9_]+\]$/)) {
        variable = substr(line, RSTART + 2, RLENGTH - 3)
        line = substr(line, 1, RSTART - 1)
    }
    match(line, /^[^ ]+/)
    name = substr(line, 1, RLENGTH)
    line = substr(line, RLENGTH + 1)
    if (match(line, /^ [^ ]+/)) {
        value = substr(line, 2, RLENGTH - 1)
        line = substr(line, RLENGTH + 1)
    }
    sub(/^ +/, "", line)
    printf ".TP\n\\fB%s\\fR%s\n", roff(name), value ? " \\fI" roff(value) "\\fR" : ""
    print roff(line ? line : "the same")
    if (variable)
        printf "(variable \\fB%s\\fR)\n", roff(variable)
}

$0 == "@OPTIONS@" {
    while ((getline line < help) > 0)
        if (line ~ /^  -/)
            option(line)
    next
}

{
    sub(/@VERSION@/, version)
    print
}
