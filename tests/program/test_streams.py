"""Standard input, output and error of the bertha program: lost output, closed pipes, waiting, signals, long lines."""

import contextlib
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import tempfile
import threading
import unittest

from program import ASKER, CLASSIFIER, MODELS, PROGRAM, TAGGER, ProgramTest, lines, run

COMMANDS = {"classify": (CLASSIFIER, "a"), "ner": (TAGGER, "Ada"), "logits": (CLASSIFIER, "a"), "tokenize": (CLASSIFIER, "a"),
            "qa": (ASKER, "--question", "a", "--context", "b"), "verify": (CLASSIFIER,), "inspect": (CLASSIFIER,),
            "bench": (CLASSIFIER, "--length", "8", "--repeat", "1"), "--help": (), "--version": ()}
EVERY = [(command, *arguments) for command, arguments in COMMANDS.items()] + [
    ("classify", "--help"), ("inspect", CLASSIFIER, "--json"), ("verify", str(MODELS / "classify_int8.safetensors"), "--record"),
    ("inspect", CLASSIFIER, "--profile", "--length", "8", "--repeat", "1")]
READING = [("classify", CLASSIFIER), ("classify", CLASSIFIER, "--jsonl"), ("ner", TAGGER), ("logits", CLASSIFIER),
           ("tokenize", CLASSIFIER), ("qa", ASKER, "--question", "a"), ("qa", ASKER, "--jsonl"),
           ("bench", CLASSIFIER, "--jsonl")]


def start(*arguments, **options):
    return subprocess.Popen([PROGRAM, *arguments], **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE,
                                                      "stderr": subprocess.PIPE, **options})


def in_shell(redirections, *arguments, stdin=b""):
    """A run below a shell that redirects its streams."""
    return subprocess.run(["sh", "-c", f'"$@" {redirections}', "sh", PROGRAM, *arguments], input=stdin,
                          capture_output=True, timeout=120, check=False)


