// SentencePiece's library as a tokenizer: ids of families, ranges, words, special tokens, and what is refused.

#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/sentencepiece_writer.hpp"

#include <bertha/bertha.hpp>
#include <bertha/sentencepiece.hpp>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;
using Writer = SentencePieceWriter;
using Ids = std::vector<std::uint32_t>;
using Strings = std::vector<std::string>;

static_assert(TokenizerKind<SentencePieceKind>);

std::span<const std::byte> span_of(const std::string& bytes) { return std::as_bytes(std::span(bytes)); }

SentencePieceTokenizer make(const Writer& writer, const SentencePieceFamily& family = {}) {
  return SentencePieceTokenizer::load(span_of(writer.bytes()), family);
}

/// Pieces 3 to 12.
Writer small() {
  return Writer::plain({{"\u2581", -2},
                        {"\u2581the", -3},
                        {"\u2581cat", -4},
                        {"s", -5},
                        {"c", -6},
                        {"a", -6},
                        {"t", -6},
                        {"fi", -6},
                        {"f", -9},
                        {"i", -9}});
}

/// What the tokens of a text stand for, "|" between them.
std::string ranges(const Tokenizer& tokenizer, const std::string& text) {
  std::string result;
  for (const Span span : tokenizer.encode(text, {.add_special_tokens = false}).offsets)
    result += text.substr(span.start, span.end - span.start) + "|";
  return result;
}

Strings tokens(const Tokenizer& tokenizer, const Encoding& encoding) {
  Strings result;
  for (const std::uint32_t id : encoding.ids) result.emplace_back(tokenizer.token(id));
  return result;
}

TEST(SentencePiece, KeepsTheModelsIdsAndSpecialTokensUnlessAFamilySaysOtherwise) {
  const auto tokenizer = make(small());
  const Encoding encoding = tokenizer.encode("the cats");
  EXPECT_EQ(encoding.ids, (Ids{1, 4, 5, 6, 2}));
  EXPECT_EQ(tokens(tokenizer, encoding), (Strings{"<s>", "\u2581the", "\u2581cat", "s", "</s>"}));
  EXPECT_EQ(encoding.words, (Ids{Encoding::kNone, 0, 1, 1, Encoding::kNone}));
  EXPECT_EQ(encoding.offsets, (std::vector<Span>{{0, 0}, {0, 3}, {4, 7}, {7, 8}, {0, 0}}));
  EXPECT_EQ(encoding.special, (std::vector<std::uint8_t>{1, 0, 0, 0, 1}));
  EXPECT_EQ(tokenizer.decode(encoding.ids, true), "the cats");
  EXPECT_EQ(tokenizer.encode("the", "cat").ids, (Ids{1, 4, 2, 5, 2}));
}

