# Run by tests/debian under the guest's python3; output in debian.py.expect.
import array, collections, itertools, math, os, signal, subprocess, sys, threading, time

print(sys.byteorder, sys.maxsize == 2**63 - 1, os.uname().machine)
print(sum(x * x for x in range(1000)), 2**200, -7 // 2, 7.5 % -2)
print(repr(0.1 + 0.2), math.sqrt(2), math.fma(2.0, 3.0, 1.0) if hasattr(math, "fma") else 7.0)
print(float("nan") == float("nan"), 1e308 * 10, -0.0, round(2.5), round(3.5), int(-1.9))
print("héllo".encode(), "%r %5.2f" % ("a\n", math.pi), f"{255:#x} {1e10:.3e}")
print(sorted({"b": 1, "a": 2}.items()), collections.Counter("abracadabra").most_common(2))
print(list(itertools.permutations("abc", 2))[:3], array.array("d", [1.5, 2]).tobytes().hex())


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


print(fib(17))
try:
    1 / 0
except ZeroDivisionError as e:
    print("caught", e)

total = 0
lock = threading.Lock()


def work(n):
    global total
    for i in range(n):
        with lock:
            total += i


threads = [threading.Thread(target=work, args=(500,)) for _ in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
print(total)

print(subprocess.run(["sort"], input=b"b\na\n", capture_output=True).stdout)
print(subprocess.run("exit 5", shell=True).returncode)
pid = os.fork()
if pid == 0:
    os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

hits = []
signal.signal(signal.SIGALRM, lambda *a: hits.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.01)
while len(hits) < 3:
    sum(range(100))
signal.setitimer(signal.ITIMER_REAL, 0)
print("signals", len(hits) >= 3)
r, w = os.pipe()
os.write(w, b"through a pipe")
print(os.read(r, 100))
start = time.monotonic()
time.sleep(0.01)
print(time.monotonic() - start >= 0.01)
big = {i: str(i) for i in range(20000)}
print(len(big), big[19999], sum(map(len, big.values())))
sys.exit(4)
