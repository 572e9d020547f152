#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/charsmap.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

const std::map<std::string, std::string> kRules = {{"\u2460", "1"},       {"\ufb01", "fi"}, {"\u00ad", ""},
                                                   {"e\u0301", "\u00e9"}, {"\r", " "},      {"\u0915", "K"}};

Charsmap charsmap_of(const UnigramData& data) {
  const TokenizerTensors its = data.tensors();
  return Charsmap(its.charsmap_text, its.charsmap_offsets, its.charsmap_trie);
}

/// What the rules make of a text, with the number of the character that each one came from.
std::string mapped(const std::string& text, std::uint32_t base = 0) {
  static const UnigramData data({{"<unk>", 0}}, kRules);
  Characters before, after;
  for (std::size_t at = 0; at < text.size();) {
    const auto [code_point, size] = utf8::decode(text, at);
    const auto n = base + static_cast<std::uint32_t>(before.size());
    before.push_back({code_point, {n, n + 1}});
    at += size;
  }
  charsmap_of(data)(before, base, after);
  std::string result;
  for (const Character& character : after) {
    char bytes[4];
    result.append(bytes, utf8::encode(character.code_point, bytes)) += std::to_string(character.origin.start);
  }
  return result;
}

TEST(Charsmap, ReplacesClustersOfFewBytesByTheShortestStart) {
  EXPECT_EQ(mapped("a\u2460b"),
            "a0"
            "11"
            "b2");
  EXPECT_EQ(mapped("e\u0301"),
            "\u00e9"
            "0");
  EXPECT_EQ(mapped("\u2460\u0301b"),
            "10"
            "b2");  // five bytes: the mark goes
  EXPECT_EQ(mapped("\u2460\u0301\u0301b"),
            "10\u0301"
            "1\u0301"
            "2b3");  // seven: each for itself
  EXPECT_EQ(mapped("\r\nb"), " 0b2");
  EXPECT_EQ(mapped("\u0915\u094d\u0915\u0301"),
            "K0\u094d"
            "1K2\u0301"
            "3");  // a conjunct is one cluster
}

TEST(Charsmap, CountsCharactersAsTheCrateDoes) {
  EXPECT_EQ(mapped("\ufb01x"), "f0i0x1");
  EXPECT_EQ(mapped("a\u00ad\u00adb"), "a0b3");
  EXPECT_EQ(mapped("\u00adab"), "a0b1");  // what goes at the very start is not counted: all after it is one off
  EXPECT_EQ(mapped("\u00adab", 7), "a7b8");
  EXPECT_EQ(mapped("\ufb01\u00ad\u00adx"), "f0i1x3");  // what goes behind a further character takes its place
  EXPECT_EQ(mapped("\u00ad"), "");
  EXPECT_EQ(mapped(""), "");
}

TEST(Charsmap, RefusesAReplacementThatIsNotThereOrTooLong) {
  UnigramData data({{"<unk>", 0}}, {{"a", "b"}});
  for (std::uint32_t& unit : data.charsmap_trie) unit = unit == 1 ? 5 : unit;
  expect_error(ErrorCode::vocabulary, {"tokenizer.charsmap.trie", "no replacement 4"},
               [&] { charsmap_of(data).find("a"); });
  EXPECT_NO_THROW(charsmap_of(UnigramData({{"<unk>", 0}}, {{"a", std::string(1000, 'x')}})));
  const UnigramData long_one({{"<unk>", 0}}, {{"a", std::string(1001, 'x')}});
  expect_error(ErrorCode::vocabulary, {"tokenizer.charsmap", "1001 bytes", "1000"}, [&] { charsmap_of(long_one); });
}

/// A Charsmap over bytes that are damaged in every way, those of a trie's free units in some, gives a text or an
/// Error{vocabulary}.
template <class Value>
void damage_each_byte(std::vector<Value>& values, const UnigramData& data, std::size_t& refused) {
  const std::string text = "a\u2460\u0301\ufb01\u00ade\u0301\r\n\u0915";
  auto* bytes = reinterpret_cast<unsigned char*>(values.data());
  for (std::size_t i = 0; i < values.size() * sizeof(Value); ++i) {
    const unsigned char good = bytes[i];
    const bool free = values.data() == data.charsmap_trie.data() && data.charsmap_trie[2 * (i / 8)] == 0xFF;
    for (int change = 1; change < 256; change = free ? 2 * change + 1 : change + 1) {
      bytes[i] = static_cast<unsigned char>(good ^ change);
      try {
        const Charsmap charsmap = charsmap_of(data);
        for (std::size_t at = 0; at < text.size(); ++at) charsmap.find(std::string_view(text).substr(at));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::vocabulary) << error.what();
        ++refused;
      }
    }
    bytes[i] = good;
  }
}

TEST(Charsmap, GivesATextOrAnErrorWhicheverByteIsDamaged) {
  UnigramData data({{"<unk>", 0}}, kRules);
  std::size_t refused = 0;
  damage_each_byte(data.replacements.offsets, data, refused);
  std::vector<char> text(data.replacements.text.begin(), data.replacements.text.end());
  EXPECT_GT(refused, 0u);
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const int change : {0x01, 0x80, 0xFF}) {
      data.replacements.text[i] = static_cast<char>(text[i] ^ change);
      try {
        charsmap_of(data).find("\u2460");
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::vocabulary);
        ++refused;
      }
      data.replacements.text[i] = text[i];
    }
  }
  std::size_t refused_tries = 0;
  damage_each_byte(data.charsmap_trie, data, refused_tries);
  EXPECT_GT(refused_tries, 0u);
}

}  // namespace
