// One text to a vector, or to one for each of its tokens: the task of Embedder.
//
// Equals `SentenceTransformer.encode` of sentence-transformers (6.2.0, float32), and, for tokens, transformers'
// `feature-extraction` pipeline (5.23.0).

#pragma once

#include <bertha/heads/sentence_embedding.hpp>
#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/option_checks.hpp>
#include <bertha/pipelines/task.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// The vector of a text, or those of its tokens.
struct EmbeddingResult {
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::vector<float> values;  // [rows, cols]
  InputInfo info;             ///< of the text without its prompt, but for `n_tokens` and `n_unknown`, which count all

  auto begin() const { return values.begin(); }
  auto end() const { return values.end(); }
  std::size_t size() const { return values.size(); }
  float operator[](std::size_t i) const { return values[i]; }
  std::span<const float> row(std::size_t r) const { return {values.data() + r * cols, cols}; }
};

/// How to embed. Prompts, and what isn't set, are as the model file has them.
struct EmbeddingOptions {
  std::optional<std::string> prompt_name = {};  ///< the prompt before each text, by its name in the file
  std::optional<std::string> prompt = {};       ///< the prompt itself; "" for none where the file has a default
  std::size_t dimensions = 0;          ///< elements that a vector is cut to, before it is normalised; 0: all of them
  std::optional<bool> normalize = {};  ///< vectors have the length 1
  std::optional<PoolingMode> pooling = {};  ///< how hidden states become a vector
  bool tokens = false;                      ///< a vector for each token, special tokens included: their hidden states
  bool truncation = true;                   ///< cut texts that are too long; else they are errors
  std::size_t max_length = 0;               ///< of a text with its prompt, in tokens; 0: the model's
};

/// The task of one call; the tokenizer, the configuration and the options must outlive it.
class EmbeddingTask {
 public:
  using Input = std::string_view;
  using Options = EmbeddingOptions;
  using Result = EmbeddingResult;
  static constexpr std::string_view noun = "text";

  /// Throws Error{input} for a prompt that the model lacks, and for options that contradict each other.
  EmbeddingTask(const Tokenizer& tokenizer, const ModelConfig& config, const EmbeddingOptions& options);

  /// Throws Error{input} for what the model's head can't give.
  SentenceEmbedding head(const SentenceEmbedding& loaded) const { return loaded.with(choice_); }

  std::vector<Encoding> encode(std::string_view text, const Stop& stop) const;
  EmbeddingResult decode(std::string_view text, std::span<const Encoding> windows,
                         std::span<const MatrixView<const float>> vectors) const;

 private:
  EncodeOptions encode_options(const Stop& stop) const;

  const Tokenizer& tokenizer_;
  const ModelConfig& config_;
  const EmbeddingOptions& options_;
  std::string_view prompt_;
  EmbeddingChoice choice_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

namespace detail {

/// The text of the prompt that the options, or else the file, name.
inline std::string_view prompt_of(const ModelConfig& config, const EmbeddingOptions& options) {
  if (options.prompt && options.prompt_name)
    throw_error(ErrorCode::input,
                {"both prompt and prompt_name are given; expected the text of a prompt, or its name"});
  if (options.prompt) return *options.prompt;
  const EmbeddingConfig none;
  const EmbeddingConfig& embedding = config.embedding ? *config.embedding : none;
  const std::optional<std::string>& name = options.prompt_name ? options.prompt_name : embedding.default_prompt;
  if (!name) return {};
  std::string names;
  for (const auto& [known, text] : embedding.prompts) {
    if (known == *name) return text;
    names += concat({names.empty() ? "" : ", ", shown(known)});
  }
  throw_error(ErrorCode::input, {"the model has no prompt ", shown(*name), "; ",
                                 names.empty() ? "it has none" : concat({"it has ", names})});
}

}  // namespace detail

BERTHA_FUNCTION EmbeddingTask::EmbeddingTask(const Tokenizer& tokenizer, const ModelConfig& config,
                                             const EmbeddingOptions& options)
    : tokenizer_(tokenizer), config_(config), options_(options), prompt_(detail::prompt_of(config, options)) {
  detail::require_cut(options.max_length, options.truncation);
  require_utf8(prompt_, "prompt");
  choice_.tokens = options.tokens;
  choice_.pooling = options.pooling;
  choice_.dimensions = options.dimensions;
  choice_.normalize = options.normalize.value_or(config.embedding && config.embedding->normalize && !options.tokens);
  if (!prompt_.empty() && config.embedding && !config.embedding->include_prompt && !options.tokens) {
    const Encoding alone = tokenizer_.encode(prompt_, encode_options({}));  // without the special token at its end
    choice_.skipped = alone.size() - static_cast<std::size_t>(alone.size() > 0 && alone.special.back());
  }
}

BERTHA_FUNCTION EncodeOptions EmbeddingTask::encode_options(const Stop& stop) const {
  return detail::cut_options(options_.truncation, options_.max_length, config_, stop);
}

BERTHA_FUNCTION std::vector<Encoding> EmbeddingTask::encode(std::string_view text, const Stop& stop) const {
  require_utf8(text, "");
  std::vector<Encoding> windows;
  if (prompt_.empty())
    windows.push_back(tokenizer_.encode(text, encode_options(stop)));
  else
    windows.push_back(tokenizer_.encode(std::string(prompt_).append(text), encode_options(stop)));
  return windows;
}

BERTHA_FUNCTION EmbeddingResult EmbeddingTask::decode(std::string_view, std::span<const Encoding> windows,
                                                      std::span<const MatrixView<const float>> vectors) const {
  const MatrixView<const float>& rows = vectors[0];
  EmbeddingResult result{
      rows.rows, rows.cols, {rows.data, rows.data + rows.rows * rows.cols}, detail::input_info(windows)};
  Span& covered = result.info.covered;
  const auto prompt = static_cast<std::uint32_t>(prompt_.size());
  covered = {std::max(covered.start, prompt) - prompt, std::max(covered.end, prompt) - prompt};
  return result;
}

#endif

BERTHA_NAMESPACE_END
