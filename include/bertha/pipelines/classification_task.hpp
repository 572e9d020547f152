// One text, or a pair, to labels with scores: the task of TextClassifier.
//
// Equals transformers' `text-classification` pipeline (5.23.0: pipelines/text_classification.py, float32).

#pragma once

#include <algorithm>
#include <bertha/pipelines/classification_options.hpp>
#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/label_score.hpp>
#include <bertha/pipelines/mean.hpp>
#include <bertha/pipelines/option_checks.hpp>
#include <bertha/pipelines/task.hpp>
#include <optional>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// What one window of a text says by itself.
struct ClassifiedWindow {
  std::vector<LabelScore> labels;         ///< as many as of the text, best first
  Span covered = {};                      ///< bytes of the text
  std::optional<Span> covered_pair = {};  ///< bytes of its pair, if it has one
};

/// The labels of a text, best first; equal scores in the order of the logits.
struct ClassificationResult {
  std::vector<LabelScore> labels;
  InputInfo info;
  std::vector<ClassifiedWindow> windows = {};  ///< in their order; none unless ClassificationOptions::windows is set

  auto begin() const { return labels.begin(); }
  auto end() const { return labels.end(); }
  std::size_t size() const { return labels.size(); }
  const LabelScore& operator[](std::size_t i) const { return labels[i]; }
};

/// The task of one call; the tokenizer, the configuration and the options must outlive it.
class ClassificationTask {
 public:
  using Input = TextInput;
  using Options = ClassificationOptions;
  using Result = ClassificationResult;
  static constexpr std::string_view noun = "text";

  /// Throws Error{input} for options that contradict each other.
  ClassificationTask(const Tokenizer& tokenizer, const ModelConfig& config, const ClassificationOptions& options);

  /// The tokens of a text or a pair, one window unless the options say otherwise; an empty text_pair is none, as in
  /// transformers.
  std::vector<Encoding> encode(const TextInput& input, const Stop& stop) const;
  /// logits [1, L] of each window.
  ClassificationResult decode(const TextInput& input, std::span<const Encoding> windows,
                              std::span<const MatrixView<const float>> logits) const;

 private:
  void choose_function();
  std::vector<float> scores_of(MatrixView<const float> logits) const;
  std::vector<float> reduced(const std::vector<float>& scores, std::size_t n_windows) const;

  const Tokenizer& tokenizer_;
  const ModelConfig& config_;
  const ClassificationOptions& options_;
  FunctionToApply function_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION ClassificationTask::ClassificationTask(const Tokenizer& tokenizer, const ModelConfig& config,
                                                       const ClassificationOptions& options)
    : tokenizer_(tokenizer), config_(config), options_(options), function_(options.function_to_apply) {
  if (options.top_k == std::size_t{0})
    throw_error(ErrorCode::input, {"top_k is 0; expected at least 1, or unset for all labels"});
  detail::require_cut(options.max_length, options.truncation != Truncation::none || options.windows);
  if (options.windows) {
    detail::require_value("reduce", options.windows->reduce, Reduce::first, "Reduce's");
    detail::require_stride(options.windows->stride, detail::kept_tokens(options.max_length, config),
                           tokenizer.special_tokens());
  }
  detail::require_value("function_to_apply", function_, FunctionToApply::none, "FunctionToApply's");
  choose_function();
}

BERTHA_FUNCTION void ClassificationTask::choose_function() {
  if (function_ != FunctionToApply::automatic) return;
  if (config_.problem_type == ProblemType::regression)
    function_ = FunctionToApply::none;
  else if (config_.problem_type == ProblemType::multi_label_classification || config_.labels.size() == 1)
    function_ = FunctionToApply::sigmoid;
  else
    function_ = FunctionToApply::softmax;
}

BERTHA_FUNCTION std::vector<Encoding> ClassificationTask::encode(const TextInput& input, const Stop& stop) const {
  EncodeOptions encode;
  encode.stop = stop;
  encode.split_special_tokens = options_.split_special_tokens;
  encode.truncation = options_.truncation;
  if (options_.windows) {
    encode.stride = options_.windows->stride;
    if (encode.truncation == Truncation::none) encode.truncation = Truncation::longest_first;
  }
  if (encode.truncation != Truncation::none) encode.max_length = detail::kept_tokens(options_.max_length, config_);
  const bool is_pair = input.text_pair && !input.text_pair->empty();
  require_utf8(input.text, is_pair ? "text" : "");
  if (is_pair) require_utf8(*input.text_pair, "text_pair");
  if (options_.windows)
    return is_pair ? tokenizer_.encode_windows(input.text, *input.text_pair, encode)
                   : tokenizer_.encode_windows(input.text, encode);
  std::vector<Encoding> windows;
  windows.push_back(is_pair ? tokenizer_.encode(input.text, *input.text_pair, encode)
                            : tokenizer_.encode(input.text, encode));
  return windows;
}

BERTHA_FUNCTION ClassificationResult ClassificationTask::decode(const TextInput& input,
                                                                std::span<const Encoding> windows,
                                                                std::span<const MatrixView<const float>> logits) const {
  const std::size_t n = options_.top_k.value_or(config_.labels.size());
  ClassificationResult result{{}, detail::input_info(windows)};
  std::vector<float> all;  // scores [windows, L]
  for (std::size_t w = 0; w < windows.size(); ++w) {
    const std::vector<float> scores = scores_of(logits[w]);
    all.insert(all.end(), scores.begin(), scores.end());
    if (!options_.windows) continue;
    const auto window = windows.subspan(w, 1);
    result.windows.push_back({detail::best_labels(scores, config_.labels, n), detail::input_info(window).covered, {}});
    if (input.text_pair && !input.text_pair->empty())
      result.windows.back().covered_pair = detail::input_info(window, 1).covered;
  }
  result.labels = detail::best_labels(reduced(all, windows.size()), config_.labels, n);
  return result;
}

BERTHA_FUNCTION std::vector<float> ClassificationTask::scores_of(MatrixView<const float> logits) const {
  std::vector<float> scores(logits.row(0), logits.row(0) + logits.cols);
  if (function_ == FunctionToApply::softmax) kernels::table().softmax(scores.data(), scores.size());
  if (function_ == FunctionToApply::sigmoid) kernels::table().sigmoid(scores.data(), scores.size());
  return scores;
}

/// A score for each label, of scores [windows, L].
BERTHA_FUNCTION std::vector<float> ClassificationTask::reduced(const std::vector<float>& scores,
                                                               std::size_t n_windows) const {
  const std::size_t n_labels = config_.labels.size();
  std::vector<float> one(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(n_labels));  // of the first
  const Reduce reduce = options_.windows ? options_.windows->reduce : Reduce::first;
  for (std::size_t label = 0; label < n_labels && reduce == Reduce::mean; ++label)
    one[label] = detail::mean(&scores[label], n_windows, n_labels);
  for (std::size_t i = n_labels; i < scores.size() && reduce == Reduce::max; ++i)
    one[i % n_labels] = std::max(one[i % n_labels], scores[i]);
  return one;
}

#endif

BERTHA_NAMESPACE_END
