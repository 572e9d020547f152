// Named entities: a text to labelled tokens, or to entities of several tokens, with their places in the text.

#pragma once

#include <bertha/heads/token_classification.hpp>
#include <bertha/pipelines/entity_task.hpp>
#include <bertha/pipelines/pipeline.hpp>

BERTHA_NAMESPACE_BEGIN

/// A model with a token classification head. Immutable, cheap to copy, shared by any number of threads.
/// A text that is too long for the model is an error unless the options say what to do: with a stride it is read in
/// windows; with truncation it is cut, and entities in the rest are not found.
class EntityRecognizer : public Pipeline<EntityTask, TokenClassification> {
 public:
  using Pipeline::Pipeline;

  /// `source` is a path, or bytes on a 64-byte boundary. Throws what Model::load throws.
  template <class Source>
  static EntityRecognizer load(const Source& source, const LoadOptions& options = {}) {
    return EntityRecognizer(Model::load(source, options));
  }

  /// The labelled tokens of a text, without those labelled O. Throws Error{input} when the text is too long for the
  /// model or not valid UTF-8.
  Entities operator()(const EntityInput& input) const { return run(input); }
};

BERTHA_NAMESPACE_END
