// BPE over characters: merges, characters without a token, and what contradicts itself.

#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/bpe.hpp>
#include <bertha/tokenizer/bpe_tokenizer.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;
using Strings = std::vector<std::string>;

/// <unk> a b ab c abc, bytes of U+00E9, and a token that no merge makes.
const Strings kTokens = {"<unk>", "a", "b", "ab", "c", "abc", "<0xC3>", "<0xA9>", "bca"};
const std::vector<std::uint32_t> kMerges = {1, 2, 3, 4};

/// The tokens of a word with their bytes.
std::string encoded(std::string_view word, const BpeOptions& options, const Strings& tokens = kTokens) {
  const VocabularyData data(tokens);
  const Bpe bpe(options, data.vocabulary(), kMerges, 0);
  Bpe::Scratch scratch;
  std::string result;
  bpe(word, scratch, [&](std::uint32_t id, std::size_t begin, std::size_t end) {
    result += tokens[id] + " " + std::to_string(begin) + "-" + std::to_string(end) + " ";
  });
  return result;
}

TEST(Bpe, MergesTheLowestRankFirst) {
  EXPECT_EQ(encoded("", {}), "");
  EXPECT_EQ(encoded("abcab", {}), "abc 0-3 ab 3-5 ");
  EXPECT_EQ(encoded("cabbca", {}), "c 0-1 ab 1-3 b 3-4 c 4-5 a 5-6 ");
  std::string word, expected;  // longer than what is merged without a queue
  for (int i = 0; i < 30; ++i) {
    word += "abc";
    expected += "abc " + std::to_string(3 * i) + "-" + std::to_string(3 * i + 3) + " ";
  }
  EXPECT_EQ(encoded(word, {}), expected);
}

TEST(Bpe, LeavesMergesAsideForAWordThatIsAToken) {
  EXPECT_EQ(encoded("bca", {}), "b 0-1 c 1-2 a 2-3 ");
  EXPECT_EQ(encoded("bca", {.ignore_merges = true}), "bca 0-3 ");
  EXPECT_EQ(encoded("bcaa", {.ignore_merges = true}), "b 0-1 c 1-2 a 2-3 a 3-4 ");
}

TEST(Bpe, TakesTheUnknownTokenForCharactersWithoutOne) {
  EXPECT_EQ(encoded("ax\u4e2db", {}), "a 0-1 <unk> 1-2 <unk> 2-5 b 5-6 ");
  EXPECT_EQ(encoded("ax\u4e2db", {.fuse_unknown = true}), "a 0-1 <unk> 1-5 b 5-6 ");
  EXPECT_EQ(encoded("x", {.fuse_unknown = true}), "<unk> 0-1 ");
}

TEST(Bpe, LeavesNothingOfCharactersThatAreDropped) {
  EXPECT_EQ(encoded("x\u4e2d", {.drop_unknown = true}), "");
  EXPECT_EQ(encoded("ax\u4e2dbc", {.drop_unknown = true}), "abc 0-3 ");  // neighbours now, and so are their bytes
}

TEST(Bpe, TakesBytesWhereTheVocabularyHasThem) {
  EXPECT_EQ(encoded("a\u00e9", {.byte_fallback = true}), "a 0-1 <0xC3> 1-2 <0xA9> 2-3 ");
  EXPECT_EQ(encoded("\u00e8a", {.byte_fallback = true}), "<unk> 0-2 a 2-3 ");
  EXPECT_EQ(encoded("x\u00e9ya", {.byte_fallback = true, .fuse_unknown = true}),
            "<0xC3> 0-1 <0xA9> 1-2 <unk> 2-4 a 4-5 ");  // what is unknown waits for a neighbour, as in tokenizers
}

/// Where a word may be cut, of a tokenizer with these merges.
std::string cuts(const BpeOptions& options, const Strings& tokens, const std::vector<std::uint32_t>& merges) {
  const VocabularyData data(tokens);
  const Bpe bpe(options, data.vocabulary(), merges, 0);
  const std::string_view word = "a\u2581b\u2581\u2581a\u2582x\u2581";
  std::string result;
  for (std::size_t begin = 0, end; begin < word.size(); begin = end) {
    end = bpe.end_of_part(word, begin);
    result += std::string(word.substr(begin, end - begin)) + " ";
  }
  return result;
}

