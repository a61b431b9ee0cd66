# SPDX-License-Identifier: MIT
# Medians and ratios of bench/system/run's samples: a table, and JSON into the file
# named by the variable json. Lines of its input:
#   emulator LABEL VERSION | setting NAME VALUE
#   sample FIGURE UNIT LABEL VALUE [CHECKSUM]
# A ratio is how much better the column is than the first emulator; user mode's last.

$1 == "emulator" { label[++labels] = $2; version[labels] = $3 }
$1 == "setting" { setting[++settings] = $2; value[$2] = $3 }
$1 == "sample" {
    if (!($2 in unit))
        figure[++figures] = $2
    unit[$2] = $3
    n = ++count[$2, $4]
    at[$2, $4, n] = $5
    if ($4 == "user" && !users++)
        label[++labels] = "user"
    if ($6 != "" && !($2 in sum))
        sum[$2] = $6
    if ($6 != "" && sum[$2] != $6)
        wrong[$2, $4] = 1
}

function median(name, who,    n, i, j, v, a) {
    n = count[name, who]
    for (i = 1; i <= n; i++) {
        v = at[name, who, i] + 0
        for (j = i - 1; j >= 1 && a[j] > v; j--)
            a[j + 1] = a[j]
        a[j + 1] = v
    }
    return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}

function has(name, who) { return count[name, who] > 0 && !wrong[name, who] }

# How many times better who is than base; what is counted per second is better when more.
function better(name, who, base,    a, b) {
    if (!has(name, who) || !has(name, base))
        return ""
    a = median(name, who)
    b = median(name, base)
    if (unit[name] == "MB/s")
        return b ? a / b : ""
    return a ? b / a : ""
}

function shown(name, who,    v) {
    if (wrong[name, who])
        return "WRONG SUM"
    if (!has(name, who))
        return "-"
    v = median(name, who)
    if (unit[name] != "ns")
        return sprintf(v < 10 ? "%.3f %s" : "%.1f %s", v, unit[name])
    if (v >= 1e7)
        return sprintf("%.1f ms", v / 1e6)
    return v >= 1e4 ? sprintf("%.1f us", v / 1e3) : sprintf("%.0f ns", v)
}

function times(x) { return x == "" ? "-" : sprintf("%.2fx", x) }

function table(    f, l, name, r) {
    printf "%-18s", "figure"
    for (l = 1; l <= labels; l++)
        printf "%16s%8s", label[l], ""
    printf "\n"
    for (f = 1; f <= figures; f++) {
        name = figure[f]
        printf "%-18s", name
        for (l = 1; l <= labels; l++) {
            r = name == "clock" ? "" : better(name, label[l], label[1])
            printf "%16s%8s", shown(name, label[l]), (l > 1 ? times(r) : "")
        }
        printf "\n"
    }
}

function means(    l, f, r, logs, n) {
    for (l = 2; l <= labels; l++) {
        logs = n = 0
        for (f = 1; f <= figures; f++) {
            if (unit[figure[f]] != "ns")
                continue
            r = better(figure[f], label[l], label[1])
            if (r != "") {
                logs += log(r)
                n++
            }
        }
        if (n)
            printf "all kernels: %s %.2f times as fast as %s (geometric mean of %d)\n",
                label[l], exp(logs / n), label[1], n
    }
}

function write_json(    f, l, i, s, name) {
    printf "{\n" >json
    for (i = 1; i <= settings; i++)
        printf "  \"%s\": %s,\n", setting[i], value[setting[i]] >json
    printf "  \"emulators\": [" >json
    for (l = 1; l <= labels; l++)
        printf "%s{\"label\": \"%s\", \"version\": \"%s\"}", (l > 1 ? ", " : ""),
            label[l], version[l] >json
    printf "],\n  \"figures\": [" >json
    for (f = 1; f <= figures; f++) {
        name = figure[f]
        printf "%s\n    {\"name\": \"%s\", \"unit\": \"%s\", \"results\": {",
            (f > 1 ? "," : ""), name, unit[name] >json
        s = ""
        for (l = 1; l <= labels; l++) {
            if (!count[name, label[l]])
                continue
            printf "%s\n      \"%s\": {\"median\": %.6g, \"values\": [", s, label[l],
                median(name, label[l]) >json
            for (i = 1; i <= count[name, label[l]]; i++)
                printf "%s%s", (i > 1 ? ", " : ""), at[name, label[l], i] + 0 >json
            printf "]%s}", (wrong[name, label[l]] ? ", \"trouble\": \"wrong sum\"" : "") >json
            s = ","
        }
        printf "}}" >json
    }
    printf "\n  ]\n}\n" >json
}

END {
    table()
    means()
    write_json()
}
