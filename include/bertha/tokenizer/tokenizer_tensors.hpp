// The tensors of a tokenizer, where they lie.

#pragma once

#include <bertha/config.hpp>
#include <bertha/file/model_file.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <variant>

BERTHA_NAMESPACE_BEGIN

/// What a file has for the vocabulary of a kind, and for its normaliser. Nothing is copied.
struct TokenizerTensors {
  std::string_view text;                   ///< token i is text[offsets[i], offsets[i + 1])
  std::span<const std::uint32_t> offsets;  ///< vocab_size + 1
  std::span<const std::uint32_t> merges;   ///< BPE: pairs of ids in the order of their ranks
  std::span<const std::uint32_t> trie;     ///< Unigram: a DoubleArray from tokens to ids + 1
  std::span<const double> scores;          ///< Unigram: by id
  std::string_view charsmap_text;          ///< what the step `charsmap` puts in place of characters, as `text`
  std::span<const std::uint32_t> charsmap_offsets;
  std::span<const std::uint32_t> charsmap_trie;  ///< a DoubleArray from characters to replacements + 1
};

/// Takes the tensors `tokenizer.*` of a file, of which `file.keep_alive()` holds the bytes.
/// Throws Error{missing_tensor | shape}.
BERTHA_FUNCTION TokenizerTensors take_tokenizer_tensors(WeightFile& file);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION TokenizerTensors take_tokenizer_tensors(WeightFile& file) {
  TokenizerTensors its;
  const TokenizerConfig& config = file.tokenizer();
  const auto padded = [](std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; };
  const auto take_numbers = [&](std::string_view name, std::size_t n) {
    return file.take<std::uint32_t>(name, {padded(n, 16)}).first(n);
  };
  const auto take_strings = [&](std::string_view name, std::size_t n, std::span<const std::uint32_t>& offsets) {
    offsets = take_numbers(join(name, "offsets"), n + 1);
    const std::size_t n_bytes = offsets.back();  // read once: what a file says twice may differ
    const auto bytes = file.take<std::uint8_t>(join(name, "text"), {padded(n_bytes, 64)});
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), n_bytes);
  };
  const auto take_trie = [&](std::string_view name) {  // of any size: units that are free fill it up
    const auto& shape = file.shape(name);
    return file.take<std::uint32_t>(name, {shape.empty() ? 0 : shape.front()});
  };
  its.text = take_strings("tokenizer.vocab", config.vocab_size, its.offsets);
  if (const auto* options = std::get_if<ByteBpeOptions>(&config.model)) {
    its.merges = take_numbers("tokenizer.merges", 2 * options->num_merges);
  } else if (const auto* bpe = std::get_if<BpeOptions>(&config.model)) {
    its.merges = take_numbers("tokenizer.merges", 2 * bpe->num_merges);
  } else if (std::holds_alternative<UnigramOptions>(config.model)) {
    its.trie = take_trie("tokenizer.vocab.trie");
    its.scores = file.take<double>("tokenizer.scores", {padded(config.vocab_size, 8)}).first(config.vocab_size);
  }
  for (const NormalizerStep& step : config.normalizer) {
    if (step.kind != NormalizerStep::Kind::charsmap) continue;
    its.charsmap_text = take_strings("tokenizer.charsmap", step.num_replacements, its.charsmap_offsets);
    its.charsmap_trie = take_trie("tokenizer.charsmap.trie");
  }
  return its;
}

#endif

BERTHA_NAMESPACE_END