TEST(Bpe, CutsWordsBeforeMarksThatNoMergeReaches) {
  const Strings tokens = {"<unk>",  "\u2581",       "a",          "b", "\u2581b", "b\u2581", "a\u2581b", "\u2581\u2581",
                          "<0xE2>", "<0xE2>\u2581", "<unk>\u2581"};
  const std::string everywhere = "a \u2581b \u2581 \u2581a\u2582x \u2581 ",
                    nowhere = "a\u2581b\u2581\u2581a\u2582x\u2581 ";
  EXPECT_EQ(cuts({}, tokens, {1, 3}), everywhere);
  EXPECT_EQ(cuts({}, tokens, {3, 1}), "a \u2581b\u2581 \u2581a\u2582x \u2581 ");
  EXPECT_EQ(cuts({}, tokens, {1, 3, 2, 4}), "a\u2581b \u2581 \u2581a\u2582x \u2581 ");
  EXPECT_EQ(cuts({}, tokens, {1, 1}), "a \u2581b \u2581\u2581a\u2582x \u2581 ");
  EXPECT_EQ(cuts({}, tokens, {8, 1}), nowhere);  // of a byte, which the word has something else for
  EXPECT_EQ(cuts({}, tokens, {0, 1}), nowhere);  // of what is unknown
  EXPECT_EQ(cuts({.drop_unknown = true}, tokens, {1, 3}), nowhere);
  EXPECT_EQ(cuts({.ignore_merges = true}, tokens, {1, 3}), nowhere);
  EXPECT_EQ(cuts({}, {"<unk>", "a"}, {}), nowhere);
}

TEST(BpeTokenizer, GivesTheSameTokensWhicheverWordsItHasSeen) {
  const Strings tokens = {"<unk>", "\u2581", "a", "b", "\u2581a", "\u2581ab", "b\u2581", "<0xC3>", "<0xA9>"};
  const VocabularyData data(tokens);
  const std::vector<std::uint32_t> merges[] = {{1, 2, 4, 3}, {1, 2, 4, 3, 3, 1}};
  std::mt19937 random(1);
  for (const BpeOptions& options : {BpeOptions{.byte_fallback = true, .fuse_unknown = true}, BpeOptions{.split = false},
                                    BpeOptions{.whitespace_split = true}, BpeOptions{.drop_unknown = true}}) {
    for (const auto& its : merges) {
      const BpeTokenizer seen(options, data.vocabulary(), its, 0, StepNormalizer({}));
      const auto run = [&](const BpeTokenizer& tokenizer, std::string_view text) {
        const Stop never;
        BpeTokenizer::Run its_run(tokenizer, text, never);
        its_run.append_raw(0, text.size());
        return its_run.tokens();
      };
      for (int i = 0; i < 500; ++i) {
        std::string text;
        for (std::size_t n = random() % 12; n > 0; --n) {
          constexpr const char* kParts[] = {"a", "b", " ", "ab", " ab", "\u2581", "\u00e9", "x"};
          text += kParts[random() % 8];
        }
        const BpeTokenizer fresh(options, data.vocabulary(), its, 0, StepNormalizer({}));
        const TokenSequence known = run(seen, text), expected = run(fresh, text);
        ASSERT_EQ(known.ids, expected.ids) << text;
        ASSERT_EQ(known.offsets, expected.offsets) << text;
        ASSERT_EQ(known.words, expected.words) << text;
      }
    }
  }
}

TEST(Bpe, RefusesVocabulariesAndMergesThatContradictEachOther) {
  const VocabularyData data(kTokens);
  const auto make = [&](const BpeOptions& options, const std::vector<std::uint32_t>& merges, std::uint32_t unknown) {
    Bpe(options, data.vocabulary(), merges, unknown);
  };
  EXPECT_NO_THROW(make({}, kMerges, 0));
  expect_error(ErrorCode::vocabulary, {"unk_token_id is 9", "9 that there are"}, [&] { make({}, kMerges, 9); });
  EXPECT_NO_THROW(make({.drop_unknown = true}, kMerges, 9));
  expect_error(ErrorCode::vocabulary, {"merge 1", "to a string that is no token"}, [&] { make({}, {1, 2, 2, 1}, 0); });
  expect_error(ErrorCode::vocabulary, {"merge 0", "ids 1 and 99"}, [&] { make({}, {1, 99}, 0); });
  expect_error(ErrorCode::vocabulary, {"merge 1", "the pair of merge 0"}, [&] { make({}, {1, 2, 1, 2}, 0); });
}

