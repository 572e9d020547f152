// Embeddings: a text to a vector, near to those of texts that mean the same.

#pragma once

#include <bertha/heads/sentence_embedding.hpp>
#include <bertha/pipelines/embedding_task.hpp>
#include <bertha/pipelines/pipeline.hpp>
#include <bertha/pipelines/similarity.hpp>
#include <span>

BERTHA_NAMESPACE_BEGIN

/// A model that makes vectors of texts: of a sentence-transformers folder, or any encoder with
/// `EmbeddingOptions::pooling` or `tokens`. Immutable, cheap to copy, shared by any number of threads. The vector of a
/// text is the same to the bit alone, in any batch, in any order and at any number of threads.
/// A text that is too long for the model is cut, as sentence-transformers does, unless the options don't allow it.
class Embedder : public Pipeline<EmbeddingTask, SentenceEmbedding> {
 public:
  using Pipeline::Pipeline;

  /// `source` is a path, or bytes on a 64-byte boundary. Throws what Model::load throws.
  template <class Source>
  static Embedder load(const Source& source, const LoadOptions& options = {}) {
    return Embedder(Model::load(source, options));
  }

  /// The vector of a text. Throws Error{input} when it is not valid UTF-8, or the file doesn't say how to pool.
  EmbeddingResult operator()(std::string_view text) const { return run(text); }

  /// How alike two vectors are by the model's own measure: larger is more alike. Throws Error{input} for vectors of
  /// different sizes.
  float similarity(std::span<const float> a, std::span<const float> b) const {
    return bertha::similarity(config().embedding ? config().embedding->similarity : Similarity::cosine, a, b);
  }
  float similarity(const EmbeddingResult& a, const EmbeddingResult& b) const {
    return similarity(std::span(a.values), std::span(b.values));
  }
};

BERTHA_NAMESPACE_END
