# Run by tests/debian under the guest's bash; output in debian.bash.expect.
set -u
echo "args: $# [$1] [$2] $(uname -m)"

# pipes and their statuses
printf '%s\n' pear apple fig | sort | tr a-z A-Z | paste -sd,
true | false | (exit 4)
echo "pipe status: ${PIPESTATUS[*]}"
seq 1 100000 | head -n 2 | tail -n 1
yes | head -n 1000 | wc -l

# subshells and substitution
value=outer
(value=inner; cd /; echo "in: $value $(pwd)")
echo "out: $value"
echo "nested: $(echo "$(echo "$(echo deep)")")"
diff <(seq 3) <(seq 4) | tail -n 1

# functions, arrays, arithmetic
fib() { (($1 < 2)) && echo "$1" || echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); }
echo "fib 7: $(fib 7)"
declare -A map=([one]=1 [two]=2)
list=(a 'b c' d)
echo "${#list[@]} ${list[1]} $((map[one] + map[two])) ${value/out/INN} ${list[*]:1}"
((x = 7 * 6, y = 1 << 40)); echo "$x $y $((16#ff)) $((-7 / 2))"

# here-documents
cat <<END | sed 's/^/> /'
value is $value
	tab kept
END
cat <<'END'
not $expanded
END
cat <<<"a string"
while read -r a b; do echo "$b $a"; done <<END
1 one
2 two
END

# traps
trap 'echo "trapped USR1"' USR1
kill -USR1 $$
trap 'echo "at exit: $?"' EXIT
(trap 'echo sub-exit' EXIT; true)

# background jobs
for i in 3 1 2; do (sleep 0.0$i; exit "$i") & jobs[$i]=$!; done
for i in 1 2 3; do wait "${jobs[$i]}"; echo "job $i: $?"; done
sleep 60 &
sleep 0.3
kill $!
wait $! 2>/dev/null
echo "killed: $?"
coproc { read -r line; echo "co $line"; read -r line; }
echo hello >&"${COPROC[1]}"
read -r answer <&"${COPROC[0]}"
echo end >&"${COPROC[1]}"
echo "$answer"

# redirections
exec 5>file.txt
echo "to five" >&5
exec 5>&-
cat file.txt
{ echo out; echo err >&2; } 2>&1 >/dev/null
ls /nonexistent 2>/dev/null || echo "ls: $?"
/nonexistent/program 2>/dev/null; echo "missing: $?"
touch plain; ./plain 2>/dev/null; echo "not executable: $?"
printf '#!/bin/sh\necho "script $0 $1"\n' >script; chmod +x script; ./script one
[[ abc123 =~ ^([a-z]+)([0-9]+)$ ]] && echo "${BASH_REMATCH[2]}${BASH_REMATCH[1]}"
printf '%d %x %s %q\n' 42 255 str 'a b'
select_in() { local IFS=:; echo "$*"; }; select_in a b c
timeout 0.1 sleep 10; echo "timeout: $?"
xargs -n 2 echo < <(seq 5)
exit 6
