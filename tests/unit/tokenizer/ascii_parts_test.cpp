#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"

#include <algorithm>
#include <bertha/runtime/stop.hpp>
#include <bertha/tokenizer/ascii_parts.hpp>
#include <cstddef>
#include <memory>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using bertha::AsciiParts;
using Ranges = std::vector<std::pair<std::size_t, std::size_t>>;

// By the definition, byte by byte.
Ranges expected(std::string_view text, std::size_t from, std::size_t to) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  const auto is_mark = [](char c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return c > ' ' && c < 0x7F && !is_letter;
  };
  Ranges parts;
  for (std::size_t at = from; at < to;) {
    std::size_t end = at + 1;
    if (!is_blank(text[at]) && !is_mark(text[at])) {
      while (end < to && !is_blank(text[end]) && !is_mark(text[end])) ++end;
    }
    if (!is_blank(text[at])) parts.push_back({at, end});
    at = end;
  }
  return parts;
}

// What is found, of a text behind which nothing may be read; also that the bytes of each part are there.
Ranges found(std::string_view text, std::size_t from, std::size_t to) {
  const auto copy = std::make_unique<char[]>(text.size());
  text.copy(copy.get(), text.size());
  const bertha::Stop stop;
  bertha::StopMeter meter(stop);
  AsciiParts all({copy.get(), text.size()}, from, to, meter);
  Ranges parts;
  for (AsciiParts::Part part; all.next(part);) {
    parts.push_back({part.from, part.to});
    const std::size_t n = std::min(AsciiParts::kReadable, part.to - part.from);
    EXPECT_EQ(std::string_view(part.bytes, AsciiParts::kReadable).substr(0, n), text.substr(part.from, n));
  }
  return parts;
}

TEST(AsciiParts, TellsEachByteFromTheOthers) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string three(3, static_cast<char>(byte));
    for (const std::string& text : {three.substr(2), "a" + three + "a"})
      EXPECT_EQ(found(text, 0, text.size()), expected(text, 0, text.size())) << byte;
  }
}

// Short parts and long ones, which go over the borders of blocks in every way.
TEST(AsciiParts, FindsWhatTheDefinitionSays) {
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return random() % n; };
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (const std::size_t size = below(300); text.size() < size;) {
      const std::size_t longest = i % 3 == 0 ? 200 : 9;
      const char kinds[] = {'a', 'Z', '5', ' ', '\n', '.', '~', '\x01', '\x7F', '\xC3', '\x80'};
      text += std::string(1 + below(longest), kinds[below(sizeof kinds)]);
    }
    const std::size_t from = below(text.size() + 1), to = from + below(text.size() - from + 1);
    ASSERT_EQ(found(text, 0, text.size()), expected(text, 0, text.size())) << text;
    ASSERT_EQ(found(text, from, to), expected(text, from, to)) << text << ' ' << from << ' ' << to;
  }
}

TEST(AsciiParts, LooksAtTheStop) {
  for (const char byte : {' ', 'a', '.'}) {
    const std::string text(200000, byte);
    std::stop_source source;
    const bertha::Stop stop(source.get_token(), {});
    bertha::StopMeter meter(stop);
    AsciiParts all(text, 0, text.size(), meter);
    source.request_stop();
    bertha_test::expect_error(bertha::ErrorCode::stopped, {"stop token"}, [&] {
      for (AsciiParts::Part part; all.next(part);) continue;
    });
  }
}

}  // namespace
