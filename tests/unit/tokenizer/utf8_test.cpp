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

TEST(Utf8, ReplacesEachMaximalSubpartOnce) {
  const std::string mark = "\xEF\xBF\xBD";
  EXPECT_EQ(replace_invalid_utf8("a\xF0\x9F\x98"), "a" + mark);
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98z"), mark + "z");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), mark + mark + mark);
  EXPECT_EQ(replace_invalid_utf8("\xC3\xA9"), "\xC3\xA9");
}

}  // namespace
