"""When the bertha program answers and what it shows meanwhile: interactive pipes, batches, threads, signals, progress."""

import contextlib
import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

from program import ASKER, CLASSIFIER, PROGRAM, TAGGER, ProgramTest, run, start, wait_for_line


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
        with start("bench", CLASSIFIER, "--jsonl", bufsize=0) as process:
            for tokens in (1, 2):
                process.stdin.write(json.dumps({"ids": [[1] * tokens]}).encode() + b"\n")
                self.assertEqual(json.loads(wait_for_line(process.stdout))["tokens"], tokens)
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

    def test_a_batch_is_read_on_until_it_is_full(self):
        text = ("bank" + " " * 2000 + "\n") * 64  # more than one read gives
        ours, theirs = os.pipe2(os.O_DIRECT)
        with tempfile.TemporaryFile() as stdin:
            stdin.write(text.encode())
            stdin.seek(0)
            with start("classify", CLASSIFIER, "--batch-size", "64", stdin=stdin, stdout=theirs):
                os.close(theirs)
                self.assertEqual(os.read(ours, 1 << 16), run("classify", CLASSIFIER, "bank").stdout * 64)
        os.close(ours)

    def test_an_input_that_breaks_off_in_the_middle_is_an_error_after_the_lines_before(self):
        near, far = socket.socketpair()
        far.send(b"unread")  # which makes the end of the other side an error on this one
        near.send(b"bank\nhalf a li")
        near.close()
        process = subprocess.run([PROGRAM, "tokenize", CLASSIFIER], stdin=far, capture_output=True, timeout=60, check=False)
        far.close()
        self.assertEqual((process.returncode, process.stderr), (1, b"bertha: standard input: Connection reset by peer\n"))
        self.assertEqual(process.stdout, run("tokenize", CLASSIFIER, "bank").stdout)

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
            time.sleep(0.2)  # it waits for input by now
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


def default_signals():
    """A shell ignores some of them for what runs in the background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Signals(ProgramTest):
    def wait_until_full(self, pipe):
        """Until the program waits in the middle of a write."""
        size = before = 0
        while size != before or size < 50_000:
            time.sleep(0.1)
            before, size = size, int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)

    def test_ctrl_c_leaves_whole_lines(self):
        text = b"one bank in Lima and there\n" * 200000
        whole = run("tokenize", CLASSIFIER, stdin=b"one bank in Lima and there\n").stdout
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with tempfile.TemporaryFile() as stdin:
                stdin.write(text)
                stdin.seek(0)
                process = start("tokenize", CLASSIFIER, "--batch-size", "1000", stdin=stdin, bufsize=0,
                                preexec_fn=default_signals)
            with process:
                self.wait_until_full(process.stdout)
                out = os.read(process.stdout.fileno(), 10_000)  # room for a part of what it wants to write
                self.wait_until_full(process.stdout)
                process.send_signal(number)
                out += process.stdout.read()
                self.assertEqual(process.wait(60), -number)
                self.assertEqual(process.stderr.read(), b"")
            self.assertEqual(out, whole * (len(out) // len(whole)))
            self.assertLess(len(out), len(whole) * 200000)


class ProgressLine(ProgramTest):
    def watch(self, *arguments, texts=b"", stdout=subprocess.DEVNULL):
        """What a terminal on standard error shows."""
        ours, theirs = pty.openpty()
        with start(*arguments, stderr=theirs, stdout=stdout or theirs) as process:
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

    def test_a_terminal_that_shows_the_results_shows_nothing_else(self):
        shown = self.watch("classify", CLASSIFIER, texts=b"bank\n" * 10, stdout=None)
        self.assertEqual(shown.replace("\r\n", "\n"), run("classify", CLASSIFIER, stdin=b"bank\n" * 10).stdout.decode())

    def test_no_terminal_shows_nothing(self):
        self.assertEqual(run("classify", CLASSIFIER, stdin=b"bank\n" * 10).stderr, b"")

    def test_the_number_of_cut_texts_has_a_line_of_its_own(self):
        shown = self.watch("classify", CLASSIFIER, "--truncation", texts=b"bank " * 600)
        self.assertRegex(shown, r"1 texts, .*\x1b\[K\r\nbertha: 1 of 1 texts was cut; .*\r\n$")


if __name__ == "__main__":
    unittest.main()
