// Any text through tokenizers of every kind: what an encoding promises holds, and it equals the slow way.
//
// Input: the number of a tokenizer, options, then a text, and behind a NUL its pair.

#include "../support/further_tokenizers.hpp"
#include "input.hpp"
#include "slow_words.hpp"

#include <bertha/tokenizer/offsets.hpp>
#include <bertha/tokenizer/tokenizer.hpp>
#include <bertha/tokenizer/word_tokens.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using bertha::EncodeOptions;
using bertha::Encoding;
using bertha::Tokenizer;
using bertha_fuzz::Input;
using bertha_fuzz::require;

struct Kind {
  explicit Kind(bertha::WeightFile opened)
      : file(std::move(opened)), slow(file, Tokenizer::load(file)), tokenizer(loaded(file)) {}

  /// Tensors are taken once: another view of the same file.
  static Tokenizer loaded(const bertha::WeightFile& file) {
    auto again = bertha::WeightFile::open(file.name());
    return Tokenizer::load(again);
  }

  bertha::WeightFile file;
  bertha_fuzz::SlowWords slow;
  Tokenizer tokenizer;
};

std::vector<Kind> kinds() {
  std::vector<Kind> all;
  for (const char* name :
       {"entities", "entities_cased", "roberta_entities", "xlm_roberta_entities", "camembert_entities",
        "albert_entities", "albert_classify", "mpnet_classify", "masked_roberta"})
    all.emplace_back(bertha::WeightFile::open(std::string(BERTHA_TEST_DATA "/golden/models/") + name + ".safetensors"));
  for (const auto& model : bertha_test::further_tokenizers()) {
    const bertha_test::TempFile file(model.bytes());  // which may go: it stays mapped
    all.emplace_back(bertha::WeightFile::open(file.path()));
  }
  return all;
}

bool is_border(std::string_view text, std::size_t at) {
  return at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
}

/// What holds of any encoding of these texts.
void check(const Encoding& encoding, const Tokenizer& tokenizer, std::string_view text, std::string_view pair) {
  const std::size_t n = encoding.size();
  require(encoding.type_ids.size() == n && encoding.offsets.size() == n && encoding.words.size() == n &&
              encoding.sequences.size() == n && encoding.special.size() == n,
          "the vectors are parallel");
  std::uint32_t last[2] = {0, 0}, word[2] = {0, 0};
  for (std::size_t i = 0; i < n; ++i) {
    require(encoding.ids[i] < tokenizer.size(), "ids are in range");
    if (encoding.special[i]) {
      require(encoding.offsets[i] == bertha::Span{} && encoding.words[i] == Encoding::kNone,
              "special tokens have no place");
      continue;
    }
    const std::uint32_t whose = encoding.sequences[i];
    require(whose <= 1, "a token is of one of the texts");
    const std::string_view its = whose == 0 ? text : pair;
    const auto [start, end] = encoding.offsets[i];
    require(start <= end && end <= its.size(), "offsets are in range");
    require(is_border(its, start) && is_border(its, end), "offsets are on the borders of characters");
    require(encoding.words[i] >= word[whose], "words are in order");
    require(end >= last[whose], "offsets are in order");
    last[whose] = end;
    word[whose] = encoding.words[i];
  }
}

bool equal(const Encoding& a, const Encoding& b) {
  return a.ids == b.ids && a.type_ids == b.type_ids && a.offsets == b.offsets && a.words == b.words &&
         a.sequences == b.sequences && a.special == b.special && a.n_unknown == b.n_unknown;
}

/// Each word again, put together from its tokens and cut by the definition.
void check_words(const Kind& kind, const bertha::TokenSequence& tokens) {
  const auto& special = kind.tokenizer.special_tokens();
  const std::string_view prefix = kind.tokenizer.continuing_subword_prefix();
  for (std::size_t begin = 0, end = 0; begin < tokens.size(); begin = end) {
    std::string word;
    bool whole = true;
    for (; end < tokens.size() && tokens.words[end] == tokens.words[begin]; ++end) {
      const std::uint32_t id = tokens.ids[end];
      std::string_view token = kind.tokenizer.token(id);
      whole = whole && id != special.unk_token_id && id < kind.tokenizer.strings().size();
      for (const auto& added : special.added_tokens) whole = whole && added.id != id;
      whole = whole && !token.starts_with("<0x");  // the name of a byte
      if (end > begin && !prefix.empty() && token.starts_with(prefix)) token.remove_prefix(prefix.size());
      word += token;
    }
    if (!whole || word.size() > 200) continue;
    const auto slow = kind.slow(word);
    require(slow && std::equal(slow->begin(), slow->end(), tokens.ids.begin() + static_cast<std::ptrdiff_t>(begin),
                               tokens.ids.begin() + static_cast<std::ptrdiff_t>(end)),
            "the tokens of a word are those of the definition");
  }
}