def wait_for_line(stream):
    """The next line of an unbuffered stream; fails when it doesn't come."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([stream], [], [], 60)[0]:
            raise AssertionError(f"no line after a minute; so far {line!r}")
        line += os.read(stream.fileno(), 1) or b" (end)\n"
    return line


class LostOutput(ProgramTest):
    def check(self, process, says, arguments):
        self.assertEqual(process.returncode, 1, (arguments, process.stderr))
        message = process.stderr.decode()
        self.assertRegex(message, rf"^bertha: {says}\n$", arguments)

    def test_a_full_device_is_an_error(self):
        for arguments in EVERY:
            self.check(in_shell(">/dev/full", *arguments), "standard output: No space left on device", arguments)

    def test_a_closed_output_is_an_error(self):
        for arguments in EVERY:
            self.check(in_shell(">&-", *arguments), "standard output: Bad file descriptor", arguments)

    def test_a_read_only_output_is_an_error(self):
        for arguments in EVERY:
            self.check(in_shell("1</dev/null", *arguments), "standard output: Bad file descriptor", arguments)

    def test_an_output_that_fails_in_the_middle_ends_the_run(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "out")
            limited = f'ulimit -f 8; trap "" XFSZ; exec "$@" >{path}'
            process = subprocess.run(["sh", "-c", limited, "sh", PROGRAM, "tokenize", CLASSIFIER], timeout=120, check=False,
                                     input=b"bank\n" * 100000, capture_output=True)
            self.check(process, "standard output: File too large", "limit")
            self.assertLess(0, path.stat().st_size)

    def test_a_closed_pipe_ends_the_run_without_a_word(self):
        # Python's children die of SIGPIPE as a shell's do; where that is ignored the status is the one a shell gives it.
        for ignored, status in ((False, -signal.SIGPIPE), (True, 128 + signal.SIGPIPE)):
            for arguments in EVERY:
                end, pipe = os.pipe()
                os.close(end)
                with start(*arguments, stdout=pipe, restore_signals=not ignored) as process:
                    os.close(pipe)
                    self.assertEqual(process.communicate(timeout=60)[1], b"", arguments)
                self.assertEqual(process.returncode, status, arguments)

    def test_a_reader_that_has_enough_ends_a_run_over_endless_input(self):
        with start("tokenize", CLASSIFIER, bufsize=0) as process:
            def feed():
                with contextlib.suppress(BrokenPipeError):
                    while True:
                        process.stdin.write(b"bank\n" * 1000)
            feeder = threading.Thread(target=feed)
            feeder.start()
            wait_for_line(process.stdout)
            process.stdout.close()
            self.assertEqual(process.wait(60), -signal.SIGPIPE)
            self.assertEqual(process.stderr.read(), b"")
            feeder.join()

    def test_an_input_that_can_not_be_read_is_an_error(self):
        for arguments in READING:
            for redirection, says in (("</", "Is a directory"), ("<&-", "Bad file descriptor"),
                                      ("0>/dev/null", "Bad file descriptor")):
                process = in_shell(redirection, *arguments)
                self.check(process, f"standard input: {says}", arguments)
                self.assertEqual(process.stdout, b"")

    def test_a_closed_input_is_none_to_what_does_not_read_it(self):
        for arguments in EVERY:
            process = in_shell("<&-", *arguments)
            self.assertEqual((process.returncode, process.stderr), (0, b""), arguments)
        self.assertEqual(in_shell("2>&-", "classify", CLASSIFIER, "a").stdout, run("classify", CLASSIFIER, "a").stdout)
        process = in_shell("<&- >&- 2>&-", "classify", CLASSIFIER)
        self.assertEqual((process.returncode, process.stdout, process.stderr), (1, b"", b""))


class Waiting(ProgramTest):
    def test_a_line_is_answered_while_the_next_one_is_awaited(self):
        line = {"classify": b"bank\n", "ner": b"Ada moved to Lima\n", "tokenize": b"bank\n"}
        for (command, text), model in zip(line.items(), (CLASSIFIER, TAGGER, CLASSIFIER)):
            expected = run(command, model, stdin=text).stdout
            with start(command, model, bufsize=0) as process:
                for _ in range(3):
                    process.stdin.write(text)
                    self.assertEqual(wait_for_line(process.stdout), expected)
                self.assertEqual(process.communicate(timeout=60), (b"", b""))
        stdin = b'\n{"id":1,"text":"a"}\n \n'  # and a blank line is not waited behind
        with start("classify", CLASSIFIER, "--jsonl", bufsize=0) as process:
            process.stdin.write(stdin)
            self.assertEqual(json.loads(wait_for_line(process.stdout))["id"], 1)
            self.assertEqual(process.communicate(b"nonsense\n", timeout=60)[1], b"")
            self.assertEqual(process.returncode, 1)

    def test_half_a_line_holds_up_neither_those_before_nor_itself(self):
        expected = run("tokenize", CLASSIFIER, "one", "two", "three bank").stdout.splitlines(keepends=True)
        with start("tokenize", CLASSIFIER, bufsize=0) as process:
            process.stdin.write(b"one\ntwo\nthree")
            self.assertEqual([wait_for_line(process.stdout) for _ in range(2)], expected[:2])
            process.stdin.write(b" bank\n")
            self.assertEqual(wait_for_line(process.stdout), expected[2])
            self.assertEqual(process.communicate(b"three bank", timeout=60)[0], expected[2])

    def test_what_is_there_goes_through_the_model_together(self):
        # A batch is written at once: of a file's lines each write has as many as --batch-size says.
        text = "bank\n" * 64
        expected = run("tokenize", CLASSIFIER, stdin=text).stdout
        size = len(expected) // 64
        for batch in (1, 8, 64, 1000):
            ours, theirs = os.pipe2(os.O_DIRECT)  # each read gives what one write gave
            with tempfile.TemporaryFile() as stdin:
                stdin.write(text.encode())
                stdin.seek(0)
                with start("tokenize", CLASSIFIER, "--batch-size", str(batch), stdin=stdin, stdout=theirs):
                    os.close(theirs)
                    read = iter(lambda end=ours: os.read(end, 1 << 16), b"")
                    sizes = [len(part) for part in read]
            os.close(ours)
            self.assertEqual(sum(sizes), len(expected))
            if size * batch <= 4096:
                self.assertEqual(sizes, [size * batch] * (64 // batch))

    def test_a_descriptor_that_does_not_block_is_waited_for(self):
        text = b"bank\n" * 20000
        expected = run("tokenize", CLASSIFIER, stdin=text).stdout
        ours, theirs = os.pipe()
        os.set_blocking(theirs, False)
        source, sink = os.pipe()
        os.set_blocking(source, False)
        with start("tokenize", CLASSIFIER, stdin=source, stdout=theirs) as process:
            os.close(theirs)
            os.close(source)
            def feed():
                with open(sink, "wb") as to:
                    to.write(text)
            feeder = threading.Thread(target=feed)
            feeder.start()
            with open(ours, "rb") as out:
                self.assertEqual(out.read(), expected)
            self.assertEqual(process.wait(60), 0, process.stderr.read())
            feeder.join()


class Threads(ProgramTest):
    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "one CPU only")
    def test_no_more_run_than_were_asked_for(self):
        for command in (("classify", CLASSIFIER), ("ner", TAGGER), ("logits", CLASSIFIER), ("qa", ASKER, "--question", "a")):
            counts = []
            for options in (("--threads", "1"), ()):
                with start(*command, *options, bufsize=0) as process:
                    process.stdin.write(b"one bank in Lima\n" * 64)
                    wait_for_line(process.stdout)
                    counts.append(len(os.listdir(f"/proc/{process.pid}/task")))
                    process.communicate(timeout=60)
            self.assertEqual(counts[0], 1, command)
            self.assertGreater(counts[1], 1, command)


class LongLines(ProgramTest):
    def test_the_last_line_needs_no_end(self):
        for text in (b"bank", b"bank\n", b"one\nbank"):
            self.assertEqual(run("tokenize", CLASSIFIER, stdin=text).stdout.splitlines()[-1:],
                             run("tokenize", CLASSIFIER, "bank").stdout.splitlines())

    def test_lines_of_all_sizes_around_those_of_a_read(self):
        for size in (4095, 4096, 65535, 65536, 65537, 131071, 131072, 200000):
            text = ("b " * size)[:size - 1]
            stdin = f"a\n{text}\r\n\n{text}"
            out = self.ask("tokenize", CLASSIFIER, stdin=stdin)
            self.assertEqual([len(x["ids"]) for x in out], [3, 2 + size // 2, 2, 2 + size // 2], size)

    def test_memory_is_that_of_a_batch_and_of_its_longest_line(self):
        """Peak memory, in KB, as the kernel counts it, of many lines, of few, and of one that is long."""
        def peak(stdin, *more):
            report = 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); ' \
                     'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)'
            process = subprocess.run(["python3", "-c", report, PROGRAM, "classify", CLASSIFIER, "--threads", "1", *more],
                                     input=stdin, capture_output=True, timeout=120, check=True)
            return int(process.stdout)
        few, many = (peak(b"one bank in Lima\n" * n) for n in (64, 60000))
        self.assertLess(many, few + 2000)
        long = peak(b'{"x":"' + b"a" * 30_000_000 + b'","text":"a"}\n', "--jsonl")
        self.assertLess(long, few + 8 * 30_000)

    def test_work_grows_with_the_input_and_not_with_its_square(self):
        # A line of n bytes comes in n / 4096 pieces: who scans or moves all of it for each has n^2 / 8192 bytes to look at.
        def user_time(size):
            with start("tokenize", CLASSIFIER, "--jsonl", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                line = b'{"text":"' + b"a" * size + b'","text_pair":5}\n'
                for at in range(0, len(line), 4096):
                    process.stdin.write(line[at:at + 4096])
                    process.stdin.flush()
                process.stdin.close()
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 1)
            return usage.ru_utime
        small = min(user_time(4_000_000) for _ in range(3))
        self.assertLess(user_time(32_000_000), 16 * small + 0.2)


def default_signals():
    """A shell ignores some of them for what runs in the background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Signals(ProgramTest):
    def test_ctrl_c_leaves_whole_lines(self):
        text = b"one bank in Lima and there\n" * 200000
        whole = run("tokenize", CLASSIFIER, stdin=b"one bank in Lima and there\n").stdout
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with tempfile.TemporaryFile() as stdin:
                stdin.write(text)
                stdin.seek(0)
                process = start("tokenize", CLASSIFIER, stdin=stdin, bufsize=0, preexec_fn=default_signals)
            with process:
                first = wait_for_line(process.stdout)
                process.send_signal(number)
                rest = process.stdout.read()
                self.assertEqual(process.wait(60), -number)
                self.assertEqual(process.stderr.read(), b"")
            out = first + rest
            self.assertEqual(out, whole * (len(out) // len(whole)))
            self.assertLess(len(out), len(whole) * 200000)


class ProgressLine(ProgramTest):
    def watch(self, *arguments, texts=b"", stdout=subprocess.DEVNULL):
        """What a terminal on standard error shows."""
        ours, theirs = pty.openpty()
        with start(*arguments, stderr=theirs, stdout=stdout) as process:
            os.close(theirs)
            feeder = threading.Thread(target=process.communicate, args=(texts,))
            feeder.start()
            shown = b""
            with contextlib.suppress(OSError):  # the other side closed
                while part := os.read(ours, 4096):
                    shown += part
            feeder.join()
        os.close(ours)
        return shown.decode()

    def test_a_terminal_shows_texts_rate_and_bad_lines(self):
        shown = self.watch("classify", CLASSIFIER, texts=b"bank\n" * 1500 + b"b\xff\n" * 2)
        self.assertRegex(shown, r"\r1,502 texts, [0-9,.]+ per second, 2 bad\x1b\[K\r\n$")

    def test_quiet_shows_nothing(self):
        self.assertEqual(self.watch("classify", CLASSIFIER, "--quiet", texts=b"bank\n" * 10), "")

    def test_no_terminal_shows_nothing(self):
        self.assertEqual(run("classify", CLASSIFIER, stdin=b"bank\n" * 10).stderr, b"")

    def test_the_number_of_cut_texts_has_a_line_of_its_own(self):
        shown = self.watch("classify", CLASSIFIER, "--truncation", texts=b"bank " * 600)
        self.assertRegex(shown, r"1 texts, .*\x1b\[K\r\nbertha: 1 of 1 texts was cut; .*\r\n$")


if __name__ == "__main__":
    unittest.main()
