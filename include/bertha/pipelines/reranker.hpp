// Reranking: a query and texts, to the texts in the order of how relevant they are to it.

#pragma once

#include <bertha/heads/sequence_classification.hpp>
#include <bertha/pipelines/pipeline.hpp>
#include <bertha/pipelines/relevance_task.hpp>
#include <bertha/runtime/sorted_indices.hpp>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A text and how relevant it is.
struct RankedText : Relevance {
  std::size_t index = 0;  ///< which of the texts, counted from 0
};

/// The best first, by their logits; equal ones in the order of the texts. Of several queries' `relevances`, one
/// query's.
inline std::vector<RankedText> ranked(std::span<const Relevance> relevances) {
  std::vector<double> logits;
  for (const Relevance& relevance : relevances) logits.push_back(static_cast<double>(relevance.logit));
  std::vector<RankedText> texts;
  for (const std::size_t i : sorted_indices(logits)) texts.push_back({relevances[i], i});
  return texts;
}

/// A cross-encoder: a model with a sequence classification head of one output. Immutable, cheap to copy, shared by any
/// number of threads. A pair that is too long for the model is cut, as sentence-transformers does, unless the options
/// don't allow it.
class Reranker : public Pipeline<RelevanceTask, SequenceClassification> {
 public:
  using Pipeline::Pipeline;

  /// `source` is a path, or bytes on a 64-byte boundary. Throws what Model::load throws, and Error{unsupported} for a
  /// model of several outputs.
  template <class Source>
  static Reranker load(const Source& source, const LoadOptions& options = {}) {
    const Reranker reranker(Model::load(source, options));
    RelevanceTask(reranker.model().tokenizer(), reranker.config(), RelevanceOptions());
    return reranker;
  }

  /// All of the texts, the most relevant first. Throws Error{input | stopped}; `item()` is the index of the text.
  template <InputRange<std::string_view> R>
  std::vector<RankedText> operator()(std::string_view query, R&& texts, const RelevanceOptions& options = {},
                                     const CallOptions& call = {}) const {
    std::vector<TextInput> pairs;
    for (const std::string_view text : detail::views_of<std::string_view>(std::forward<R>(texts)))
      pairs.emplace_back(query, text);
    return ranked(run(pairs, options, call));
  }
};

BERTHA_NAMESPACE_END