/// Words that are given come out as they are alone, each at its place in the text.
void check_given_words(const Tokenizer& tokenizer, const std::string& text, const EncodeOptions& options) {
  std::vector<bertha::Span> words;
  for (std::uint32_t begin = 0, end = 0; begin <= text.size(); begin = end + 1) {
    end = static_cast<std::uint32_t>(std::min(text.find(' ', begin), text.size()));
    words.push_back({begin, end});
  }
  const auto tokens = bertha::word_tokens(tokenizer, text, words, options);
  for (std::size_t begin = 0, end = 0, w = 0; w < words.size(); ++w, begin = end) {
    const auto alone = tokenizer.tokens(text.substr(words[w].start, words[w].end - words[w].start), options);
    end = begin + alone.size();
    require(end <= tokens.size() && (begin == end || tokens.words[begin] == w), "a word has its tokens, in its place");
    require(std::equal(alone.ids.begin(), alone.ids.end(), tokens.ids.begin() + static_cast<std::ptrdiff_t>(begin)),
            "and they are those that it has alone");
  }
  check(tokenizer.encode(tokens, options), tokenizer, text, {});
}

/// Ids and their strings, and offsets in other units, say the same.
void check_names(const Tokenizer& tokenizer, const Encoding& encoding, std::string_view text) {
  for (const std::uint32_t id : encoding.ids) {
    const auto& added = tokenizer.special_tokens().added_tokens;
    const auto its = std::find_if(added.begin(), added.end(), [&](const auto& token) { return token.id == id; });
    const std::string_view name = its == added.end() ? tokenizer.token(id) : its->content;
    const auto found = tokenizer.id(name);
    require(found && (*found == id || tokenizer.token(*found) == name), "a token is found by its string");
  }
  const bertha::OffsetConverter code_points(text, bertha::OffsetUnit::code_point),
      utf16(text, bertha::OffsetUnit::utf16);
  for (std::size_t at = 0, before = 0, units = 0; at <= text.size(); ++at) {
    if (!is_border(text, at)) continue;
    require(code_points(at) == before && utf16(at) == units, "offsets in other units");
    ++before;
    units += at < text.size() && static_cast<unsigned char>(text[at]) >= 0xF0 ? 2u : 1u;
  }
}

/// Byte-level tokens give back the text that they are made of, all of it together and each its part.
void check_text_of_bytes(const Kind& kind, const bertha::TokenSequence& tokens, std::string_view text) {
  const auto& config = kind.file.tokenizer();
  if (!std::holds_alternative<bertha::ByteBpeOptions>(config.model) || !config.normalizer.empty()) return;
  const auto is_own = [&](std::uint32_t id) {
    const auto& special = kind.tokenizer.special_tokens();
    return id != special.unk_token_id && std::none_of(special.added_tokens.begin(), special.added_tokens.end(),
                                                      [&](const auto& added) { return added.id == id; });
  };
  if (!std::all_of(tokens.ids.begin(), tokens.ids.end(), is_own)) return;
  const std::string decoded = kind.tokenizer.decode(tokens.ids, false);
  require(decoded == text || decoded == " " + std::string(text), "the tokens decode to the text");
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string its = kind.tokenizer.decode(std::span(&tokens.ids[i], 1), false);
    const auto [start, end] = tokens.offsets[i];
    require(
        its.find("\xEF\xBF\xBD") != std::string::npos || its.find(text.substr(start, end - start)) != std::string::npos,
        "what a token covers is what it decodes to");
  }
}

