#include <gtest/gtest.h>

#include "../../support/cpu_seconds.hpp"
#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/tokenizer.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

using Spans = std::vector<Span>;

constexpr std::uint32_t kA = 4 + 'a', kB = 4 + 'b', kSpace = 4 + ' ';

/// Tokens for all bytes, " a", two spaces, and U+00E9 with the space before it.
Tokenizer tokenizer(bool add_prefix_space, bool trim_offsets) {
  const auto tokens = with_bytes({"\u0120a", "\u0120\u0120", "\u0120\u00c3", "\u0120\u00c3\u00a9"});
  const std::uint32_t space_c3 = 4 + 256 + 2;
  const std::vector<std::uint32_t> merges = {kSpace, kA, kSpace, kSpace, kSpace, 4 + 0xC3, space_c3, 4 + 0xA9};
  auto config = roberta_config(static_cast<std::uint32_t>(tokens.size()));
  config.model = ByteBpeOptions{
      .add_prefix_space = add_prefix_space, .trim_offsets = trim_offsets, .num_merges = merges.size() / 2};
  return make_tokenizer(tokens, config, merges);
}

Spans offsets(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, {.add_special_tokens = false}).offsets;
}

TEST(ByteBpeTokenizer, TrimsSpacesOffOffsetsIfToldTo) {
  EXPECT_EQ(offsets(tokenizer(false, false), "a a   b"), (Spans{{0, 1}, {1, 3}, {3, 5}, {5, 6}, {6, 7}}));
  EXPECT_EQ(offsets(tokenizer(false, true), "a a   b"), (Spans{{0, 1}, {2, 3}, {5, 5}, {6, 6}, {6, 7}}));
}

/// Tokens for all bytes, and one added that is a space, or two letters, and takes the white space behind it.
Tokenizer with_added(const char* content, bool takes_space, ByteBpeOptions options) {
  const auto tokens = with_bytes({"\u0120a"});
  const std::vector<std::uint32_t> merges = {kSpace, kA};
  auto config = roberta_config(static_cast<std::uint32_t>(tokens.size()));
  options.num_merges = 1;
  config.model = options;
  config.added_tokens.push_back({300, content, false, false, takes_space, false, false});
  return make_tokenizer(tokens, config, merges);
}

TEST(ByteBpeTokenizer, TrimsAddedTokensThatAreWhiteSpaceAndTakeMoreOfIt) {
  const auto spaces = [](bool add_prefix_space, bool trim_offsets, const char* content, std::string_view text) {
    return offsets(with_added(content, true, {add_prefix_space, trim_offsets, 1}), text);
  };
  // As tokenizers 0.23.3 has them.
  EXPECT_EQ(spaces(false, false, " ", "a   b"), (Spans{{0, 1}, {1, 4}, {2, 4}, {3, 4}, {4, 5}}));
  EXPECT_EQ(spaces(false, true, " ", "a   b"), (Spans{{0, 1}, {4, 4}, {4, 4}, {4, 4}, {4, 5}}));
  EXPECT_EQ(spaces(true, false, " ", "a   b"), (Spans{{0, 1}, {1, 4}, {2, 4}, {3, 4}, {4, 5}, {4, 5}}));
  EXPECT_EQ(spaces(true, true, " ", "a   b"), (Spans{{0, 1}, {4, 4}, {4, 4}, {4, 4}, {5, 5}, {4, 5}}));
  EXPECT_EQ(spaces(false, false, " ", " "), (Spans{{0, 1}}));
  EXPECT_EQ(spaces(false, true, " ", " "), (Spans{{1, 1}}));
  EXPECT_EQ(spaces(true, false, " ", " "), (Spans{{0, 1}}));
  EXPECT_EQ(spaces(true, true, " ", " "), (Spans{{0, 0}}));
  EXPECT_EQ(spaces(false, false, " ", "a \u3000 b"), (Spans{{0, 1}, {1, 6}, {5, 6}, {6, 7}}));
  EXPECT_EQ(spaces(false, true, " ", "a \u3000 b"), (Spans{{0, 1}, {6, 6}, {6, 6}, {6, 7}}));
  EXPECT_EQ(spaces(true, false, " ", "a \u3000 b"), (Spans{{0, 1}, {1, 6}, {5, 6}, {6, 7}, {6, 7}}));
  EXPECT_EQ(spaces(true, true, " ", "a \u3000 b"), (Spans{{0, 1}, {6, 6}, {6, 6}, {7, 7}, {6, 7}}));
  EXPECT_EQ(spaces(false, false, "xy", "xy   b"), (Spans{{0, 5}, {5, 6}}));
  EXPECT_EQ(spaces(false, true, "xy", "xy   b"), (Spans{{0, 2}, {5, 6}}));
  EXPECT_EQ(spaces(true, false, "xy", "xy   b"), (Spans{{0, 5}, {5, 6}, {5, 6}}));
  EXPECT_EQ(spaces(true, true, "xy", "xy   b"), (Spans{{0, 2}, {6, 6}, {5, 6}}));
  EXPECT_EQ(spaces(false, false, "\t", "\t \t  a"), (Spans{{0, 5}, {2, 5}, {5, 6}}));
  EXPECT_EQ(spaces(false, true, "\t", "\t \t  a"), (Spans{{5, 5}, {5, 5}, {5, 6}}));
  EXPECT_EQ(spaces(true, false, "\t", "\t \t  a"), (Spans{{0, 5}, {2, 5}, {5, 6}}));
  EXPECT_EQ(spaces(true, true, "\t", "\t \t  a"), (Spans{{5, 5}, {5, 5}, {6, 6}}));
  EXPECT_EQ(spaces(false, false, " ", "a <mask>  b"), (Spans{{0, 1}, {1, 2}, {2, 8}, {8, 10}, {9, 10}, {10, 11}}));
  EXPECT_EQ(spaces(false, true, " ", "a <mask>  b"), (Spans{{0, 1}, {2, 2}, {2, 8}, {10, 10}, {10, 10}, {10, 11}}));
  EXPECT_EQ(spaces(true, false, " ", "a <mask>  b"),
            (Spans{{0, 1}, {1, 2}, {2, 8}, {8, 10}, {9, 10}, {10, 11}, {10, 11}}));
  EXPECT_EQ(spaces(true, true, " ", "a <mask>  b"),
            (Spans{{0, 1}, {2, 2}, {2, 8}, {10, 10}, {10, 10}, {11, 11}, {10, 11}}));
  EXPECT_EQ(spaces(false, false, " \u3000", " \u3000 \u3000  a"), (Spans{{0, 10}, {4, 10}, {10, 11}}));
  EXPECT_EQ(spaces(false, true, " \u3000", " \u3000 \u3000  a"), (Spans{{10, 10}, {10, 10}, {10, 11}}));
  EXPECT_EQ(spaces(true, false, " \u3000", " \u3000 \u3000  a"), (Spans{{0, 10}, {4, 10}, {10, 11}}));
  EXPECT_EQ(spaces(true, true, " \u3000", " \u3000 \u3000  a"), (Spans{{10, 10}, {10, 10}, {11, 11}}));
  EXPECT_EQ(spaces(false, false, "x ", "x   x  a"), (Spans{{0, 4}, {4, 7}, {7, 8}}));
  EXPECT_EQ(spaces(false, true, "x ", "x   x  a"), (Spans{{0, 1}, {4, 5}, {7, 8}}));
  EXPECT_EQ(spaces(true, false, "x ", "x   x  a"), (Spans{{0, 4}, {4, 7}, {7, 8}}));
  EXPECT_EQ(spaces(true, true, "x ", "x   x  a"), (Spans{{0, 1}, {4, 5}, {8, 8}}));
}

