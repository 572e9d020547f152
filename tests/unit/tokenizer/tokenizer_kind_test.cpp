// What every kind of tokenizer does, beside what its own test says.

#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/text_tokenizer.hpp>
#include <bertha/tokenizer/tokenizer.hpp>
#include <concepts>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

static_assert(TokenizerKind<WordPieceTokenizer>);
static_assert(TokenizerKind<ByteBpeTokenizer>);
static_assert(TokenizerKind<UnigramTokenizer>);
static_assert(TokenizerKind<BpeTokenizer>);
static_assert(TokenizerKind<OtherKind> && std::copy_constructible<OtherKind>);
static_assert(!TokenizerKind<WordPiece> && !TokenizerKind<Unigram> && !TokenizerKind<TextTokenizer>);

const VocabularyData& words() {
  static const VocabularyData data(with_special({"a", "\u00e9"}));
  return data;
}
const VocabularyData& bytes() {
  static const VocabularyData data(with_bytes({}));
  return data;
}
const std::vector<NormalizerStep> kSteps = {{NormalizerStep::Kind::nfc, {}, {}}};

WordPieceTokenizer word_piece(const std::vector<NormalizerStep>& steps = {}) {
  return {WordPieceOptions{}, words().strings(), 1, StepNormalizer(steps)};
}
ByteBpeTokenizer byte_bpe(const std::vector<NormalizerStep>& steps = {}) {
  return {ByteBpeOptions{}, bytes().vocabulary(), {}, 3, StepNormalizer(steps)};
}
UnigramTokenizer unigram(const std::vector<NormalizerStep>& steps = {}) {
  static const UnigramData data({{"<unk>", 0}, {"\u2581", -2}, {"\u2581a", -3}, {"a", -4}, {"\u00e9", -5}});
  const TokenizerTensors its = data.tensors();
  return {UnigramOptions{}, {{its.text, its.offsets}, {its.trie, "trie"}, its.scores, 0, false}, StepNormalizer(steps)};
}

BpeTokenizer bpe(const std::vector<NormalizerStep>& steps = {}) {
  static const VocabularyData data({"<unk>", "\u2581", "a", "\u2581a", "\u00e9"});
  static const std::vector<std::uint32_t> merges = {1, 2};
  return {BpeOptions{}, data.vocabulary(), merges, 0, StepNormalizer(steps)};
}

template <TokenizerKind Kind>
void expect_stops(const Kind& kind) {
  std::stop_source source;
  const Stop stop(source.get_token(), {});
  source.request_stop();
  const auto append_raw = [&](const std::string& text) {
    typename Kind::Run run(kind, text, stop);
    run.append_raw(0, text.size());
  };
  const auto append_normalized = [&](const std::string& text) {
    NormalizedText part;
    kind.normalize(text, 0, part);
    typename Kind::Run run(kind, text, stop);
    run.append_normalized(part, 0, part.text().size());
  };
  std::string text;
  while (text.size() < 60000) text += "a ";
  EXPECT_NO_THROW(append_raw(text));
  EXPECT_NO_THROW(append_normalized(text));
  text += text;
  expect_error(ErrorCode::stopped, {"stop token"}, [&] { append_raw(text); });
  expect_error(ErrorCode::stopped, {"stop token"}, [&] { append_normalized(text); });
}

TEST(TokenizerKind, LooksAtTheStopWithinALongText) {
  expect_stops(word_piece());
  expect_stops(word_piece(kSteps));
  expect_stops(byte_bpe());
  expect_stops(byte_bpe(kSteps));
  expect_stops(unigram());
  expect_stops(unigram(kSteps));
  expect_stops(bpe());
  expect_stops(bpe(kSteps));
  expect_stops(OtherKind(word_piece()));
  expect_stops(OtherKind(byte_bpe(kSteps)));
}

