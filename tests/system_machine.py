# SPDX-License-Identifier: MIT
"""For tests/system_*: a machine whose sockets and files are in a folder of their own,
and a QMP client that follows the protocol's specification and takes nothing else."""
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEM = os.environ.get("SYSTEM", HERE + "/../build/tessera-system-riscv64")
SECONDS = 60
IDLE = [0x10500073, 0xffdff06f]  # 1: wfi; j 1b
# lui t0, 0x100; lui t1, 5; addi t1, t1, 0x555; sw t1, (t0): the finisher's pass; j .
POWER_OFF = [0x001002b7, 0x00005337, 0x55530313, 0x0062a023, 0x0000006f]
# A machine that runs a few words of code, once it is told to.
MACHINE = ["-M", "virt", "-m", "64", "-display", "none", "-nodefaults", "-S",
           "-bios", "FOLDER/bios"]
verbose = False


class Failed(Exception):
    pass


def check(what, got, want):
    if got != want:
        raise Failed(f"{what}: got {got!r}, want {want!r}")


# ---- the machine ----

class Machine:
    def __init__(self, program, *options, code=IDLE, machine=MACHINE):
        self.folder = tempfile.mkdtemp()
        with open(self.folder + "/bios", "wb") as f:
            f.write(struct.pack(f"<{len(code)}I", *code))
        self.log = open(self.folder + "/log", "w+")
        words = [program, *machine, "-qmp", "unix:FOLDER/qmp,server=on,wait=off",
                 *options]
        words = [w.replace("FOLDER", self.folder) for w in words]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind:
            self.log.seek(0)
            print(self.log.read(), end="")
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)

    def socket(self, name="qmp"):
        end = time.monotonic() + SECONDS
        while True:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(SECONDS)
            try:
                s.connect(f"{self.folder}/{name}")
                return s
            except OSError:
                s.close()
                if self.process.poll() is not None or time.monotonic() > end:
                    raise Failed(f"no {name} socket")
                time.sleep(0.02)

    def client(self, agree=True):
        return Client(self.socket(), agree)

    def ends(self, status=0):
        check("exit status", self.process.wait(SECONDS), status)


# ---- a strict client ----

def no_twins(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Failed(f"a member twice: {pairs}")
    return members


class Client:
    def __init__(self, s, agree):
        self.s = s
        self.buffer = b""
        self.events = []
        self.greeting = self.message()
        check("greeting", list(self.greeting), ["QMP"])
        check("greeting's members", sorted(self.greeting["QMP"]),
              ["capabilities", "version"])
        if agree:
            check("agreement", self.execute("qmp_capabilities"), {})

    def message(self):
        """The next one: a line of ASCII, one JSON object, CR LF."""
        while b"\n" not in self.buffer:
            more = self.s.recv(65536)
            if not more:
                raise EOFError
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r"):
            raise Failed(f"no CR LF: {line}")
        if verbose:
            print("<-", line.decode("ascii").rstrip())
        message = json.loads(line.decode("ascii"), object_pairs_hook=no_twins)
        check("kind of message", type(message), dict)
        return message

    def reply(self):
        while True:
            m = self.message()
            if "event" not in m:
                return m
            self.take_event(m)

    def take_event(self, m):
        stamp = m["timestamp"]
        check("timestamp", sorted(stamp), ["microseconds", "seconds"])
        if not 0 <= stamp["microseconds"] < 1000000 or abs(
                stamp["seconds"] - time.time()) > 3600:
            raise Failed(f"timestamp: {stamp}")
        check("event's members", set(m) - {"data"}, {"timestamp", "event"})
        self.events.append(m)

    def event(self, name):
        while not any(e["event"] == name for e in self.events):
            self.take_event(self.message())
        while self.events:
            e = self.events.pop(0)
            if e["event"] == name:
                return e.get("data")

    def send(self, text):
        if verbose:
            print("->", text)
        self.s.sendall(text if isinstance(text, bytes) else text.encode())

    def ask(self, text):
        self.send(text)
        return self.reply()

    def execute(self, command, **arguments):
        message = {"execute": command, "id": command}
        if arguments:
            message["arguments"] = {k.replace("_", "-"): v
                                    for k, v in arguments.items()}
        reply = self.ask(json.dumps(message))
        check("id", reply.pop("id", None), command)
        if list(reply) == ["return"]:
            return reply["return"]
        check("reply's members", list(reply), ["error"])
        check("error's members", sorted(reply["error"]), ["class", "desc"])
        raise Failed(f"{command}: {reply['error']}")

    def human(self, line):
        return self.execute("human-monitor-command", command_line=line)

    def ended(self):
        try:
            while True:
                self.take_event(self.message())
        except EOFError:
            return True



def main(parts):
    """Runs the parts that the command line names, or all."""
    global verbose
    parts = {k[5:]: f for k, f in parts.items() if k.startswith("part_")}
    names = sys.argv[1:]
    if names[:1] == ["-v"]:
        verbose = True
        names = names[1:]
    failed = 0
    for name in names or parts:
        try:
            parts[name]()
        except (Failed, EOFError, OSError, subprocess.SubprocessError, KeyError) as e:
            print(f"FAIL {name}: {e!r}\n  again: {sys.argv[0]} -v {name}")
            failed = 1
    sys.exit(failed)
