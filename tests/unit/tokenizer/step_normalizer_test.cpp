#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/offsets.hpp>
#include <bertha/tokenizer/step_normalizer.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;
using Json = nlohmann::json;
using Kind = NormalizerStep::Kind;

NormalizedText normalized(const std::vector<NormalizerStep>& steps, std::string_view text, std::uint32_t base = 0) {
  NormalizedText result;
  StepNormalizer{steps}(text, base, result);
  return result;
}

NormalizerStep replace(std::string pattern, std::string content) {
  return {Kind::replace, std::move(pattern), std::move(content)};
}

TEST(StepNormalizer, EqualsTokenizersInTextAndOrigins) {
  const auto lines = lines_of(std::string(BERTHA_TEST_DATA) + "/data/normalizer/steps.jsonl");
  ASSERT_GT(lines.size(), 2000u);
  std::map<std::string, std::vector<NormalizerStep>> normalizers;
  const Json head = Json::parse(lines[0]);
  for (const auto& [name, normalizer] : head.at("normalizers").items()) {
    normalizers[name] = steps_of(normalizer.at("steps"));
  }
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const Json golden = Json::parse(lines[i]);
    const std::string text = golden.at("text");
    const NormalizedText result = normalized(normalizers.at(golden.at("normalizer")), text);
    ASSERT_EQ(result.text(), golden.at("normalized").get<std::string>()) << lines[i];
    const OffsetConverter convert(text, OffsetUnit::code_point);
    std::vector<std::size_t> offsets;
    for (std::size_t at = 0; at < result.text().size();) {
      const std::size_t size = utf8::decode(result.text(), at).size;
      const Span origin = result.origin(at, at + size);
      offsets.push_back(convert(origin.start));
      offsets.push_back(convert(origin.end));
      at += size;
    }
    ASSERT_EQ(offsets, golden.at("offsets").get<std::vector<std::size_t>>()) << lines[i];
  }
}

TEST(StepNormalizer, CountsOriginsFromTheBase) {
  const NormalizedText result = normalized({{Kind::nfc, {}, {}}, {Kind::lowercase, {}, {}}}, "E\u0301", 100);
  EXPECT_EQ(result.text(), "\u00e9");
  EXPECT_EQ(result.origin(0, 2), (Span{100, 101}));
}

TEST(StepNormalizer, FindsAPatternThatOverlapsWithItself) {
  EXPECT_EQ(normalized({replace("aab", "x")}, "aaab aabaab").text(), "ax xx");
  EXPECT_EQ(normalized({replace("aa", "b")}, "aaaaa").text(), "bba");
  EXPECT_EQ(normalized({replace("abab", "-")}, "abaabab").text(), "aba-");
}

TEST(StepNormalizer, ReplacesAPatternBetweenCharactersOfNoWord) {
  const NormalizerStep needed = {Kind::replace_apart, "url", " U ", 0, false};
  const NormalizerStep optional = {Kind::replace_apart, "@u", "!", 0, true};
  EXPECT_EQ(normalized({needed}, "url, url. curl urls -url- url").text(), "url, U  curl urls  U  url");
  EXPECT_EQ(normalized({needed}, " url url url ").text(), " U url U ");  // what is behind it is taken, too
  EXPECT_EQ(normalized({optional}, "@u @u x@u_ x@u-").text(), "!!x@u_ x!");
  EXPECT_EQ(normalized({optional}, "@u@u ").text(), "!u ");
  EXPECT_EQ(normalized({optional}, "@u").text(), "@u");
  EXPECT_EQ(normalized({needed}, "\u00b2url\u200durl_url ").text(),
            "\u00b2url\u200durl_url ");  // a number, a joiner...
  EXPECT_EQ(normalized({needed}, "\u200durl\u200d").text(), " U ");
  const NormalizedText result = normalized({needed}, "a\u2014url\u2014b");
  EXPECT_EQ(result.text(), "a U b");
  EXPECT_EQ(result.origin(1, 4), (Span{7, 10}));  // of the last character that is replaced
  EXPECT_EQ(result.origin(4, 5), (Span{10, 11}));
}

TEST(StepNormalizer, SortsLongRunsOfMarksWithoutMixingThoseOfOneClass) {
  std::string text = "a", low, high;
  for (int i = 0; i < 3000; ++i) {
    const std::string_view mark = i % 3 == 0 ? "\u0323" : i % 3 == 1 ? "\u0301" : "\u0300";
    text += mark;
    (i % 3 == 0 ? low : high) += mark;
  }
  EXPECT_EQ(normalized({{Kind::nfd, {}, {}}}, text).text(), "a" + low + high);
}

TEST(StepNormalizer, RefusesAReplacementOfNothing) {
  expect_error(ErrorCode::vocabulary, {"no pattern"}, [] { StepNormalizer(std::vector{replace("", "x")}); });
  expect_error(ErrorCode::vocabulary, {"no pattern"}, [] {
    StepNormalizer(std::vector{NormalizerStep{Kind::replace_apart, "", "x"}});
  });
  expect_error(ErrorCode::input, {"tokenizer.normalizer", "0xff"},
               [] { StepNormalizer(std::vector{replace("\xff", "x")}); });
}

TEST(StepNormalizer, StandsInPlaceOfTheNormaliserOfEitherKind) {
  const auto tokens = with_special({"e", "E", "\u00e9", "x"});
  TokenizerConfig bert = bert_config(tokens.size());
  bert.normalizer = {{Kind::nfc, {}, {}}, replace("q", "x ")};
  const Encoding encoding = make_tokenizer(tokens, bert).encode("E\u0301 e\u0301qqE", {.add_special_tokens = false});
  EXPECT_EQ(encoding.ids, (std::vector<std::uint32_t>{1, 1, 8, 6}));
  EXPECT_EQ(encoding.offsets, (std::vector<Span>{{0, 1}, {4, 8}, {8, 9}, {9, 10}}));

  const auto bytes = with_bytes({"\u00c3\u00a9"});
  TokenizerConfig roberta = roberta_config(static_cast<std::uint32_t>(bytes.size()));
  const std::vector<std::uint32_t> merges = {4 + 0xC3, 4 + 0xA9};
  roberta.model = ByteBpeOptions{.add_prefix_space = false, .trim_offsets = true, .num_merges = 1};
  roberta.normalizer = {{Kind::nfc, {}, {}}};
  roberta.added_tokens.push_back({300, "x\u00e9", false, false, false, true, false});
  const Tokenizer byte_bpe = make_tokenizer(bytes, roberta, merges);
  const Encoding composed = byte_bpe.encode("ae\u0301 xe\u0301", {.add_special_tokens = false});
  EXPECT_EQ(composed.ids, (std::vector<std::uint32_t>{4 + 'a', 260, 4 + ' ', 300}));
  EXPECT_EQ(composed.offsets, (std::vector<Span>{{0, 1}, {1, 2}, {5, 5}, {5, 7}}));
}

}  // namespace