TEST(Bpe, RefusesOrRunsDamagedTensors) {
  std::size_t refused = 0, ran = 0;
  const auto try_with = [&](const VocabularyData& data, const std::vector<std::uint32_t>& merges) {
    try {
      const Bpe bpe({.byte_fallback = true}, data.vocabulary(), merges, 0);
      Bpe::Scratch scratch;
      std::size_t end = 0;
      bpe("abcab\u00e9\u4e2dx", scratch, [&](std::uint32_t id, std::size_t begin, std::size_t to) {
        EXPECT_LT(id, kTokens.size());
        EXPECT_EQ(begin, end);
        end = to;
      });
      EXPECT_EQ(end, 11u);
      ++ran;
    } catch (const Error& error) {
      EXPECT_EQ(name(error.code()), "vocabulary") << error.what();
      ++refused;
    }
  };
  const VocabularyData good(kTokens);
  for (const std::uint32_t mask : {1u, 2u, 8u, 0x100u, 0x80000000u, 0xFFFFFFFFu}) {
    for (std::size_t i = 0; i < kMerges.size(); ++i) {
      auto merges = kMerges;
      merges[i] ^= mask;
      try_with(good, merges);
    }
    for (std::size_t i = 0; i < good.offsets.size(); ++i) {
      VocabularyData bad = good;
      bad.offsets[i] ^= mask;
      try_with(bad, kMerges);
    }
  }
  for (std::size_t i = 0; i < good.text.size(); ++i) {
    for (const char byte : {'a', '\xff', '\0', '<'}) {
      VocabularyData bad = good;
      bad.text[i] = byte;
      try_with(bad, kMerges);
    }
  }
  EXPECT_GT(refused, 50u);
  EXPECT_GT(ran, 20u);
}

TEST(ByteName, NamesBytesAndFindsThemInNames) {
  EXPECT_EQ(std::string_view(ByteName(0x0A)), "<0x0A>");
  EXPECT_EQ(ByteName::byte_of("<0x41>"), 'A');
  EXPECT_EQ(ByteName::byte_of("<0xfe>"), '\xFE');
  EXPECT_EQ(ByteName::byte_of("<0x+A>"), '\n');  // as tokenizers has it
  for (const char* other :
       {"<0x-1>", "<0x++>", "<0xA+>", "<0x4>", "<0x410>", "<0xG1>", "<0x 1>", "0x41>>", "<0x41<", ""})
    EXPECT_EQ(ByteName::byte_of(other), std::nullopt) << other;
}

TEST(BpeTokenizer, DecodesBytesToTextOrToReplacements) {
  const VocabularyData data(kTokens);
  const BpeTokenizer bytes({.prepend_scheme = PrependScheme::never, .byte_fallback = true}, data.vocabulary(), kMerges,
                           0, StepNormalizer({}));
  const auto decode = [&](std::vector<std::string_view> tokens) { return bytes.decode(tokens); };
  EXPECT_EQ(decode({"\u2581a", "\u2581", "b"}), " a b");
  EXPECT_EQ(decode({"a", "<0xC3>", "<0xA9>", "b"}), "a\u00e9b");
  EXPECT_EQ(decode({"<0xC3>", "b", "<0xA9>", "<0xC3>", "<0xA9>"}), "\ufffdb\ufffd\ufffd\ufffd");
  const BpeTokenizer marks({}, data.vocabulary(), kMerges, 0, StepNormalizer({}));
  EXPECT_EQ(marks.decode(std::vector<std::string_view>{"\u2581a", "\u2581b", "<0xC3>"}), "a b<0xC3>");
}

}  // namespace