template <TokenizerKind Kind>
void expect_parts_in_any_order(const Kind& kind) {
  const std::string text = "a \u00e9<t>a";
  NormalizedText first, second;
  kind.normalize(std::string_view(text).substr(0, 4), 0, first);
  kind.normalize(std::string_view(text).substr(7), 7, second);  // before the first one's tokens are asked for
  const Stop never;
  typename Kind::Run run(kind, text, never);
  run.append_normalized(first, 0, first.text().size());
  run.append_added_token(77, {4, 7});
  run.append_normalized(second, 0, second.text().size());
  typename Kind::Run raw(kind, text, never);
  raw.append_raw(0, 4);
  raw.append_added_token(77, {4, 7});
  raw.append_raw(7, 8);
  EXPECT_EQ(run.tokens().ids, raw.tokens().ids);
  EXPECT_EQ(run.tokens().offsets, raw.tokens().offsets);
  EXPECT_EQ(run.tokens().words, raw.tokens().words);
  EXPECT_EQ(run.tokens().offsets.back(), (Span{7, 8}));
  EXPECT_EQ(run.tokens().words.back(), 3u);
}

TEST(TokenizerKind, NeedsNoOrderOfNormalisingAndAppending) {
  expect_parts_in_any_order(word_piece());
  expect_parts_in_any_order(word_piece(kSteps));
  expect_parts_in_any_order(byte_bpe());
  expect_parts_in_any_order(byte_bpe(kSteps));
  expect_parts_in_any_order(unigram());
  expect_parts_in_any_order(unigram(kSteps));
  expect_parts_in_any_order(bpe());
  expect_parts_in_any_order(bpe(kSteps));
  expect_parts_in_any_order(OtherKind(word_piece()));
  expect_parts_in_any_order(OtherKind(byte_bpe(kSteps)));
}

// Lines of one thing, of words, and of bytes by chance: each token is within the text, begins no earlier than the one
// before, and of the last the end is told.
template <TokenizerKind Kind>
void expect_long_lines(const Kind& kind) {
  const std::size_t size = std::getenv("BERTHA_FULL") ? 50000000 : 200000;
  std::mt19937 random(1);
  const Stop never;
  for (const std::string_view unit : {"a", "\u0301", "a \u00e9 ", " ", "\u2581", "\u0130", "\ufffd", "NUL", "ASCII"}) {
    std::string text;
    if (unit == "NUL" || unit == "ASCII") {
      text.resize(size);
      if (unit == "ASCII") {
        for (char& byte : text) byte = static_cast<char>(random() & 0x7F);
      }
    }
    while (text.size() < size) text += unit;
    typename Kind::Run run(kind, text, never);
    run.append_raw(0, text.size());
    const TokenSequence& tokens = run.tokens();
    std::uint32_t before = 0;
    bool in_order = tokens.words.size() == tokens.size() && tokens.offsets.size() == tokens.size();
    for (const Span span : tokens.offsets) {
      in_order = in_order && before <= span.start && span.start <= span.end && span.end <= text.size();
      before = span.start;
    }
    EXPECT_TRUE(in_order) << unit;
    if (unit == "a") {
      EXPECT_EQ(tokens.offsets.back().end, text.size());
    } else if (unit == "a \u00e9 ") {  // a space at the end may be a word
      EXPECT_EQ((tokens.words.back() + 1) / 2, text.size() / unit.size());
    }
  }
}

TEST(TokenizerKind, TakesALineOfFiftyMegabytes) {
  expect_long_lines(word_piece());
  expect_long_lines(word_piece(kSteps));
  expect_long_lines(byte_bpe());
  expect_long_lines(unigram());
  expect_long_lines(unigram(kSteps));
  expect_long_lines(bpe());
}

