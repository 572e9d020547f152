#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <bertha/tokenizer/offsets.hpp>
#include <bertha/tokenizer/utf8.hpp>
#include <random>
#include <string>

namespace {

using namespace bertha;

TEST(OffsetConverter, CountsCodePointsAndUtf16Units) {
  const std::string text = "a\u00e9\u4e2d\U0001F308z";  // 1, 2, 3, 4 and 1 bytes
  const OffsetConverter bytes(text, OffsetUnit::byte), code_points(text, OffsetUnit::code_point),
      utf16(text, OffsetUnit::utf16);
  const std::size_t starts[] = {0, 1, 3, 6, 10, 11}, expected_utf16[] = {0, 1, 2, 3, 5, 6};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(bytes(starts[i]), starts[i]);
    EXPECT_EQ(code_points(starts[i]), i);
    EXPECT_EQ(utf16(starts[i]), expected_utf16[i]);
  }
}

TEST(OffsetConverter, LeavesAsciiAndTheEmptyTextAsTheyAre) {
  EXPECT_EQ(OffsetConverter("", OffsetUnit::code_point)(0), 0u);
  EXPECT_EQ(OffsetConverter("abc", OffsetUnit::utf16)(3), 3u);
}

TEST(OffsetConverter, EqualsCountingFromTheStartInTextsOfManyBlocks) {
  std::mt19937 random(7);
  const std::string pieces[] = {"a", "\u00e9", "\u4e2d", "\U0001F308"};
  for (const std::size_t n : {1u, 15u, 16u, 17u, 64u, 500u}) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) text += pieces[random() % 4];
    const OffsetConverter code_points(text, OffsetUnit::code_point), utf16(text, OffsetUnit::utf16);
    std::size_t n_code_points = 0, n_units = 0;
    for (std::size_t at = 0; at < text.size();) {
      ASSERT_EQ(code_points(at), n_code_points);
      ASSERT_EQ(utf16(at), n_units);
      const std::size_t size = utf8::decode(text, at).size;
      n_code_points += 1;
      n_units += size == 4 ? 2u : 1u;
      at += size;
    }
    EXPECT_EQ(code_points(text.size()), n);
    EXPECT_EQ(utf16(text.size()), n_units);
  }
}

TEST(OffsetConverter, RefusesAUnitOutOfRange) {
  bertha_test::expect_error(ErrorCode::input, {"offset unit is 3"},
                            [] { OffsetConverter("a", static_cast<OffsetUnit>(3)); });
}

}  // namespace
