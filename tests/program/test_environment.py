"""The bertha program where the system gives little: small stacks, a part of a CPU, no /proc, files that can't be written."""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import unittest

from program import ASKER, CLASSIFIER, PROGRAM, TAGGER, TEXTS, ProgramTest

LINES = "\n".join(text for text in TEXTS if text).encode()


def answers(*prefix, before=None):
    """What the classifier and the tagger print, on two threads, started by `prefix` and after `before` in the child."""
    printed = []
    for command, model in (("classify", CLASSIFIER), ("ner", TAGGER)):
        done = subprocess.run([*prefix, PROGRAM, command, model, "--threads", "2"], input=LINES, capture_output=True,
                              timeout=120, check=False, preexec_fn=before)
        printed.append((done.returncode, done.stdout, done.stderr))
    return printed


def tenth_of_a_cpu():
    """A new control group whose processes have 10 ms of each 100, as in a container; None if this user can't make one."""
    for parent, limit, text in (("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "10000"),  # version 1
                                ("/sys/fs/cgroup", "cpu.max", "10000 100000")):
        group = pathlib.Path(parent, f"bertha-test-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(text, encoding="ascii")
            return group
        except OSError:
            group.rmdir()
    return None


class Environment(ProgramTest):
    def test_a_stack_of_256_kilobytes_is_enough_for_callers_and_threads(self):
        def small_stack():  # new threads have as much as the limit says
            resource.setrlimit(resource.RLIMIT_STACK, (256 << 10, 256 << 10))

        expected = answers()
        self.assertEqual([status for status, _, _ in expected], [0, 0])
        self.assertEqual(answers(before=small_stack), expected)

    def test_no_more_memory_is_reserved_than_used(self):
        # What a system without overcommitment counts: no large reservations, beside stacks of threads and the program.
        def little_room():
            resource.setrlimit(resource.RLIMIT_AS, (128 << 20, 128 << 20))

        self.assertEqual(answers(before=little_room), answers())

    def test_proc_may_be_missing(self):
        alone = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
        if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
            self.skipTest("this user can't hide /proc")
        self.assertEqual(answers(*alone), answers())

    def test_a_container_with_a_tenth_of_a_cpu_has_one_thread_and_the_same_answers(self):
        group = tenth_of_a_cpu()
        if group is None:
            self.skipTest("this user can't make a control group")
        self.addCleanup(group.rmdir)
        inside = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
        self.assertEqual(answers(*inside), answers())
        profile = subprocess.run([*inside, PROGRAM, "inspect", CLASSIFIER, "--profile", "--json", "--repeat", "1"],
                                 capture_output=True, timeout=120, check=True)
        self.assertEqual(json.loads(profile.stdout)["threads"], 1)

    def test_what_cannot_be_written_is_said_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            mount = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o ro none {folder} && exec "$@"', "sh"]
            if shutil.which("unshare") is None or subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
                self.skipTest("this user can't mount a file system")
            out = pathlib.Path(folder) / "out.safetensors"
            done = subprocess.run([*mount, PROGRAM, "quantize", CLASSIFIER, str(out)], capture_output=True, text=True,
                                  timeout=120, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("Read-only file system", done.stderr)
            self.assertEqual(os.listdir(folder), [])

    def test_a_model_is_read_from_a_read_only_file_of_another_user(self):
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder) / "model.safetensors"
            shutil.copy(ASKER, model)
            model.chmod(0o444)
            pathlib.Path(folder).chmod(0o555)
            ask = ("--question", "Who moved?", "--context", "Ada moved to Lima.")
            expected = self.ask("qa", ASKER, *ask)
            self.assertNotEqual(expected, [])
            self.assertEqual(self.ask("qa", str(model), *ask), expected)


if __name__ == "__main__":
    unittest.main()
