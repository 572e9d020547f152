// Text classification: a text, or a pair, to labels with scores.

#pragma once

#include <bertha/heads/sequence_classification.hpp>
#include <bertha/pipelines/classification_task.hpp>
#include <bertha/pipelines/pipeline.hpp>

BERTHA_NAMESPACE_BEGIN

/// The best label of a text.
struct Classification {
  std::string label;
  float score = 0;
  InputInfo info;
};

/// A model with a sequence classification head. Immutable, cheap to copy, shared by any number of threads.
/// A text that is too long for the model is an error unless the options allow truncation.
class TextClassifier : public Pipeline<ClassificationTask, SequenceClassification> {
 public:
  using Pipeline::Pipeline;

  /// `source` is a path, or bytes on a 64-byte boundary. Throws what Model::load throws.
  template <class Source>
  static TextClassifier load(const Source& source, const LoadOptions& options = {}) {
    return TextClassifier(Model::load(source, options));
  }

  /// The best label. Throws Error{input} when the text is too long for the model or not valid UTF-8.
  Classification operator()(const TextInput& input) const {
    ClassificationResult result = run(input, {.top_k = 1});
    return {std::move(result.labels.front().label), result.labels.front().score, result.info};
  }
};

BERTHA_NAMESPACE_END
