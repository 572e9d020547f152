// One text and labels that the call names to a score for each: the task of ZeroShotClassifier.
//
// Equals transformers' `zero-shot-classification` pipeline (5.23.0: pipelines/zero_shot_classification.py, float32). A
// model of natural language inference reads the text with a sentence for each label, and says whether the one entails
// the other.

#pragma once

#include <algorithm>
#include <bertha/pipelines/classification_task.hpp>
#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/task.hpp>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Hugging Face's names and meanings, but for the last.
struct ZeroShotOptions {
  std::vector<std::string> candidate_labels = {};  ///< at least one
  /// Python's format string: {} stands for the label, or {0} as often as one likes; {{ and }} are braces.
  std::string hypothesis_template = "This example is {}.";
  bool multi_label = false;  ///< scores are independent of each other; else they are shares of 1
  /// The model's label for "the text entails it"; empty: the first one that begins with "entail", in any case.
  std::string entailment_label = {};
};

/// The candidate labels, best first; of equal scores the label that was named last comes first.
struct ZeroShotResult {
  std::vector<LabelScore> labels;
  InputInfo info;  ///< `n_tokens` counts those of all pairs

  auto begin() const { return labels.begin(); }
  auto end() const { return labels.end(); }
  std::size_t size() const { return labels.size(); }
  const LabelScore& operator[](std::size_t i) const { return labels[i]; }
};

/// The task of one call; the tokenizer, the configuration and the options must outlive it.
class ZeroShotTask {
 public:
  using Input = std::string_view;
  using Options = ZeroShotOptions;
  using Result = ZeroShotResult;
  static constexpr std::string_view noun = "text";

  /// Throws Error{input} without labels, for a template that has no place for one, and for a model that has no label
  /// for entailment.
  ZeroShotTask(const Tokenizer& tokenizer, const ModelConfig& config, const ZeroShotOptions& options);

  /// The text with each hypothesis, cut to what the model takes; hypotheses are never cut.
  std::vector<Encoding> encode(std::string_view text, const Stop& stop) const;
  /// logits [1, L] of each pair.
  ZeroShotResult decode(std::string_view text, std::span<const Encoding> pairs,
                        std::span<const MatrixView<const float>> logits) const;
  /// What is held of a text while its pairs run, in bytes of text.
  std::size_t weight(std::string_view text) const { return text.size() * hypotheses_.size() + hypotheses_size_; }

 private:
  const Tokenizer& tokenizer_;
  const ModelConfig& config_;
  const ZeroShotOptions& options_;
  std::vector<std::string> hypotheses_;
  std::size_t hypotheses_size_ = 0;
  std::size_t entailment_, contradiction_;  // columns of the logits
};

namespace detail {

/// `hypothesis_template.format(label)`. Throws Error{input} where the label has no place in it, and for what else
/// Python's format strings may say.
BERTHA_FUNCTION std::string hypothesis_of(std::string_view hypothesis_template, std::string_view label);

/// The index of the label for entailment, which is `wanted` or, if that is empty, begins with "entail". Throws
/// Error{input} when there is none.
BERTHA_FUNCTION std::size_t entailment_column(const std::vector<std::string>& labels, std::string_view wanted);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::string hypothesis_of(std::string_view hypothesis_template, std::string_view label) {
  const auto fail = [&](const char* what) {
    throw_error(ErrorCode::input, {"hypothesis_template ", shown(hypothesis_template), " ", what,
                                   "; expected {} where the label goes, as in \"This example is {}.\", and {{ or }} "
                                   "for a brace"});
  };
  std::string hypothesis;
  std::size_t unnamed = 0, numbered = 0;
  for (std::string_view rest = hypothesis_template; !rest.empty();) {
    std::size_t taken = 1;
    if (rest.starts_with("{{") || rest.starts_with("}}")) {
      hypothesis += rest[0];
      taken = 2;
    } else if (rest.starts_with("{}") || rest.starts_with("{0}")) {
      taken = rest[1] == '}' ? 2 : 3;
      ++(taken == 2 ? unnamed : numbered);
      hypothesis += label;
    } else if (rest[0] == '{' || rest[0] == '}') {
      fail("has a brace that stands for no label");
    } else {
      hypothesis += rest[0];
    }
    rest.remove_prefix(taken);
  }
  if (unnamed + numbered == 0) fail("has no place for the label");
  if (unnamed > 1 || (unnamed == 1 && numbered > 0)) fail("has more than one {}: write {0} for each of them");
  return hypothesis;
}

BERTHA_FUNCTION std::size_t entailment_column(const std::vector<std::string>& labels, std::string_view wanted) {
  constexpr std::string_view kPrefix = "entail";
  const auto begins_so = [&](std::string_view label) {
    return label.size() >= kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), label.begin(),
                                                        [](char a, char b) { return a == (b | ('a' - 'A')); });
  };
  std::string listed;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (wanted.empty() ? begins_so(labels[i]) : labels[i] == wanted) return i;
    if (i < 8) listed += (i == 0 ? "" : ", ") + shown(labels[i]);
  }
  throw_error(ErrorCode::input,
              {"none of the model's ", labels.size(), " labels ", wanted.empty() ? "begins with \"entail\"" : "is ",
               wanted.empty() ? std::string() : shown(wanted), "; they are ", listed, labels.size() > 8 ? ", ..." : "",
               "; use a model for natural language inference, or say by entailment_label which of them it is"});
}