/// All windows of a text together have all of its tokens, each as in the text, and share as many as they should.
void check_windows(const Kind& kind, const std::string& text, const EncodeOptions& options) {
  const Encoding whole = kind.tokenizer.encode(text, {.split_special_tokens = options.split_special_tokens});
  std::vector<std::uint32_t> expected, found;
  for (std::size_t i = 0; i < whole.size(); ++i)
    if (!whole.special[i]) expected.push_back(whole.ids[i]);
  const auto windows = kind.tokenizer.encode_windows(text, options);
  require(!windows.empty(), "there is a window");
  for (std::size_t w = 0; w < windows.size(); ++w) {
    check(windows[w], kind.tokenizer, text, {});
    require(windows[w].size() <= options.max_length, "no window is too long");
    std::vector<std::uint32_t> ids;
    for (std::size_t i = 0; i < windows[w].size(); ++i)
      if (!windows[w].special[i]) ids.push_back(windows[w].ids[i]);
    const std::size_t shared = w == 0 ? 0 : options.stride;
    require(ids.size() >= shared && found.size() >= shared &&
                std::equal(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(shared),
                           found.end() - static_cast<std::ptrdiff_t>(shared)),
            "neighbours share what the stride says");
    found.insert(found.end(), ids.begin() + static_cast<std::ptrdiff_t>(shared), ids.end());
  }
  require(found == expected, "windows have all tokens of the text");
  require(windows[0].ids == kind.tokenizer.encode(text, options).ids, "the first window is what truncation keeps");
  const auto again = kind.tokenizer.encode_windows(kind.tokenizer.tokens(text, options), options);
  require(std::equal(windows.begin(), windows.end(), again.begin(), again.end(), equal), "windows of its tokens");
}

void check_text(const Kind& kind, const std::string& text, const std::string& pair, const EncodeOptions& options) {
  const EncodeOptions plain = {.add_special_tokens = options.add_special_tokens,
                               .split_special_tokens = options.split_special_tokens};
  const Tokenizer& tokenizer = kind.tokenizer;
  const auto tokens = tokenizer.tokens(text, plain);
  check_words(kind, tokens);
  const Encoding alone = tokenizer.encode(text, plain);
  check(alone, tokenizer, text, {});
  require(equal(alone, tokenizer.encode(tokens, plain)), "an encoding is that of its tokens");
  check_names(tokenizer, alone, text);
  check_text_of_bytes(kind, tokens, text);
  check_given_words(tokenizer, text, plain);
  static Encoding again;  // with what other texts and tokenizers have left in it
  tokenizer.encode_into(again, text, std::nullopt, plain);
  require(equal(alone, again), "memory that is used again changes nothing");
  const std::string decoded = tokenizer.decode(alone.ids, false);
  require(bertha::replace_invalid_utf8(decoded) == decoded, "what is decoded is UTF-8");
  check(tokenizer.encode(text, pair, plain), tokenizer, text, pair);
  if (options.truncation == bertha::Truncation::none) return;
  try {
    check_windows(kind, text, options);
  } catch (const bertha::Error& error) {
    require(error.code() == bertha::ErrorCode::input, "an option that can't be kept is the input's fault");
  }
  try {
    const Encoding both = tokenizer.encode(text, pair, options);
    check(both, tokenizer, text, pair);
    require(both.size() <= options.max_length, "a pair is not too long");
    for (const Encoding& window : tokenizer.encode_windows(text, pair, options)) {
      check(window, tokenizer, text, pair);
      require(window.size() <= options.max_length, "no window of a pair is too long");
    }
  } catch (const bertha::Error& error) {
    require(error.code() == bertha::ErrorCode::input, "and so of a pair");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Kind> all = kinds();
  Input input(data, std::min<std::size_t>(size, 4096));
  const Kind& kind = all[input.below(all.size())];
  EncodeOptions options;
  const std::uint32_t flags = input.byte();
  options.add_special_tokens = (flags & 1) == 0;
  options.split_special_tokens = (flags & 2) != 0;
  options.truncation = static_cast<bertha::Truncation>(flags >> 2 & 3);
  if (options.truncation != bertha::Truncation::none) {
    options.max_length = input.byte();
    options.stride = input.byte();
  }
  const std::string given = input.rest();
  std::string text = given.substr(0, given.find('\0')), pair = given.substr(std::min(text.size() + 1, given.size()));
  const std::string valid = bertha::replace_invalid_utf8(text);
  if (valid != text) {
    try {
      kind.tokenizer.encode(text);
      require(false, "what is not UTF-8 is refused");
    } catch (const bertha::Error& error) {
      require(error.code() == bertha::ErrorCode::input, "as the input's fault");
    }
  }
  check_text(kind, valid, bertha::replace_invalid_utf8(pair), options);
  return 0;
}