TEST(SentencePiece, NumbersPiecesAsEachFamilyDoes) {
  const auto xlm_roberta = make(small(), SentencePieceFamily::xlm_roberta());
  EXPECT_EQ(xlm_roberta.encode("the cats", "a").ids, (Ids{0, 5, 6, 7, 2, 2, 4, 9, 2}));
  EXPECT_EQ(xlm_roberta.size(), 15u);
  EXPECT_EQ(xlm_roberta.id("<mask>"), 14u);
  EXPECT_EQ(xlm_roberta.id("<pad>"), 1u);
  EXPECT_EQ(xlm_roberta.id("\u2581the"), 5u);
  EXPECT_EQ(xlm_roberta.id("nothing"), std::nullopt);
  EXPECT_EQ(xlm_roberta.encode("q").ids, (Ids{0, 4, 3, 2}));
  EXPECT_EQ(xlm_roberta.encode("q").n_unknown, 1u);

  const auto camembert = make(small(), SentencePieceFamily::camembert());
  EXPECT_EQ(camembert.encode("the cats", "a").ids, (Ids{5, 8, 9, 10, 6, 6, 7, 12, 6}));
  EXPECT_EQ(camembert.id("<mask>"), 17u);
  EXPECT_EQ(camembert.encode("q").ids, (Ids{5, 7, 3, 6}));

  Writer writer = small();
  writer.pieces[1].text = "[CLS]";
  writer.pieces[2].text = "[SEP]";
  writer.pieces.push_back({"<pad>", 0, Writer::control});
  writer.pieces.push_back({"[MASK]", 0, Writer::control});
  const auto albert = make(writer, SentencePieceFamily::albert());
  const Encoding pair = albert.encode("The C\u00c2ts", "a [MASK]");
  EXPECT_EQ(pair.ids, (Ids{1, 4, 5, 6, 2, 3, 8, 14, 2}));
  EXPECT_EQ(pair.type_ids, (Ids{0, 0, 0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(pair.offsets[2], (Span{4, 8}));

  writer.pieces[0].text = "[UNK]";
  writer.pieces[13].text = "[PAD]";
  writer.pieces.pop_back();
  const auto deberta = make(writer, SentencePieceFamily::deberta_v2());
  EXPECT_EQ(deberta.encode("the", "a[MASK]").ids, (Ids{1, 4, 2, 3, 8, 14, 2}));
  EXPECT_EQ(deberta.encode("the", "a").type_ids, (Ids{0, 0, 0, 1, 1, 1}));
}

TEST(SentencePiece, EncodesExactlyAsTheLibrary) {
  Writer writer = small();
  writer.charsmap = {{"\t", " "}, {"\uff43", "c"}, {"\u00ad", ""}, {"e\u0301", "\u00e9"}};
  for (const unsigned model_type : {1u, 2u}) {
    writer.model_type = model_type;
    sentencepiece::SentencePieceProcessor processor;
    ASSERT_TRUE(processor.LoadFromSerializedProto(writer.bytes()).ok());
    const auto tokenizer = make(writer);
    for (const std::string text : {"", " ", "the cats", "  the\t cats  ", "\uff43at \u00adscats", "ccattss", "fififi",
                                   "x\u4e2d\u6587y", "\u2581the", "a\u2581\u2581b", "the<s>", "e\u0301e"}) {
      std::vector<int> expected;
      ASSERT_TRUE(processor.Encode(text, &expected).ok());
      const Encoding found = tokenizer.encode(text, {.add_special_tokens = false, .split_special_tokens = true});
      EXPECT_EQ(found.ids, Ids(expected.begin(), expected.end())) << text;
      for (const Span span : found.offsets) EXPECT_LT(span.start, span.end) << text;
    }
  }
}

TEST(SentencePiece, GivesRangesOfTheTextWithoutItsWhiteSpace) {
  Writer writer = small();
  writer.charsmap = {{"\t", " "}, {"\u3000", " "}, {"\ufb01", "fi"}, {"\u00ad", ""}, {"\uff43", "c"}};
  EXPECT_EQ(ranges(make(writer), "  the \t cats \u3000"), "the|cat|s|");
  EXPECT_EQ(ranges(make(writer), "\uff43at \u00adthe"), "\uff43at|\u00adthe|");
  EXPECT_EQ(ranges(make(writer), " s\u3000s"), "s|s|s|s|");  // a mark alone has the character behind it
  EXPECT_EQ(ranges(make(writer), "\ufb01xf"), "\ufb01|\ufb01|x|f|");
  EXPECT_EQ(ranges(make(writer), "the \u4e2d\u6587"), "the|\u4e2d|\u4e2d\u6587|");  // unknown neighbours are one
  writer.byte_fallback = true;
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    writer.pieces.push_back({name, 0, Writer::byte});
  }
  EXPECT_EQ(ranges(make(writer), "the \u00e9x"), "the|\u00e9|\u00e9|\u00e9|x|");  // a byte has its whole character
}

TEST(SentencePiece, CountsWordsFromMarksAndAddedTokens) {
  const auto tokenizer = make(small(), SentencePieceFamily::xlm_roberta());
  EXPECT_EQ(tokenizer.encode("the cats <mask>cats </s>s", {.add_special_tokens = false}).words,
            (Ids{0, 1, 1, 2, 3, 3, 4, 5, 5}));
  Writer writer = small();
  writer.pieces.push_back({"s\u2581c", -1});  // a word begins behind a mark that ends a piece, not in one
  writer.pieces.push_back({"a\u2581", -1});
  EXPECT_EQ(make(writer).encode("cats ca t", {.add_special_tokens = false}).words, (Ids{0, 0, 0, 1}));
}

TEST(SentencePiece, CutsSpecialTokensOutOfTextsUnlessTheyAreText) {
  const auto tokenizer = make(small(), SentencePieceFamily::xlm_roberta());
  EXPECT_EQ(tokenizer.encode("a <mask>s").ids, (Ids{0, 4, 9, 14, 4, 7, 2}));
  EXPECT_EQ(tokenizer.encode("a <mask>s").offsets[3], (Span{1, 8}));  // with the space before it
  EXPECT_EQ(tokenizer.encode("<s>").ids, (Ids{0, 0, 2}));
  EXPECT_EQ(tokenizer.encode("<s>", {.split_special_tokens = true}).ids, (Ids{0, 4, 3, 7, 3, 2}));
}

TEST(SentencePiece, TruncatesAndMakesWindowsAsOtherTokenizers) {
  const auto tokenizer = make(small(), SentencePieceFamily::xlm_roberta());
  const EncodeOptions options = {.truncation = Truncation::only_second, .max_length = 9, .stride = 1};
  const auto windows = tokenizer.encode_windows("the", "cat cats cat the", options);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[0].ids, (Ids{0, 5, 2, 2, 6, 6, 7, 6, 2}));
  EXPECT_EQ(windows[1].ids, (Ids{0, 5, 2, 2, 6, 5, 2}));
  EXPECT_EQ(windows[1].offsets[5], (Span{13, 16}));
  EXPECT_TRUE(tokenizer.encode("the", "cat cats cat the", options).truncated);
}

TEST(SentencePiece, LooksAtTheStopBeforeALongPart) {
  const auto tokenizer = make(small());
  std::stop_source source;
  source.request_stop();
  const Stop stop(source.get_token(), {});
  expect_error(ErrorCode::stopped, {}, [&] { tokenizer.encode("the", {.stop = stop}); });
  std::string text;
  while (text.size() < 70000) text += "the ";
  const SentencePieceKind kind(small().bytes(), "x", {});
  SentencePieceKind::Run run(kind, text, stop);
  expect_error(ErrorCode::stopped, {"stop token"}, [&] { run.append_raw(0, text.size()); });
}

/// The vocabulary of a golden model as SentencePiece would have it.
Writer writer_of(const Tokenizer& tokenizer, std::span<const double> scores) {
  std::vector<std::pair<std::string, float>> pieces;
  for (std::uint32_t id = 4; id + 1 < tokenizer.size(); ++id) {
    const std::string piece(tokenizer.token(id));
    bool is_new = !piece.empty();
    for (const auto& [other, score] : pieces) is_new = is_new && other != piece;
    pieces.emplace_back(is_new ? piece : "\u2581unused" + std::to_string(id), static_cast<float>(scores[id]));
  }
  return Writer::plain(pieces);
}

TEST(SentencePiece, StandsWhereAPipelineHasATokenizer) {
  const std::string path = std::string(BERTHA_TEST_DATA) + "/golden/models/xlm_roberta_entities.safetensors";
  const auto own = EntityRecognizer::load(path);
  auto file = WeightFile::open(path);
  const auto tensors = take_tokenizer_tensors(file);
  const Writer writer = writer_of(own.model().tokenizer(), tensors.scores);
  const auto tokenizer = make(writer, SentencePieceFamily::xlm_roberta());
  const auto given = EntityRecognizer::load(path, {.tokenizer = tokenizer});
  const std::string text = "My name is Sinan and I live in San Francisco, by the lake.";
  EXPECT_EQ(given.model().tokenizer().encode(text).ids, own.model().tokenizer().encode(text).ids);
  const EntityOptions options = {.aggregation_strategy = AggregationStrategy::simple, .ignore_labels = {}};
  const auto expected = own.run(text, options), found = given.run(text, options);
  ASSERT_EQ(found.size(), expected.size());
  EXPECT_GT(found.size(), 0u);
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found.begin()[static_cast<std::ptrdiff_t>(i)].word,
              expected.begin()[static_cast<std::ptrdiff_t>(i)].word);
    EXPECT_EQ(found.begin()[static_cast<std::ptrdiff_t>(i)].start,
              expected.begin()[static_cast<std::ptrdiff_t>(i)].start);
    EXPECT_EQ(found.begin()[static_cast<std::ptrdiff_t>(i)].score,
              expected.begin()[static_cast<std::ptrdiff_t>(i)].score);
  }
  const auto answers = QuestionAnswerer::load(
      std::string(BERTHA_TEST_DATA) + "/golden/models/xlm_roberta_answers.safetensors", {.tokenizer = tokenizer});
  EXPECT_FALSE(answers("Where is the lake?", text).text.empty());

  expect_error(ErrorCode::vocabulary, {"token 0 is \"<s>\", but \"<unk>\"", "given"},
               [&] { EntityRecognizer::load(path, {.tokenizer = make(writer)}); });
}