TEST(TokenizerKind, OfAnotherLibraryMakesATokenizer) {
  const auto own = make_tokenizer({"a", "\u00e9"});
  const Tokenizer other(own.special_tokens(), word_piece());
  const Tokenizer copy = other;
  EncodeOptions options;
  options.truncation = Truncation::longest_first;
  options.max_length = 5;
  const std::string text = "a \u00e9[MASK]a b \u00e9", pair = "[SEP] a";
  const auto expected = own.encode_windows(text, pair, options), found = copy.encode_windows(text, pair, options);
  ASSERT_EQ(found.size(), expected.size());
  EXPECT_GT(found.size(), 4u);
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].ids, expected[i].ids);
    EXPECT_EQ(found[i].offsets, expected[i].offsets);
    EXPECT_EQ(found[i].words, expected[i].words);
    EXPECT_EQ(found[i].special, expected[i].special);
    EXPECT_EQ(found[i].n_unknown, expected[i].n_unknown);
  }
  EXPECT_EQ(other.size(), own.size());
  EXPECT_EQ(other.token(5), "a");
  EXPECT_EQ(other.id("\u00e9"), 6u);
  EXPECT_EQ(other.decode(own.encode("a b").ids, false), "[CLS] a [UNK] [SEP]");

  SpecialTokens wrong = own.special_tokens();
  wrong.cls_token_id = 7;
  expect_error(ErrorCode::vocabulary, {"cls_token_id is 7", "less than 7"}, [&] { Tokenizer(wrong, word_piece()); });
  wrong = own.special_tokens();
  wrong.added_tokens[4].id = 5;
  expect_error(ErrorCode::vocabulary, {"added token 5", "\"a\""}, [&] { Tokenizer(wrong, word_piece()); });
}

/// A kind that notes how many tokens of each text it is asked for.
struct NotesLimits {
  const StoredStrings& strings() const { return its.strings(); }
  std::optional<std::uint32_t> find(std::string_view token) const { return its.find(token); }
  void normalize(std::string_view text, std::uint32_t base, NormalizedText& out) const {
    its.normalize(text, base, out);
  }
  std::string decode(std::span<const std::string_view> tokens) const { return its.decode(tokens); }
  struct Run : WordPieceTokenizer::Run {
    Run(const NotesLimits& kind, std::string_view text, const Stop& stop)
        : WordPieceTokenizer::Run(kind.its, text, stop), limits(*kind.limits) {}
    void append_raw(std::size_t from, std::size_t to) {
      limits.push_back(tokens().limit);
      WordPieceTokenizer::Run::append_raw(from, to);
    }
    std::vector<std::size_t>& limits;
  };
  WordPieceTokenizer its = word_piece();
  std::shared_ptr<std::vector<std::size_t>> limits = std::make_shared<std::vector<std::size_t>>();
};

TEST(TokenizerKind, IsAskedForNoMoreTokensThanMatter) {
  NotesLimits kind;
  auto& limits = *kind.limits;
  const Tokenizer tokenizer(make_tokenizer({"a", "\u00e9"}).special_tokens(), std::move(kind));
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  const std::string few = "a a", many(999, '!');
  const auto expect_limits = [&](const std::string& a, const std::string& b, Truncation truncation, std::size_t room,
                                 const std::vector<std::size_t>& expected) {
    EncodeOptions options;
    options.truncation = truncation;
    options.max_length = room + 3;
    limits.clear();
    const Encoding encoding = tokenizer.encode(a, b, options);
    EXPECT_EQ(limits, expected);
    const Encoding window = tokenizer.encode_windows(a, b, options)[0];
    EXPECT_EQ(encoding.ids, window.ids);
    EXPECT_EQ(encoding.offsets, window.offsets);
    EXPECT_TRUE(encoding.truncated);
  };
  expect_limits(few, many, Truncation::longest_first, 7, {8, 8});
  expect_limits(many, few, Truncation::longest_first, 7, {8, 8});
  expect_limits(many, many, Truncation::longest_first, 8, {9, 9});
  expect_limits(many, many + "!", Truncation::longest_first, 7, {8, 8, kAll, kAll});  // the longer has one token more
  expect_limits(few, many, Truncation::only_second, 7, {8, 8});
  expect_limits(many, few, Truncation::only_first, 7, {8, 8});
  EncodeOptions options;
  options.truncation = Truncation::only_second;
  options.max_length = 10;
  expect_error(ErrorCode::input, {"1 tokens", "993 would"}, [&] { tokenizer.encode(many, "a", options); });
}

}  // namespace
