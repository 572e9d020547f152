// Zero-shot classification: a text to scores of labels that no model was trained for.

#pragma once

#include <bertha/pipelines/pipeline.hpp>
#include <bertha/pipelines/text_classifier.hpp>
#include <bertha/pipelines/zero_shot_task.hpp>

BERTHA_NAMESPACE_BEGIN

/// A model of natural language inference, whose head is sequence classification. Immutable, cheap to copy, shared by
/// any number of threads. A text that is too long for the model is cut; `info.truncated` says so.
class ZeroShotClassifier : public Pipeline<ZeroShotTask, SequenceClassification> {
 public:
  using Pipeline::Pipeline;

  /// `source` is a path, or bytes on a 64-byte boundary. Throws what Model::load throws; whether the model has a label
  /// for entailment is seen by each call, whose options may name it.
  template <class Source>
  static ZeroShotClassifier load(const Source& source, const LoadOptions& options = {}) {
    return ZeroShotClassifier(Model::load(source, options));
  }

  /// The best of the labels. Throws Error{input} when the text or the list is empty or not valid UTF-8.
  Classification operator()(std::string_view text, std::vector<std::string> candidate_labels) const {
    ZeroShotResult result = run(text, {.candidate_labels = std::move(candidate_labels)});
    return {std::move(result.labels.front().label), result.labels.front().score, result.info};
  }
};

BERTHA_NAMESPACE_END
