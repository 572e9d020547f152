#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <bertha/tokenizer/utf8.hpp>
#include <cstdint>
#include <string>

namespace {

using namespace bertha;
using bertha_test::expect_error;

TEST(Utf8, EncodesWhatItDecodes) {
  for (std::uint32_t code_point = 0; code_point < 0x110000; ++code_point) {
    if (code_point >= 0xD800 && code_point < 0xE000) continue;
    char bytes[4];
    const std::size_t size = utf8::encode(code_point, bytes);
    const std::string text(bytes, size);
    ASSERT_EQ(utf8::decode(text, 0).value, code_point);
    ASSERT_EQ(utf8::decode(text, 0).size, size);
    ASSERT_EQ(utf8::find_invalid(text), std::string::npos);
    ASSERT_EQ(utf8::count(text), 1u);
  }
}

TEST(Utf8, NamesThePositionAndTheByteThatIsWrong) {
  EXPECT_NO_THROW(require_utf8("plain, and \xC3\xA9"));
  expect_error(ErrorCode::input, {"byte 9 ", "0xff"}, [] {
    require_utf8(
        "123456789\xFF"
        "123456789");
  });
  expect_error(ErrorCode::input, {"byte 0 ", "0xc3"}, [] { require_utf8("\xC3"); });
}

TEST(Utf8, FindsAWrongByteAtEveryPlaceOfLongAscii) {
  for (std::size_t at = 0; at < 40; ++at) {
    std::string text(40, 'a');
    text[at] = '\x80';
    EXPECT_EQ(utf8::find_invalid(text), at);
  }
}

TEST(Utf8, RefusesOverlongFormsSurrogatesAndNumbersTooLarge) {
  for (const char* text : {"\xC0\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\xED\xA0\x80",
                           "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\x80", "\xE4\xB8", "\xF0\x9F\x98"}) {
    EXPECT_EQ(utf8::find_invalid(text), 0u) << text;
  }
}

// Which bytes may follow which, wherever a block of the search begins: as table 3-7 of the standard says, unit by unit.
TEST(Utf8, JudgesEachPairOfBytesInEveryPlaceAsUnitByUnit) {
  const auto find_slowly = [](const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
      const utf8::Unit unit = utf8::unit_at(text, at);
      if (!unit.valid) return at;
      at += unit.size;
    }
    return std::string::npos;
  };
  for (const std::string before : {"", "\xE0", "\xE4", "\xED", "\xF0", "\xF1", "\xF4", "\xF0\x9F", "\xF4\x8F"}) {
    for (unsigned pair = 0; pair < 0x10000; ++pair) {
      const std::string bytes = before + static_cast<char>(pair >> 8) + static_cast<char>(pair & 0xFF);
      const std::size_t n = 12 + pair % 7;  // bytes before them, so that they lie across the edge of a block
      const std::string text = std::string(n, 'a') + bytes + std::string(20, 'z');
      ASSERT_EQ(utf8::find_invalid(text), find_slowly(text)) << pair;
      ASSERT_EQ(utf8::find_invalid(bytes), find_slowly(bytes)) << pair;
    }
  }
}

TEST(Utf8, ReplacesEachMaximalSubpartOnce) {
  const std::string mark = "\xEF\xBF\xBD";
  EXPECT_EQ(replace_invalid_utf8("a\xF0\x9F\x98"), "a" + mark);
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98z"), mark + "z");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), mark + mark + mark);
  EXPECT_EQ(replace_invalid_utf8("\xC3\xA9"), "\xC3\xA9");
}

}  // namespace
