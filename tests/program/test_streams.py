"""Standard input, output and error of the bertha program: lost output, closed pipes, waiting, signals, long lines."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import unittest

from program import ASKER, CLASSIFIER, MODELS, PROGRAM, TAGGER, ProgramTest, run, start, wait_for_line

COMMANDS = {"classify": (CLASSIFIER, "a"), "ner": (TAGGER, "Ada"), "logits": (CLASSIFIER, "a"), "tokenize": (CLASSIFIER, "a"),
            "qa": (ASKER, "--question", "a", "--context", "b"), "verify": (CLASSIFIER,), "inspect": (CLASSIFIER,),
            "bench": (CLASSIFIER, "--length", "8", "--repeat", "1"), "--help": (), "--version": ()}
EVERY = [(command, *arguments) for command, arguments in COMMANDS.items()] + [
    ("classify", "--help"), ("inspect", CLASSIFIER, "--json"), ("verify", str(MODELS / "classify_int8.safetensors"), "--record"),
    ("inspect", CLASSIFIER, "--profile", "--length", "8", "--repeat", "1")]
READING = [("classify", CLASSIFIER), ("classify", CLASSIFIER, "--jsonl"), ("ner", TAGGER), ("logits", CLASSIFIER),
           ("tokenize", CLASSIFIER), ("qa", ASKER, "--question", "a"), ("qa", ASKER, "--jsonl"),
           ("bench", CLASSIFIER, "--jsonl")]


def in_shell(redirections, *arguments, stdin=b""):
    """A run below a shell that redirects its streams."""
    return subprocess.run(["sh", "-c", f'"$@" {redirections}', "sh", PROGRAM, *arguments], input=stdin,
                          capture_output=True, timeout=120, check=False)


def peak(line, *command, times=1):
    """Peak memory, in KB, as the kernel counts it, of a command on one thread that reads a line so many times."""
    report = 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); ' \
             'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)'
    process = subprocess.run(["python3", "-c", report, PROGRAM, *command, "--threads", "1"], input=line * times,
                             capture_output=True, timeout=120, check=True)
    return int(process.stdout)


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
        few, many = (peak(b"one bank in Lima\n" * n, "classify", CLASSIFIER) for n in (64, 60000))
        self.assertLess(many, few + 2000)
        long = peak(b'{"x":"' + b"a" * 30_000_000 + b'","text":"a"}\n', "classify", CLASSIFIER, "--jsonl")
        self.assertLess(long, few + 8 * 30_000)

    def test_memory_of_no_command_grows_with_the_lines(self):
        # A million lines may take 32 MB: 33 bytes each, over what allocators keep. rerank, which orders all lines, keeps
        # 16 bytes of each.
        model = lambda name: str(MODELS / f"{name}.safetensors")
        text, pair = "one bank in Lima", {"text": "one bank", "text_pair": "in Lima, where nobody moved to or from"}
        for command, line in {
            ("ner", TAGGER): text,
            ("qa", ASKER, "--question", "who"): text,
            ("embed", model("embed_bert")): text,
            ("zero-shot", model("inference"), "--labels", "a,b"): text,
            ("nsp", model("next_sentence"), "--jsonl"): json.dumps(pair),
            ("rerank", model("rerank"), "--query", "who"): text * 4,
        }.items():
            few, many = (peak(line.encode() + b"\n", *command, times=n) for n in (2000, 12000))
            self.assertLess(many - few, 10 * 33 + 600, command)

    def test_a_long_line_is_looked_at_once_however_it_comes(self):
        # In pieces of 4096 bytes, against 65536: who looks at all of the line for each piece has gigabytes to look at.
        line = b'{"text":"' + b"a" * 32_000_000 + b'","text_pair":5}\n'

        def user_time(stdin):
            process = start("tokenize", CLASSIFIER, "--jsonl", stdin=stdin, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
            os.close(stdin)
            yield
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 1)
            yield usage.ru_utime
        with tempfile.TemporaryFile() as file:
            file.write(line)
            file.seek(0)
            _, whole = user_time(os.dup(file.fileno()))
        ours, theirs = os.pipe2(os.O_DIRECT)  # each read gives what one write gave
        pieces = user_time(ours)
        next(pieces)
        with open(theirs, "wb", buffering=0) as pipe:
            for at in range(0, len(line), 4096):
                pipe.write(line[at:at + 4096])
        self.assertLess(next(pieces), 2.5 * whole + 0.1)


if __name__ == "__main__":
    unittest.main()
