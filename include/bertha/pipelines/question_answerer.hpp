// Extractive question answering: a question and a context to the part of the context that answers it.

#pragma once

#include <bertha/heads/question_answering.hpp>
#include <bertha/pipelines/answer_task.hpp>
#include <bertha/pipelines/pipeline.hpp>

BERTHA_NAMESPACE_BEGIN

/// A model with a question answering head. Immutable, cheap to copy, shared by any number of threads.
/// A context of any length is read, in windows.
class QuestionAnswerer : public Pipeline<AnswerTask, QuestionAnswering> {
 public:
  using Pipeline::Pipeline;
  using Pipeline::run;

  /// `source` is a path, or bytes on a 64-byte boundary. Throws what Model::load throws.
  template <class Source>
  static QuestionAnswerer load(const Source& source, const LoadOptions& options = {}) {
    return QuestionAnswerer(Model::load(source, options));
  }

  /// The best answer. Throws Error{input} when the question or the context is empty or not valid UTF-8, or when the
  /// question leaves no room for the context.
  Answer operator()(std::string_view question, std::string_view context) const {
    AnswerResult result = run(question, context);
    Answer answer = result.empty() ? Answer{} : std::move(result.answers.front());
    answer.info = result.info;  // of no answer too
    return answer;
  }

  /// The `top_k` best answers. Throws Error{input | stopped}.
  AnswerResult run(std::string_view question, std::string_view context, const AnswerOptions& options = {},
                   const CallOptions& call = {}) const {
    return run(Question{question, context}, options, call);
  }
};

BERTHA_NAMESPACE_END