TEST(ByteBpeTokenizer, NeedsNoSquareOfTheWhiteSpaceThatAddedTokensTake) {
  const std::string text(1 << 14, ' ');
  for (const bool trim_offsets : {false, true}) {
    const Tokenizer greedy = with_added(" ", true, {true, trim_offsets, 1});
    const Tokenizer modest = with_added(" ", false, {true, trim_offsets, 1});
    const double overlapping = cpu_seconds([&] { EXPECT_EQ(offsets(greedy, text).size(), text.size()); });
    const double alone = cpu_seconds([&] { EXPECT_EQ(offsets(modest, text).size(), text.size()); });
    EXPECT_LT(overlapping, 20 * alone) << "a square takes hundreds of times as long";
  }
}

TEST(ByteBpeTokenizer, GivesAPartOfACharacterTheWholeOfIt) {
  EXPECT_EQ(offsets(tokenizer(false, true), "a\u00e9"), (Spans{{0, 1}, {1, 3}, {1, 3}}));
  EXPECT_EQ(offsets(tokenizer(false, true), "\U0001F600"), (Spans{{0, 4}, {0, 4}, {0, 4}, {0, 4}}));
}

TEST(ByteBpeTokenizer, PutsASpaceBeforeEachPartOfAText) {
  const Tokenizer with_space = tokenizer(true, true);
  EXPECT_EQ(with_space.encode("a").ids, with_space.encode(" a").ids);
  EXPECT_EQ(offsets(with_space, "a"), (Spans{{0, 1}})) << "the space that is not there takes nothing off at the start";
  EXPECT_EQ(offsets(with_space, "\u00e9"), (Spans{{0, 2}}));
  EXPECT_EQ(offsets(with_space, " a"), (Spans{{0, 2}})) << "nor does one that is";
  EXPECT_EQ(offsets(with_space, "<s>a"), (Spans{{0, 3}, {4, 4}})) << "behind an added token it takes a character off";
  EXPECT_EQ(offsets(with_space, "<s>b"), (Spans{{0, 3}, {4, 4}, {3, 4}}));
  EXPECT_EQ(offsets(with_space, "b"), (Spans{{0, 0}, {0, 1}}));
  EXPECT_EQ(offsets(tokenizer(true, false), "b"), (Spans{{0, 1}, {0, 1}}));
}

