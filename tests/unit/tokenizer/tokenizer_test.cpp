#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"
#include "small_tokenizer.hpp"

#include <bertha/tokenizer/tokenizer.hpp>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;

using Ids = std::vector<std::uint32_t>;

Tokenizer letters() { return make_tokenizer({"a", "b", "c", "d", "e", "f", "##s", "hello"}); }

std::string repeated(const std::string& word, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += word + " ";
  return text;
}

TEST(Tokenizer, PutsATextIntoItsTemplate) {
  const Encoding encoding = letters().encode("a x as");
  EXPECT_EQ(encoding.ids, (Ids{2, 5, 1, 5, 11, 3}));
  EXPECT_EQ(encoding.type_ids, (Ids{0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(encoding.offsets, (std::vector<Span>{{0, 0}, {0, 1}, {2, 3}, {4, 5}, {5, 6}, {0, 0}}));
  EXPECT_EQ(encoding.words, (Ids{Encoding::kNone, 0, 1, 2, 2, Encoding::kNone}));
  EXPECT_EQ(encoding.sequences, (Ids{Encoding::kNone, 0, 0, 0, 0, Encoding::kNone}));
  EXPECT_EQ(encoding.special, (std::vector<std::uint8_t>{1, 0, 0, 0, 0, 1}));
  EXPECT_EQ(encoding.n_unknown, 1u);
  EXPECT_FALSE(encoding.truncated);
}

TEST(Tokenizer, PutsAPairIntoItsTemplateWithOffsetsIntoEachText) {
  const Encoding encoding = letters().encode("a b", " c");
  EXPECT_EQ(encoding.ids, (Ids{2, 5, 6, 3, 7, 3}));
  EXPECT_EQ(encoding.type_ids, (Ids{0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(encoding.offsets[4], (Span{1, 2}));
  EXPECT_EQ(encoding.words[4], 0u);
  EXPECT_EQ(encoding.sequences, (Ids{Encoding::kNone, 0, 0, Encoding::kNone, 1, Encoding::kNone}));
}

TEST(Tokenizer, GivesTheTemplateAloneForTextsWithoutTokens) {
  for (const char* text : {"", "   ", "\r\n", "\u00a0", "\u200d"}) {
    EXPECT_EQ(letters().encode(text).ids, (Ids{2, 3})) << text;
  }
  EXPECT_EQ(letters().encode("", "").ids, (Ids{2, 3, 3}));
}

TEST(Tokenizer, LeavesTheTemplateOutWhenTold) {
  EncodeOptions options;
  options.add_special_tokens = false;
  EXPECT_EQ(letters().encode("a", "b", options).ids, (Ids{5, 6}));
  EXPECT_EQ(letters().encode("", options).size(), 0u);
}

TEST(Tokenizer, LeavesWhiteSpaceOutOfTheRangesOfAddedTokensWhereItIsToldTo) {
  const auto tokens = with_special({"a", "b"});
  TokenizerConfig config = bert_config(tokens.size());
  config.added_tokens.push_back(
      {.id = static_cast<std::uint32_t>(tokens.size()), .content = "<m>", .lstrip = true, .rstrip = true});
  const std::string text = "a \u2003<m>\t b<m>\n";
  EXPECT_EQ(make_tokenizer(tokens, config).encode(text).offsets[2], (Span{1, 10}));
  std::get<WordPieceOptions>(config.model).trim_offsets = true;
  const Encoding trimmed = make_tokenizer(tokens, config).encode(text);
  EXPECT_EQ(trimmed.offsets, (std::vector<Span>{{0, 0}, {0, 1}, {5, 8}, {10, 11}, {11, 14}, {0, 0}}));
}

TEST(Tokenizer, DoesNotMarkALiteralSpecialTokenOfTheText) {
  const Encoding encoding = letters().encode("a[SEP]");
  EXPECT_EQ(encoding.ids, (Ids{2, 5, 3, 3}));
  EXPECT_EQ(encoding.special, (std::vector<std::uint8_t>{1, 0, 0, 1}));
  EncodeOptions options;
  options.split_special_tokens = true;
  EXPECT_EQ(letters().encode("[SEP]", options).ids, (Ids{2, 1, 1, 1, 3}));
}

TEST(Tokenizer, TruncatesAtTheLastTokenThatFits) {
  EncodeOptions options;
  options.truncation = Truncation::longest_first;
  options.max_length = 512;
  for (const std::size_t n : {509u, 510u, 511u, 600u}) {
    const Encoding encoding = letters().encode(repeated("a", n), options);
    EXPECT_EQ(encoding.size(), std::min<std::size_t>(n + 2, 512)) << n;
    EXPECT_EQ(encoding.truncated, n > 510) << n;
  }
  EXPECT_EQ(letters().encode(repeated("a", 600)).size(), 602u);
}

TEST(Tokenizer, ComputesNoTokensBehindTheLastThatFits) {
  // A first window takes as much memory for a text of any size, and knows that it is not the only one.
  const Tokenizer tokenizer = letters();
  EncodeOptions options;
  options.truncation = Truncation::longest_first;
  options.max_length = 5;
  const Encoding few = tokenizer.encode("a b cs d", options);
  const Encoding many = tokenizer.encode("a b cs " + repeated("hello", 100000), options);
  EXPECT_EQ(many.ids, few.ids);
  EXPECT_EQ(many.offsets, few.offsets);
  EXPECT_TRUE(few.truncated && many.truncated);
  TokenSequence tokens;
  tokens.limit = 3;
  const TokenizerConfig config = bert_config(13);
  const VocabularyData data(with_special({"a", "b", "c", "d", "e", "f", "##s", "hello"}));
  TokenizerTensors tensors;
  tensors.text = data.text;
  tensors.offsets = data.offsets;
  const TextTokenizer text_tokenizer(config, tensors);
  text_tokenizer(repeated("hello", 100000), false, "text", {}, tokens);
  EXPECT_EQ(tokens.size(), 3u);
}

TEST(Tokenizer, EncodesIntoWhatHasHeldAnother) {
  const Tokenizer tokenizer = letters();
  EncodeOptions options;
  options.truncation = Truncation::longest_first;
  options.max_length = 6;
  Encoding encoding;
  for (const std::string& text : {repeated("x", 50), std::string(), repeated("as", 3), std::string("hello")}) {
    tokenizer.encode_into(encoding, text, std::nullopt, options);
    const Encoding expected = tokenizer.encode(text, options);
    EXPECT_EQ(encoding.ids, expected.ids);
    EXPECT_EQ(encoding.type_ids, expected.type_ids);
    EXPECT_EQ(encoding.offsets, expected.offsets);
    EXPECT_EQ(encoding.words, expected.words);
    EXPECT_EQ(encoding.sequences, expected.sequences);
    EXPECT_EQ(encoding.special, expected.special);
    EXPECT_EQ(encoding.n_unknown, expected.n_unknown);
    EXPECT_EQ(encoding.truncated, expected.truncated);
  }
  expect_error(ErrorCode::input, {"byte 1 "}, [&] { tokenizer.encode_into(encoding, "a\xff"); });
  EXPECT_EQ(encoding.size(), 0u);
}

TEST(Tokenizer, TruncatesToTheTemplateWhenNothingElseFits) {
  EncodeOptions options;
  options.truncation = Truncation::only_first;
  options.max_length = 2;
  EXPECT_EQ(letters().encode("a b", options).ids, (Ids{2, 3}));
  EXPECT_TRUE(letters().encode("a b", options).truncated);
}

TEST(Tokenizer, CutsALongSecondTextIntoWindows) {
  EncodeOptions options;
  options.truncation = Truncation::only_second;
  options.max_length = 7;
  options.stride = 1;
  const auto windows = letters().encode_windows("a", "b c d e f", options);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[0].ids, (Ids{2, 5, 3, 6, 7, 8, 3}));
  EXPECT_EQ(windows[1].ids, (Ids{2, 5, 3, 8, 9, 10, 3}));
  EXPECT_EQ(windows[1].offsets[3], (Span{4, 5}));
  EXPECT_FALSE(windows[0].truncated);
  EXPECT_TRUE(letters().encode("a", "b c d e f", options).truncated);
}

TEST(Tokenizer, CombinesTheWindowsOfBothTexts) {
  EncodeOptions options;
  options.truncation = Truncation::longest_first;
  options.max_length = 7;
  std::vector<std::string> texts;
  const Tokenizer tokenizer = letters();
  for (const Encoding& window : tokenizer.encode_windows("a b c", "d e f", options)) {
    texts.push_back(tokenizer.decode(window.ids, true));
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"a b d e", "c d e", "c f", "a b f"}));
}

TEST(Tokenizer, CombinesWindowsInTheOrderOfTheTemplate) {
  const auto tokens = with_special({"a", "b", "c", "d", "e", "f"});
  TokenizerConfig config = bert_config(tokens.size());
  std::swap(config.pair[1], config.pair[3]);  // [CLS] B [SEP] A [SEP]
  const Tokenizer tokenizer = make_tokenizer(tokens, config);
  EncodeOptions options;
  options.truncation = Truncation::longest_first;
  options.max_length = 7;
  std::vector<std::string> texts;
  for (const Encoding& window : tokenizer.encode_windows("a b c", "d e f", options)) {
    texts.push_back(tokenizer.decode(window.ids, true));
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"d e a b", "f a b", "f c", "d e c"}));
}

TEST(Tokenizer, RefusesOptionsThatContradictEachOther) {
  const auto encode = [](Truncation truncation, std::size_t max_length, std::size_t stride) {
    EncodeOptions options;
    options.truncation = truncation;
    options.max_length = max_length;
    options.stride = stride;
    letters().encode("a b c d e", options);
  };
  EXPECT_NO_THROW(encode(Truncation::only_first, 4, 1));
  expect_error(ErrorCode::input, {"max_length", "no truncation"}, [&] { encode(Truncation::none, 4, 0); });
  expect_error(ErrorCode::input, {"stride", "no truncation"}, [&] { encode(Truncation::none, 0, 1); });
  expect_error(ErrorCode::input, {"max_length is 1", "at least 2"}, [&] { encode(Truncation::only_first, 1, 0); });
  expect_error(ErrorCode::input, {"max_length is 0"}, [&] { encode(Truncation::only_first, 0, 0); });
  expect_error(ErrorCode::input, {"stride is 2", "room for 2"}, [&] { encode(Truncation::only_first, 4, 2); });
  expect_error(ErrorCode::input, {"no second text"}, [&] { encode(Truncation::only_second, 4, 0); });
}

TEST(Tokenizer, RefusesAStrideThatLeavesNoRoomInEitherText) {
  EncodeOptions options;
  options.truncation = Truncation::only_second;
  options.max_length = 6;
  options.stride = 2;
  expect_error(ErrorCode::input, {"stride is 2", "room for 2"}, [&] { letters().encode("a", "b c d", options); });
  expect_error(ErrorCode::input, {"stride is 2", "room for 2"},
               [&] { letters().encode_windows("a", "b c d", options); });
  options.truncation = Truncation::only_first;
  expect_error(ErrorCode::input, {"stride is 2", "room for 2"}, [&] { letters().encode("b c d", "a", options); });
  EXPECT_NO_THROW(letters().encode("a", "b c", options));  // nothing is cut
}

TEST(Tokenizer, RefusesAStrideThatNoTextCouldBeReadWith) {
  EncodeOptions options;
  options.truncation = Truncation::longest_first;
  options.max_length = 6;
  options.stride = 4;
  expect_error(ErrorCode::input, {"stride is 4", "room for 4"}, [&] { letters().encode_windows("a", options); });
  expect_error(ErrorCode::input, {"stride is 4", "room for 4"}, [&] { letters().encode("a", options); });
  expect_error(ErrorCode::input, {"stride is 4", "room for 3"}, [&] { letters().encode_windows("a", "b", options); });
  options.stride = 3;
  EXPECT_EQ(letters().encode_windows("a", options).size(), 1u);
  expect_error(ErrorCode::input, {"stride is 3", "room for 3"}, [&] { letters().encode_windows("a", "b", options); });
  options.add_special_tokens = false;
  EXPECT_EQ(letters().encode_windows("a", "b", options).size(), 1u);
}

TEST(Tokenizer, NamesTheTextAtFault) {
  EncodeOptions options;
  expect_error(ErrorCode::input, {"text: byte 1 (0xff) is not UTF-8"}, [&] { letters().encode("a\xff"); });
  expect_error(ErrorCode::input, {"text_pair: byte 0 (0xc3)"}, [&] { letters().encode("a", "\xc3", options); });
  options.text_name = "question";
  options.text_pair_name = "";
  expect_error(ErrorCode::input, {"question: byte 0 (0xff)"}, [&] { letters().encode("\xff", "a", options); });
  try {
    letters().encode("a", "b\xff", options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(std::string_view(error.what()).starts_with("byte 1 (0xff)"));
  }
}

TEST(Tokenizer, RefusesAnEnumeratorOutOfRange) {
  EncodeOptions options;
  options.truncation = static_cast<Truncation>(9);
  options.max_length = 8;
  expect_error(ErrorCode::input, {"truncation is 9"}, [&] { letters().encode("a", options); });
}

TEST(Tokenizer, StopsWithinALongTextAndBeforeAnyText) {
  std::stop_source source;
  EncodeOptions options;
  options.stop = Stop(source.get_token(), {});
  EXPECT_EQ(letters().encode("a b", options).size(), 4u);
  source.request_stop();
  expect_error(ErrorCode::stopped, {}, [&] { letters().encode("", options); });
}

TEST(Tokenizer, RefusesAWindowWithoutRoom) {
  EncodeOptions options;
  options.truncation = Truncation::only_first;
  options.max_length = 2;
  expect_error(ErrorCode::input, {"room for 0"}, [&] { letters().encode_windows("a b", options); });
  EXPECT_EQ(letters().encode_windows("", options).size(), 1u);
}

TEST(Tokenizer, KnowsTokensByIdAndIdsByToken) {
  const auto tokens = with_special({"a", "", "##b"});
  TokenizerConfig config = bert_config(tokens.size());
  config.added_tokens.push_back({10, "New\u00c9", false, false, false, true, false});
  const Tokenizer tokenizer = make_tokenizer(tokens, config);
  EXPECT_EQ(tokenizer.size(), 11u);
  EXPECT_EQ(tokenizer.token(5), "a");
  EXPECT_EQ(tokenizer.token(6), "");
  EXPECT_EQ(tokenizer.token(8), "");       // between the vocabulary and the added token
  EXPECT_EQ(tokenizer.token(10), "newe");  // as it is found, which is what tokenizers shows
  EXPECT_EQ(tokenizer.id("New\u00c9"), 10u);
  EXPECT_EQ(tokenizer.id("##b"), 7u);
  EXPECT_EQ(tokenizer.id("newe"), std::nullopt);
  expect_error(ErrorCode::input, {"11"}, [&] { tokenizer.token(11); });
}

TEST(Tokenizer, DecodesIdsWithAndWithoutSpecialTokens) {
  const Tokenizer tokenizer = letters();
  const Ids ids = tokenizer.encode("hellos a").ids;
  EXPECT_EQ(tokenizer.decode(ids, false), "[CLS] hellos a [SEP]");
  EXPECT_EQ(tokenizer.decode(ids, true), "hellos a");
  const std::vector<std::string_view> tokens = {"hello", "##s", "!"};
  EXPECT_EQ(tokenizer.decode(tokens), "hellos!");
  expect_error(ErrorCode::input, {"token id 99"}, [&] { tokenizer.decode(Ids{99}, false); });
}

TEST(Tokenizer, RefusesAConfigurationThatContradictsTheVocabulary) {
  const auto tokens = with_special({"a"});
  const auto refuse = [&](std::initializer_list<std::string_view> words,
                          const std::function<void(TokenizerConfig&)>& spoil) {
    TokenizerConfig config = bert_config(tokens.size());
    spoil(config);
    expect_error(ErrorCode::vocabulary, words, [&] { make_tokenizer(tokens, config); });
  };
  EXPECT_NO_THROW(make_tokenizer(tokens, bert_config(tokens.size())));
  refuse({"vocab_size is 7", "6"}, [](auto& c) { c.vocab_size = 7; });
  refuse({"unk_token_id is 6"}, [](auto& c) { c.unk_token_id = 6; });
  refuse({"cls_token_id is 6"}, [](auto& c) { c.cls_token_id = 6; });
  refuse({"sep_token_id is 7"}, [](auto& c) { c.sep_token_id = 7; });
  refuse({"pad_token_id is 8"}, [](auto& c) { c.pad_token_id = 8; });
  refuse({"template 'single'", "6"}, [](auto& c) { c.single[0].id = 6; });
  refuse({"template 'pair'", "9"}, [](auto& c) { c.pair[4].id = 9; });
  refuse({"template 'single'", "sequence A once"}, [](auto& c) { c.single.erase(c.single.begin() + 1); });
  refuse({"template 'single'", "sequence B 0 times"}, [](auto& c) { c.single = c.pair; });
  refuse({"template 'pair'", "sequence B 1 times"}, [](auto& c) { c.pair = c.single; });
  refuse({"added token 4", "\"a\"", "[MASK]"}, [](auto& c) { c.added_tokens[4].content = "a"; });
  refuse({"added token 4 \"aaa", "aaa...\": the vocabulary has \"[MASK]\""},
         [](auto& c) { c.added_tokens[4].content = std::string(100'000, 'a'); });
  refuse({"added token 5", "twice"}, [](auto& c) {
    c.added_tokens[4].id = 5;
    c.added_tokens[4].content = "a";
    c.added_tokens.push_back(c.added_tokens[4]);
    c.added_tokens[4].normalized = true;
  });
  refuse({"2^24"}, [](auto& c) { c.added_tokens.push_back({1u << 24, "x", false, false, false, false, true}); });
}

TEST(Tokenizer, LoadsFromAModelFileAndOutlivesIt) {
  TinyOptions tiny;
  tiny.kind = "tokenizer";
  const TempFile on_disk(ModelWriter::tiny(tiny).bytes());
  const Tokenizer tokenizer = [&] {
    WeightFile file = WeightFile::open(on_disk.path());
    Tokenizer loaded = Tokenizer::load(file);
    file.finish();
    return loaded;
  }();
  EXPECT_EQ(tokenizer.size(), tiny.vocabulary.size());
  EXPECT_EQ(tokenizer.encode("The cats sat.").ids, (Ids{2, 12, 13, 15, 14, 11, 3}));
}

TEST(Tokenizer, RefusesAFileWhoseOffsetsDoNotAscend) {
  TinyOptions tiny;
  tiny.kind = "tokenizer";
  auto model = ModelWriter::tiny(tiny);
  auto& offsets = model.tensor("tokenizer.vocab.offsets").bytes;
  offsets[4] = '\x7F';  // token 0 ends at 127, token 1 at 10
  AlignedBytes bytes(model.bytes());
  WeightFile file = WeightFile::from_bytes(bytes.span());
  expect_error(ErrorCode::vocabulary, {"token 0", "127"}, [&] { Tokenizer::load(file); });
}

TEST(Tokenizer, IsSharedByThreadsWithoutLocks) {
  const Tokenizer tokenizer = letters();
  const std::string text = repeated("Hellos \u00e9 a\u0301 [MASK] b\u200d", 50);
  const Ids expected = tokenizer.encode(text).ids;
  std::vector<int> equal(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < equal.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 20; ++n) equal[i] += tokenizer.encode(text).ids == expected ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, std::vector<int>(4, 20));
}

TEST(Tokenizer, DecodesOnlyTokensThatAreUtf8) {
  const std::vector<std::string_view> tokens = {"a", "\xF0"};
  expect_error(ErrorCode::input, {"UTF-8"}, [&] { letters().decode(tokens); });
}

/// Every byte of a mapped file is rewritten in place, many times over: calls end in an Error or a result.
TEST(Tokenizer, EndsInAnErrorOrAResultWhenItsMappedFileIsRewritten) {
  for (const bool byte_bpe : {false, true}) {
    TinyOptions options{.kind = "tokenizer"};
    const std::vector<std::string> bytes = with_bytes({"ab", "abc"});  // and [PAD] to [MASK] before them
    options.vocabulary.resize(5);
    options.vocabulary.insert(options.vocabulary.end(), bytes.begin() + 4, bytes.end());
    ModelWriter model = ModelWriter::tiny(options);
    if (byte_bpe) model.make_byte_bpe({{5 + 'a', 5 + 'b'}});
    const TempFile path(model.bytes());
    WeightFile file = WeightFile::open(path.path());
    const Tokenizer tokenizer = Tokenizer::load(file);
    const std::size_t size = model.bytes().size();
    std::size_t refused = 0;
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
      std::ofstream out(path.path(), std::ios::in | std::ios::binary);
      for (std::size_t i = 0; i < size; ++i) out.put(static_cast<char>(round % 2 == 0 ? random() : random() % 2));
      out.close();
      try {
        Encoding encoding = tokenizer.encode("ab abc [MASK] <s> \xC3\xA9 x");
        for (std::uint32_t id = 0; id < tokenizer.size(); ++id) encoding.ids.push_back(id);
        tokenizer.decode(encoding.ids, false);
      } catch (const Error&) {
        ++refused;
      }
    }
    EXPECT_GT(refused, 100u);
  }
}

}  // namespace
