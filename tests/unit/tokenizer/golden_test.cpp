// What `tokenizers` and CPython say (make.py in the folders of tests/data), without either of them.

#include <gtest/gtest.h>

#include "small_tokenizer.hpp"

#include <bertha/file/tokenizer_json.hpp>
#include <bertha/tokenizer/offsets.hpp>
#include <bertha/tokenizer/tokenizer.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace bertha;
using namespace bertha_test;
using Json = nlohmann::json;

const std::string kData = std::string(BERTHA_TEST_DATA) + "/data/tokenizer/";
const std::string kByteBpeData = std::string(BERTHA_TEST_DATA) + "/data/byte_bpe/";
const std::string kUnigramData = std::string(BERTHA_TEST_DATA) + "/data/unigram/";

void add_tokens(const Json& options, TokenizerConfig& config) {
  for (const Json& added : options.value("added", Json::array())) {
    config.added_tokens.push_back({added.at("id"), added.at("content"), added.at("single_word"), added.at("lstrip"),
                                   added.at("rstrip"), added.at("normalized"), added.at("special")});
  }
}

/// The tokens of vocab.json by id, and the merges of merges.txt as pairs of ids.
std::pair<std::vector<std::string>, std::vector<std::uint32_t>> byte_bpe_data() {
  const std::map<std::string, std::uint32_t> ids = Json::parse(lines_of(kByteBpeData + "vocab.json").at(0));
  std::vector<std::string> tokens(ids.size());
  for (const auto& [token, id] : ids) tokens.at(id) = token;
  std::vector<std::uint32_t> merges;
  for (const std::string& line : lines_of(kByteBpeData + "merges.txt")) {
    if (line.starts_with("#version")) continue;
    const std::size_t space = line.find(' ');
    merges.push_back(ids.at(line.substr(0, space)));
    merges.push_back(ids.at(line.substr(space + 1)));
  }
  return {tokens, merges};
}

Tokenizer byte_bpe_of(const Json& options) {
  auto [tokens, merges] = byte_bpe_data();
  merges.resize(2 * options.value("num_merges", merges.size() / 2));
  TokenizerConfig config = roberta_config(static_cast<std::uint32_t>(tokens.size()));
  config.model = ByteBpeOptions{.add_prefix_space = options.at("add_prefix_space"),
                                .trim_offsets = options.at("trim_offsets"),
                                .num_merges = merges.size() / 2,
                                .words = options.contains("words") ? WordPattern::llama3 : WordPattern::gpt2,
                                .ignore_merges = options.value("ignore_merges", false)};
  config.normalizer = steps_of(options.value("steps", Json::array()));
  add_tokens(options, config);
  return make_tokenizer(tokens, config, merges);
}

Tokenizer unigram_of(const Json& options) {
  const UnigramData::Pieces pieces = Json::parse(lines_of(kUnigramData + "pieces.json").at(0));
  const std::map<std::string, std::string> charsmap = Json::parse(lines_of(kUnigramData + "charsmap.json").at(0));
  const auto data = std::make_shared<const UnigramData>(pieces, charsmap);
  const std::map<std::string, PrependScheme> schemes = {
      {"always", PrependScheme::always}, {"first", PrependScheme::first}, {"never", PrependScheme::never}};
  TokenizerConfig config = xlm_roberta_config(static_cast<std::uint32_t>(pieces.size()));
  config.model = UnigramOptions{options.at("whitespace_split"), schemes.at(options.at("prepend_scheme")),
                                options.at("split"), options.at("byte_fallback")};
  config.normalizer = steps_of(options.at("steps"));
  add_tokens(options, config);
  return Tokenizer(config, data->tensors(), data);
}

/// A configuration as the converter describes it.
Tokenizer character_bpe_of(const Json& options) {
  ModelConfig none;
  none.has_encoder = false;
  const TokenizerConfig config = bertha::detail::read_tokenizer(options.at("tokenizer").dump(), none, "make.py");
  std::vector<std::uint32_t> merges;
  for (const Json& pair : options.at("merges")) {
    merges.push_back(pair.at(0));
    merges.push_back(pair.at(1));
  }
  return make_tokenizer(options.at("tokens"), config, merges);
}

Tokenizer word_piece_of(const Json& options) {
  const auto tokens = lines_of(kData + "vocab.txt");
  TokenizerConfig config = bert_config(tokens.size());
  auto& model = std::get<WordPieceOptions>(config.model);
  model.lowercase = options.at("lowercase");
  model.strip_accents = options.at("strip_accents");
  model.clean_text = options.at("clean_text");
  model.handle_chinese_chars = options.at("handle_chinese_chars");
  config.normalizer = steps_of(options.value("steps", Json::array()));
  add_tokens(options, config);
  return make_tokenizer(tokens, config);
}

EncodeOptions options_of(const Json& json) {
  EncodeOptions options;
  options.add_special_tokens = json.value("add_special_tokens", true);
  options.split_special_tokens = json.value("split_special_tokens", false);
  options.max_length = json.value("max_length", std::size_t{0});
  options.stride = json.value("stride", std::size_t{0});
  const std::map<std::string, Truncation> truncations = {{"none", Truncation::none},
                                                         {"longest_first", Truncation::longest_first},
                                                         {"only_first", Truncation::only_first},
                                                         {"only_second", Truncation::only_second}};
  options.truncation = truncations.at(json.value("truncation", "none"));
  return options;
}

