"""readme_snippets.py finds the programs of a page, and its output blocks."""
import unittest

from readme_snippets import bodies, snippets


class Snippets(unittest.TestCase):
    def test_a_program_and_what_it_prints(self):
        page = "# T\n\n```cpp\n#include <a>\nint main() {}\n```\n\n```text\none\ntwo\n```\n"
        self.assertEqual(snippets(page), [(3, "#include <a>\nint main() {}\n", "one\ntwo\n")])

    def test_a_program_without_output(self):
        self.assertEqual(snippets("```cpp\n#include <a>\n```\nprints nothing like\n```text\none\n```\n"),
                         [(1, "#include <a>\n", None)])

    def test_two_programs_keep_their_own_output(self):
        page = "```cpp\n#include <a>\n```\n```cpp\n#include <b>\n```\n```text\nb\n```\n"
        self.assertEqual([output for _, _, output in snippets(page)], [None, "b\n"])

    def test_fragments_and_other_languages_are_no_programs(self):
        self.assertEqual(snippets("```cpp\nauto x = 1;\n```\n```sh\n#include\n```\n"), [])

    def test_bodies_of_functions_are_one_source(self):
        source = bodies("```cpp body\nfoo();\n```\n```cpp\nbar();\n```\n```cpp body\nbaz();\n```\n")
        self.assertIn("void fragment_0() {\nfoo();\n}\n", source)
        self.assertIn("void fragment_1() {\nbaz();\n}\n", source)
        self.assertNotIn("bar", source)
        self.assertEqual(bodies("```cpp\nbar();\n```\n"), "")


if __name__ == "__main__":
    unittest.main()
