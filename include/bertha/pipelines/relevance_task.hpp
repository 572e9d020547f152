// A query and a text to how relevant the text is: the task of Reranker.
//
// Equals `CrossEncoder.predict` of sentence-transformers (6.2.0, float32) for models with one output.

#pragma once

#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/option_checks.hpp>
#include <bertha/pipelines/task.hpp>
#include <span>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// How relevant a text is. A sigmoid near 0 or 1 rounds logits that differ to the same score: order by the logit.
struct Relevance {
  float score = 0;
  float logit = 0;
  InputInfo info;
};

/// How to score.
struct RelevanceOptions {
  ScoreFunction score = ScoreFunction::automatic;  ///< what makes a score of the logit; automatic: as the model has it
  bool truncation = true;                          ///< cut pairs that are too long, the longer text first; else errors
  std::size_t max_length = 0;                      ///< of a pair, in tokens; 0: the model's
};

/// The task of one call; the tokenizer, the configuration and the options must outlive it.
class RelevanceTask {
 public:
  using Input = TextInput;
  using Options = RelevanceOptions;
  using Result = Relevance;
  static constexpr std::string_view noun = "text";

  /// Throws Error{unsupported} for a model of several outputs, Error{input} for options that contradict each other.
  RelevanceTask(const Tokenizer& tokenizer, const ModelConfig& config, const RelevanceOptions& options);

  /// The tokens of the query and, `text_pair`, the text. Throws Error{input} where there is no pair.
  std::vector<Encoding> encode(const TextInput& input, const Stop& stop) const;
  Relevance decode(const TextInput& input, std::span<const Encoding> windows,
                   std::span<const MatrixView<const float>> logits) const;

 private:
  const Tokenizer& tokenizer_;
  const ModelConfig& config_;
  const RelevanceOptions& options_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION RelevanceTask::RelevanceTask(const Tokenizer& tokenizer, const ModelConfig& config,
                                             const RelevanceOptions& options)
    : tokenizer_(tokenizer), config_(config), options_(options) {
  if (config.labels.size() != 1)
    throw_error(ErrorCode::unsupported, {"the model has ", config.labels.size(),
                                         " outputs, which no text can be ranked by; expected one; for their scores "
                                         "take the text classifier"});
  detail::require_value("score", options.score, ScoreFunction::sigmoid, "ScoreFunction's");
  detail::require_cut(options.max_length, options.truncation);
}

BERTHA_FUNCTION std::vector<Encoding> RelevanceTask::encode(const TextInput& input, const Stop& stop) const {
  if (!input.text_pair) throw_error(ErrorCode::input, {"a query has no text to go with it; expected a pair"});
  require_utf8(input.text, "query");
  require_utf8(*input.text_pair, "text");
  EncodeOptions encode = detail::cut_options(options_.truncation, options_.max_length, config_, stop);
  encode.text_name = "query";
  encode.text_pair_name = "text";
  std::vector<Encoding> windows;
  windows.push_back(tokenizer_.encode(input.text, *input.text_pair, encode));
  return windows;
}

BERTHA_FUNCTION Relevance RelevanceTask::decode(const TextInput&, std::span<const Encoding> windows,
                                                std::span<const MatrixView<const float>> logits) const {
  const float logit = logits[0](0, 0);
  Relevance relevance{logit, logit, detail::input_info(windows, 1)};
  const ScoreFunction function = options_.score == ScoreFunction::automatic ? config_.score_function : options_.score;
  if (function != ScoreFunction::none) kernels::table().sigmoid(&relevance.score, 1);
  return relevance;
}

#endif

BERTHA_NAMESPACE_END
