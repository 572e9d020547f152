#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/trie_writer.hpp"

#include <bertha/tokenizer/double_array.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

std::uint32_t value_of(const DoubleArray& trie, std::string_view string) {
  DoubleArray::Walk walk(trie);
  for (const char byte : string) {
    if (!walk.step(byte)) return 0;
  }
  return walk.value();
}

TEST(DoubleArray, FindsItsStringsAndNoOthers) {
  const std::map<std::string, std::uint32_t> values = {
      {"a", 1}, {"ab", 2}, {"abc", 3}, {"b", 4}, {"\u2581", 5}, {"\u2581a", 6}, {std::string(1, '\0'), 7}};
  const auto units = trie_of(values);
  const DoubleArray trie(units, "trie");
  for (const auto& [string, value] : values) EXPECT_EQ(value_of(trie, string), value) << string;
  for (const char* other : {"", "c", "ac", "abcd", "abb", "\u2582", "\u2581b", "\xE2", "\xFF"}) {
    EXPECT_EQ(value_of(trie, other), 0u) << other;
  }
}

TEST(DoubleArray, RefusesToBeEmpty) {
  expect_error(ErrorCode::vocabulary, {"some.trie", "no root"}, [] { DoubleArray({}, "some.trie"); });
}

TEST(DoubleArray, ReadsWithinItsUnitsWhateverTheySay) {
  for (const std::uint32_t unit : {0u, 0xFFu, 0xFFFFFFFFu, 0x61u, 0x161u, 0xFFFFFF61u}) {
    for (std::size_t n = 2; n < 300; ++n) {  // exactly as many as there are: sanitizers see a step too far
      const std::vector<std::uint32_t> units(n, unit);
      const DoubleArray trie(units, "trie");
      for (int byte = 0; byte < 256; ++byte) {
        DoubleArray::Walk walk(trie);
        for (int i = 0; i < 3; ++i) walk.step(static_cast<char>(byte));
      }
    }
  }
}

}  // namespace