TEST(SentencePiece, RefusesAModelOfAnotherFamily) {
  expect_error(ErrorCode::vocabulary, {"bytes: there is no \"[CLS]\"", "family"},
               [] { make(small(), SentencePieceFamily::albert()); });
  Writer writer = small();
  writer.pieces.insert(writer.pieces.begin(), {"<pad>", 0, Writer::control});
  expect_error(ErrorCode::vocabulary, {"both have the id", "family"}, [&] {
    make(writer, {.first_tokens = {"<s>", "x"}, .shift = 0});
  });
}

TEST(SentencePiece, RefusesFilesThatAreNoWholeModel) {
  expect_error(ErrorCode::file, {"no-such.model", "No such file"},
               [] { SentencePieceTokenizer::load("no-such.model"); });
  Writer writer = small();
  writer.charsmap = {{"\t", " "}, {"e\u0301", "\u00e9"}};
  const std::string good = writer.bytes();
  EXPECT_NO_THROW(SentencePieceTokenizer::load(span_of(good)));
  for (std::size_t size = 0; size < good.size(); ++size) {
    expect_error(
        ErrorCode::format, {"bytes: ", "SentencePiece"},
        [&] { SentencePieceTokenizer::load(span_of(good.substr(0, size))); }, std::to_string(size));
  }
  const auto refused = [](const Writer& bad, std::string_view words) {
    expect_error(ErrorCode::format, {"SentencePiece can't read it", words}, [&] { make(bad); });
  };
  Writer bad = small();
  bad.pieces.push_back(bad.pieces.back());
  refused(bad, "already defined");
  bad = small();
  bad.pieces.push_back({"", 0});
  refused(bad, "empty");
  bad = small();
  bad.pieces[0].type = Writer::normal;
  refused(bad, "unk");
}