Json numbers(const std::vector<std::uint32_t>& values) {
  Json result = Json::array();
  for (const std::uint32_t value : values) {
    result.push_back(value == Encoding::kNone ? Json(-1) : Json(value));
  }
  return result;
}

Json described(const Tokenizer& tokenizer, const Encoding& encoding, const std::string (&texts)[2]) {
  const OffsetConverter converters[] = {OffsetConverter(texts[0], OffsetUnit::code_point),
                                        OffsetConverter(texts[1], OffsetUnit::code_point)};
  Json tokens = Json::array(), offsets = Json::array();
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    tokens.push_back(tokenizer.token(encoding.ids[i]));
    const OffsetConverter& convert = converters[encoding.sequences[i] == 1 ? 1 : 0];
    offsets.push_back(convert(encoding.offsets[i].start));
    offsets.push_back(convert(encoding.offsets[i].end));
  }
  return {{"ids", encoding.ids},
          {"tokens", tokens},
          {"type_ids", encoding.type_ids},
          {"offsets", offsets},
          {"words", numbers(encoding.words)},
          {"sequences", numbers(encoding.sequences)},
          {"special", encoding.special}};
}

void expect_equal(const std::string& path, std::size_t at_least, Tokenizer (*tokenizer_of)(const Json&)) {
  const auto lines = lines_of(path);
  ASSERT_GT(lines.size(), at_least);
  std::map<std::string, Tokenizer> tokenizers;
  const Json head = Json::parse(lines[0]);
  for (const auto& [name, options] : head.at("configurations").items()) {
    tokenizers.emplace(name, tokenizer_of(options));
  }
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const Json golden = Json::parse(lines[i]);
    const Tokenizer& tokenizer = tokenizers.at(golden.at("configuration"));
    const EncodeOptions options = options_of(golden.at("options"));
    const bool is_pair = !golden.at("text_pair").is_null();
    const std::string texts[2] = {golden.at("text"), is_pair ? golden.at("text_pair").get<std::string>() : ""};
    const auto windows =
        is_pair ? tokenizer.encode_windows(texts[0], texts[1], options) : tokenizer.encode_windows(texts[0], options);
    Json ours = Json::array();
    for (const Encoding& window : windows) ours.push_back(described(tokenizer, window, texts));
    EXPECT_EQ(ours, golden.at("windows")) << "line " << i + 1;

    const Encoding first =
        is_pair ? tokenizer.encode(texts[0], texts[1], options) : tokenizer.encode(texts[0], options);
    EXPECT_EQ(described(tokenizer, first, texts), golden.at("windows")[0]) << "line " << i + 1;
    EXPECT_EQ(first.truncated, windows.size() > 1) << "line " << i + 1;
  }
}

TEST(TokenizerGolden, EqualsTokenizersInEveryFieldAndWindow) {
  expect_equal(kData + "encode.jsonl", 500, word_piece_of);
}

TEST(TokenizerGolden, EqualsTokenizersInByteLevelBpe) { expect_equal(kByteBpeData + "encode.jsonl", 400, byte_bpe_of); }

TEST(TokenizerGolden, EqualsTokenizersInUnigram) { expect_equal(kUnigramData + "encode.jsonl", 1500, unigram_of); }

TEST(TokenizerGolden, EqualsTokenizersInBpeOverCharacters) {
  expect_equal(std::string(BERTHA_TEST_DATA) + "/data/character_bpe/encode.jsonl", 1200, character_bpe_of);
}

TEST(TokenizerGolden, EqualsTokenizersBehindNormalisersMadeOfSteps) {
  const std::string data = std::string(BERTHA_TEST_DATA) + "/data/normalizer/";
  expect_equal(data + "wordpiece.jsonl", 250, word_piece_of);
  expect_equal(data + "byte_bpe.jsonl", 500, byte_bpe_of);
}

TEST(TokenizerGolden, DecodesByteLevelTokensAsTokenizers) {
  const auto lines = lines_of(kByteBpeData + "decode.jsonl");
  ASSERT_GT(lines.size(), 60u);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const Json golden = Json::parse(lines[i]);
    const std::vector<std::string> tokens = golden.at("tokens");
    const std::vector<std::string_view> views(tokens.begin(), tokens.end());
    EXPECT_EQ(decode_byte_level(views), golden.at("expected").get<std::string>()) << "line " << i + 1;
  }
}

TEST(TokenizerGolden, LowerCasesAndReplacesBytesAsPythonAndDecodesAsTokenizers) {
  const auto lines = lines_of(kData + "text.jsonl");
  ASSERT_GT(lines.size(), 300u);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const Json golden = Json::parse(lines[i]);
    const std::string expected = golden.at("expected");
    if (golden.contains("lower")) {
      EXPECT_EQ(python_lower(golden.at("lower").get<std::string>()), expected) << "line " << i + 1;
    } else if (golden.contains("tokens")) {
      const std::vector<std::string> tokens = golden.at("tokens");
      const std::vector<std::string_view> views(tokens.begin(), tokens.end());
      EXPECT_EQ(decode_wordpiece(views, "##", true), expected) << "line " << i + 1;
    } else {
      const std::string hex = golden.at("bytes");
      std::string bytes;
      for (std::size_t at = 0; at < hex.size(); at += 2) {
        bytes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
      }
      EXPECT_EQ(replace_invalid_utf8(bytes), expected) << hex;
      const Json& at = golden.at("invalid_at");
      EXPECT_EQ(utf8::find_invalid(bytes), at.is_null() ? std::string::npos : at.get<std::size_t>()) << hex;
    }
  }
}

}  // namespace