#endif

}  // namespace detail

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION ZeroShotTask::ZeroShotTask(const Tokenizer& tokenizer, const ModelConfig& config,
                                           const ZeroShotOptions& options)
    : tokenizer_(tokenizer),
      config_(config),
      options_(options),
      entailment_(detail::entailment_column(config.labels, options.entailment_label)),
      contradiction_(entailment_ == 0 ? config.labels.size() - 1 : 0) {
  if (options.candidate_labels.empty())
    throw_error(ErrorCode::input, {"candidate_labels is empty; expected at least one label"});
  require_utf8(options.hypothesis_template, "hypothesis_template");
  for (const std::string& label : options.candidate_labels) {
    require_utf8(label, "candidate_labels");
    hypotheses_.push_back(detail::hypothesis_of(options.hypothesis_template, label));
    hypotheses_size_ += hypotheses_.back().size();
  }
}

BERTHA_FUNCTION std::vector<Encoding> ZeroShotTask::encode(std::string_view text, const Stop& stop) const {
  if (text.empty()) throw_error(ErrorCode::input, {"the text is empty; expected some"});
  require_utf8(text, "");
  std::vector<Encoding> pairs(hypotheses_.size());
  const EncodeOptions encode = {.truncation = Truncation::only_first, .max_length = config_.max_length, .stop = stop};
  for (std::size_t i = 0; i < pairs.size(); ++i) tokenizer_.encode_into(pairs[i], text, hypotheses_[i], encode);
  return pairs;
}

BERTHA_FUNCTION ZeroShotResult ZeroShotTask::decode(std::string_view, std::span<const Encoding> pairs,
                                                    std::span<const MatrixView<const float>> logits) const {
  const std::size_t n = pairs.size();
  std::vector<float> scores(n);
  for (std::size_t i = 0; i < n; ++i) scores[i] = logits[i](0, entailment_);
  if (options_.multi_label || n == 1) {
    for (std::size_t i = 0; i < n; ++i) {
      float of_two[2] = {logits[i](0, contradiction_), scores[i]};
      kernels::table().softmax(of_two, 2);
      scores[i] = of_two[1];
    }
  } else {
    kernels::table().softmax(scores.data(), n);
  }
  ZeroShotResult result{{}, detail::input_info(pairs)};
  // transformers reads numpy's ascending order from its end. With many labels numpy's order of equal ones is an
  // accident of the CPU; this is what it is for few.
  for (const std::size_t i : sorted_indices(std::vector<double>(scores.rbegin(), scores.rend())))
    result.labels.push_back({options_.candidate_labels[n - 1 - i], scores[n - 1 - i]});
  return result;
}

#endif

BERTHA_NAMESPACE_END