TEST(SentencePiece, ReadsNothingOutsideOfADamagedCharsmap) {
  Writer writer = small();
  writer.charsmap = {{"\t", " "}, {"e\u0301", "\u00e9"}};
  const std::string good = Writer::compiled(writer.charsmap);
  EXPECT_TRUE(bertha::detail::is_sound_charsmap(good));
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(bertha::detail::is_sound_charsmap(good.substr(0, size))) << size;
  const auto whole = [&](const std::string& charsmap) {
    return writer.pieces_field() + Writer::field(2, writer.trainer()) + Writer::field(3, Writer::field(2, charsmap));
  };
  std::size_t refused = 0, loaded = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    if (at > 4 && at + 64 < good.size() && (good[at] & 0x7F) == 0 && at % 61 != 0) continue;  // most units are free
    for (const int mask : {0x01, 0x80, 0xFF}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ mask);
      try {
        const auto tokenizer = SentencePieceTokenizer::load(span_of(whole(bad)));
        tokenizer.encode("\t e\u0301\u0301 e\u0302 \x01\x7f \u4e2d", {.split_special_tokens = true});
        ++loaded;
      } catch (const Error& error) {
        EXPECT_EQ(name(error.code()), "format") << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 50u);
  EXPECT_GT(loaded, 100u);
}

TEST(SentencePiece, RefusesTextsThatAreNotUtf8OrTooLong) {
  const auto tokenizer = make(small());
  expect_error(ErrorCode::input, {"text: byte 4 (0xff) is not UTF-8"}, [&] { tokenizer.encode("the \xff"); });
  expect_error(ErrorCode::input, {"67108865 bytes", "divide"},
               [&] { tokenizer.encode(std::string((1u << 26) + 1, 'a')); });
  EXPECT_EQ(tokenizer.encode(std::string("a\0b", 3)).n_unknown, 1u);
}

}  // namespace
