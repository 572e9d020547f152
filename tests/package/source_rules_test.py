"""Each rule of source_rules.py sees what it is there for, and leaves alone what is right."""
import unittest

import source_rules as rules


def messages(findings):
    return [finding[-1] for finding in findings]


class SourceRules(unittest.TestCase):
    def assert_finds(self, expected, findings):
        found = messages(findings)
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def assert_clean(self, findings):
        self.assertEqual(messages(findings), [])

    def test_includes_point_one_way(self):
        direction = rules.rule_include_direction
        self.assert_clean(direction("pipelines/a.hpp", "#include <bertha/heads/head.hpp>\n#include <bertha/model.hpp>\n"))
        self.assert_clean(direction("heads/a.hpp", "#include <bertha/file/model_file.hpp>\n#include <bertha/error.hpp>\n"))
        self.assert_clean(direction("kernels/a.hpp", "// #include <bertha/model.hpp>\n#include <vector>\n"))
        self.assert_finds("encoder/a.hpp may not include heads/head.hpp",
                          direction("encoder/a.hpp", "#include <bertha/heads/head.hpp>\n"))
        self.assert_finds("heads/a.hpp may not include file/safetensors.hpp",
                          direction("heads/a.hpp", "#  include <bertha/file/safetensors.hpp>\n"))
        self.assert_finds("included as <bertha/...>", direction("heads/a.hpp", '#include "head.hpp"\n'))
        self.assert_finds("doesn't know the place extras", direction("extras/a.hpp", ""))

    def test_headers_from_outside_stay_in_their_places(self):
        outside = rules.rule_includes_outside
        self.assert_clean(outside("file/json.hpp", "#include <nlohmann/json.hpp>\n"))
        self.assert_clean(outside("file/mapped_file.hpp", "#include <sys/mman.h>\n"))
        self.assert_finds("JSON", outside("model.hpp", "#include <nlohmann/json.hpp>\n"))
        self.assert_finds("Eigen", outside("file/json.hpp", "#include <Eigen/Core>\n"))
        self.assert_finds("iostream", outside("model.hpp", "#include <iostream>\n"))
        self.assert_finds("platform", outside("model.hpp", "#include <unistd.h>\n"))

    def test_the_library_never_prints_or_ends(self):
        calls = rules.rule_never_prints_or_ends
        self.assert_clean(calls("a.hpp", '// abort() would end it\nthrow Error("exit(1) or printf()");\nstatic_assert(true);\n'))
        self.assert_clean(calls("a.hpp", "on_exit(f); x = 1'000; char c = '\"'; printf_like f;\n"))
        for bad in ("std::abort();", "exit (1);", 'std::fprintf(stderr, "x");', "std :: cout << 1;", "assert(x);"):
            self.assert_finds("never prints", calls("a.hpp", bad))

    def test_headers_are_short(self):
        self.assert_clean(rules.rule_header_length("model.hpp", "\n" * 300))
        self.assert_clean(rules.rule_header_length("kernels/avx2.hpp", "\n" * 900))
        self.assert_finds("301 lines", rules.rule_header_length("model.hpp", "\n" * 301))

    def test_public_symbols_are_documented(self):
        def names(text):
            return messages(rules.rule_documented({"a.hpp": text}))

        self.assertEqual(names("BERTHA_NAMESPACE_BEGIN\n\n/// Adds.\ninline int add(int a, int b) { return a + b; }\n\n"
                               "namespace detail {\nint hidden();\n}\n\nBERTHA_NAMESPACE_END\n"), [])
        self.assertEqual(names("/// Said before.\nBERTHA_NAMESPACE_BEGIN\n\ntemplate <class T>\nclass A {\n  int f();\n};\n"), [])
        self.assertEqual(names("/// Two of a kind.\nstruct A {};\nstruct B {};\n"), [])
        self.assertEqual(names("/// Declared.\nint f(int a);\n\nclass Later;\n\ninline int f(int a) { return a; }\n"), [])
        self.assertEqual(names("/// A.\nclass A {\n  int f();\n};\n\ninline int A::f() { return 1; }\n"), [])
        self.assertEqual(names("class A {\n};\n"), ["class A has no /// line"])
        self.assertEqual(names("// Plain.\nenum class A { a, b };\n"), ["enum A has no /// line"])
        self.assertEqual(names("/// A.\nstruct A {\n};\n\ntemplate <class T, std::array<T, 2> V>\nT twice(T x) {\n  return x;\n}\n"),
                         ["function twice has no /// line"])
        self.assertEqual(names("/// F.\nint f();\n\nbool operator==(const A& a, const A& b);\n"),
                         ["function operator== has no /// line"])
        self.assertEqual(names("template <class H>\nconcept Head = requires(H h) { h(); };\n"),
                         ["concept Head has no /// line"])

    def test_headers_have_no_cycles(self):
        cycle = {"a.hpp": "#include <bertha/b.hpp>", "b.hpp": "#include <bertha/a.hpp>"}
        self.assert_finds("a.hpp -> b.hpp -> a.hpp", rules.rule_no_cycles(cycle))
        self.assert_clean(rules.rule_no_cycles({"a.hpp": "#include <bertha/b.hpp>", "b.hpp": ""}))

    def test_sources_are_ascii_and_finished(self):
        self.assert_finds("U+00FC", rules.rule_ascii("a.cpp", "ok\n\u00fc\n"))
        self.assert_finds("issue", rules.rule_no_leftovers("a.cpp", "// TO" "DO later\n"))
        self.assert_clean(rules.rule_no_leftovers("a.cpp", "// toDOs are fine\n"))

    def test_every_test_is_listed(self):
        tests = ["tests/unit/json_test.cpp", "tests/package/a_test.py"]
        listed = {"tests": "bertha_test(a unit/json_test.cpp)", "tests/package": "foreach(script IN ITEMS a_test.py)"}
        self.assert_clean(rules.rule_tests_listed(tests, listed))
        self.assert_finds("is not listed", rules.rule_tests_listed(tests, {**listed, "tests/package": "aa_test.py"}))
        self.assert_finds("is not listed", rules.rule_tests_listed(tests, {**listed, "tests": "unit/file/json_test.cpp"}))

    def test_named_tests(self):
        sources = ["TEST(Json, IsStrict) {", "TEST_P(Rows, AreTheSame) {"]
        self.assert_clean(rules.rule_named_tests({"a.md": "| depth | 16 | Json.IsStrict, Rows.AreTheSame |"}, sources))
        for name in ("Json.IsLax", "Row.AreTheSame", "Rows.IsStrict"):
            self.assert_finds("isn't there", rules.rule_named_tests({"a.md": f"| depth | 16 | {name} |"}, sources))


if __name__ == "__main__":
    unittest.main()
