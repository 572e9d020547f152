// One text, or a pair, to labels with scores: the task of TextClassifier.
//
// Equals transformers' `text-classification` pipeline (5.23.0: pipelines/text_classification.py, float32).

#pragma once

#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/task.hpp>
#include <optional>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A label and its score.
struct LabelScore {
  std::string label;
  float score = 0;
};

/// The labels of a text, best first; equal scores in the order of the logits.
struct ClassificationResult {
  std::vector<LabelScore> labels;
  InputInfo info;

  auto begin() const { return labels.begin(); }
  auto end() const { return labels.end(); }
  std::size_t size() const { return labels.size(); }
  const LabelScore& operator[](std::size_t i) const { return labels[i]; }
};

/// What turns logits into scores. `automatic`: none for regression; sigmoid for multi-label models and for a single
/// label; softmax for the others.
enum class FunctionToApply : std::uint8_t { automatic, softmax, sigmoid, none };

/// Hugging Face's names and meanings.
struct ClassificationOptions {
  std::optional<std::size_t> top_k = {};  ///< how many labels; unset: all of them
  FunctionToApply function_to_apply = FunctionToApply::automatic;
  bool truncation = false;     ///< cut a text that is too long, the longer one of a pair; else it is an error
  std::size_t max_length = 0;  ///< of a text with truncation, in tokens; 0: the model's
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

  /// The tokens of a text or a pair; an empty text_pair is none, as in transformers.
  std::vector<Encoding> encode(const TextInput& input, const Stop& stop) const;
  /// logits [1, L] of the one window.
  ClassificationResult decode(const TextInput& input, std::span<const Encoding> windows,
                              std::span<const MatrixView<const float>> logits) const;

 private:
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
  if (options.max_length != 0 && !options.truncation)
    throw_error(ErrorCode::input, {"max_length is ", options.max_length,
                                   ", but truncation is not allowed: nothing would be cut; set both or neither"});
  if (function_ > FunctionToApply::none)
    throw_error(ErrorCode::input,
                {"function_to_apply is ", static_cast<unsigned>(function_), ", which is none of FunctionToApply's"});
  if (function_ != FunctionToApply::automatic) return;
  if (config.problem_type == ProblemType::regression)
    function_ = FunctionToApply::none;
  else if (config.problem_type == ProblemType::multi_label_classification || config.labels.size() == 1)
    function_ = FunctionToApply::sigmoid;
  else
    function_ = FunctionToApply::softmax;
}

BERTHA_FUNCTION std::vector<Encoding> ClassificationTask::encode(const TextInput& input, const Stop& stop) const {
  EncodeOptions encode;
  encode.stop = stop;
  if (options_.truncation) {
    encode.truncation = Truncation::longest_first;
    encode.max_length =
        options_.max_length == 0 ? config_.max_length : std::min(options_.max_length, config_.max_length);
  }
  std::vector<Encoding> windows;
  if (input.text_pair && !input.text_pair->empty()) {
    require_utf8(input.text, "text");
    require_utf8(*input.text_pair, "text_pair");
    windows.push_back(tokenizer_.encode(input.text, *input.text_pair, encode));
  } else {
    require_utf8(input.text, "");
    windows.push_back(tokenizer_.encode(input.text, encode));
  }
  return windows;
}

BERTHA_FUNCTION ClassificationResult ClassificationTask::decode(const TextInput&, std::span<const Encoding> windows,
                                                                std::span<const MatrixView<const float>> logits) const {
  std::vector<float> scores(logits[0].row(0), logits[0].row(0) + logits[0].cols);
  if (function_ == FunctionToApply::softmax) kernels::table().softmax(scores.data(), scores.size());
  if (function_ == FunctionToApply::sigmoid) kernels::table().sigmoid(scores.data(), scores.size());

  std::vector<std::size_t> order = sorted_indices(std::vector<double>(scores.begin(), scores.end()));
  order.resize(std::min(order.size(), options_.top_k.value_or(order.size())));
  ClassificationResult result{{}, detail::input_info(windows)};
  for (const std::size_t label : order) result.labels.push_back({config_.labels[label], scores[label]});
  return result;
}

#endif

BERTHA_NAMESPACE_END