TEST(ByteBpeTokenizer, TakesAWindowsFirstTokenForTheStartOfAText) {
  const Tokenizer with_space = tokenizer(true, true);
  const EncodeOptions options{.truncation = Truncation::only_first, .max_length = 4};
  const auto windows = with_space.encode_windows("a a a a", options);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[0].offsets, (Spans{{0, 0}, {0, 1}, {2, 3}, {0, 0}}));
  EXPECT_EQ(windows[1].offsets, (Spans{{0, 0}, {3, 5}, {6, 7}, {0, 0}}));
}

TEST(ByteBpeTokenizer, TrimsWhatAnAddedTokenTook) {
  const auto encoding = tokenizer(false, true).encode("a \u3000<mask> a", {.add_special_tokens = false});
  EXPECT_EQ(encoding.offsets, (Spans{{0, 1}, {5, 11}, {12, 13}}));
  EXPECT_EQ(encoding.words, (std::vector<std::uint32_t>{0, 1, 2}));
}

TEST(ByteBpeTokenizer, PutsTwoSeparatorsBetweenAPair) {
  const auto encoding = tokenizer(false, true).encode("a", "b");
  EXPECT_EQ(encoding.ids, (std::vector<std::uint32_t>{0, kA, 2, 2, kB, 2}));
  EXPECT_EQ(encoding.type_ids, std::vector<std::uint32_t>(6, 0));
  EXPECT_EQ(encoding.sequences[4], 1u);
}

TEST(ByteBpeTokenizer, ShowsTokensInTheByteAlphabetAndDecodesThem) {
  const Tokenizer tiny = tokenizer(false, true);
  const auto encoding = tiny.encode("a \u00e9");
  EXPECT_EQ(tiny.token(encoding.ids[2]), "\u0120\u00c3\u00a9");
  EXPECT_EQ(tiny.decode(encoding.ids, true), "a \u00e9");
  EXPECT_EQ(tiny.id("\u0120a"), 4u + 256);
  EXPECT_EQ(tiny.token(*tiny.id("<mask>")), "<mask>");
}

TEST(ByteBpeTokenizer, GivesOffsetsWithinTheTextForAnyBytes) {
  std::mt19937 random(11);
  const std::string alphabet[] = {"a", " ", "\n", "'s", "<s>", " <mask>", "\u00e9", "\U0001F600", "\u3000", "\xF0\x9F"};
  for (const bool space : {false, true}) {
    for (const bool trim : {false, true}) {
      const Tokenizer some = tokenizer(space, trim);
      for (int i = 0; i < 500; ++i) {
        std::string bytes;
        for (std::size_t n = random() % 20; n > 0; --n) {
          bytes += i % 2 == 0 ? std::string(1, static_cast<char>(random())) : alphabet[random() % 10];
        }
        const std::string text = replace_invalid_utf8(bytes);
        for (const Span span : offsets(some, text)) {
          ASSERT_LE(span.start, span.end) << text;
          ASSERT_LE(span.end, text.size()) << text;
          ASSERT_TRUE(span.start == text.size() || !utf8::is_continuation(text[span.start])) << text;
          ASSERT_TRUE(span.end == text.size() || !utf8::is_continuation(text[span.end])) << text;
        }
      }
    }
  }
}

TEST(ByteBpeTokenizer, LoadsFromAModelFileWithItsMerges) {
  TinyOptions tiny;
  tiny.kind = "tokenizer";
  tiny.vocabulary = with_bytes({"ab"});
  const auto load = [&](std::pair<std::uint32_t, std::uint32_t> merge) {
    auto model = ModelWriter::tiny(tiny);
    model.make_byte_bpe({merge});
    AlignedBytes bytes(model.bytes());
    WeightFile file = WeightFile::from_bytes(bytes.span());
    const Tokenizer loaded = Tokenizer::load(file);
    file.finish();
    return loaded.encode("aba", {.add_special_tokens = false}).ids;
  };
  EXPECT_EQ(load({kA, kB}), (std::vector<std::uint32_t>{4 + 256, kA}));
  expect_error(ErrorCode::vocabulary, {"tokenizer.merges", "merge 0", "16777216"}, [&] { load({1u << 24, kB}); });
}

TEST(ByteBpeTokenizer, IsRefusedWithoutAllOfItsMergesAsCharacterBpeIs) {
  TinyOptions tiny;
  tiny.kind = "tokenizer";
  tiny.vocabulary = with_bytes({"ab"});
  for (const bool of_bytes : {true, false}) {
    for (const auto& [count, expected] :
         {std::pair(8, ""), std::pair(9, "[32]"), std::pair(16, "[32]"), std::pair(17, "[48]")}) {
      auto model = ModelWriter::tiny(tiny);
      if (of_bytes)
        model.make_byte_bpe({{kA, kB}});
      else
        model.make_character_bpe({{kA, kB}});
      model.tokenizer["num_merges"] = count;
      AlignedBytes bytes(model.bytes());
      WeightFile file = WeightFile::from_bytes(bytes.span());
      if (*expected == 0)
        EXPECT_EQ(take_tokenizer_tensors(file).merges.size(), 16u);
      else
        expect_error(ErrorCode::shape, {"tokenizer.merges", expected, "[16]"}, [&] { Tokenizer::load(file); });
    }
  }
}

}  // namespace
