// One vector for a text: [S, D] of S sequences; or, as feature extraction has it, one for each token: [T, H].

#pragma once

#include <bertha/encoder/pooler.hpp>
#include <bertha/heads/head.hpp>
#include <optional>

BERTHA_NAMESPACE_BEGIN

/// What a call wants of the hidden states, where that isn't what the file says.
struct EmbeddingChoice {
  bool tokens = false;                      ///< those of each token, in place of a vector for all of them
  std::optional<PoolingMode> pooling = {};  ///< in place of the file's
  std::size_t skipped = 0;                  ///< tokens at the start of each sequence that aren't pooled
  std::size_t dimensions = 0;               ///< elements that vectors are cut to, before they are normalised; 0: all
  bool normalize = false;                   ///< vectors have the length 1
};

/// Equals the modules Pooling, Dense, LayerNorm and Normalize of sentence-transformers (6.2.0). Of a file without a
/// head it gives the hidden states of all tokens, unless a call chooses. Immutable; any number of threads may call it,
/// with a workspace each.
class SentenceEmbedding {
 public:
  using Output = Logits;
  /// Takes `head.*`. Throws Error{missing_tensor | shape | unsupported}.
  static SentenceEmbedding load(WeightFile& file, const ModelConfig& config) {
    if (config.head != HeadKind::none) require_head(file, config, HeadKind::embedding);
    SentenceEmbedding head;
    head.hidden_size_ = config.hidden_size;
    if (!config.embedding) return head;
    head.has_layers_ = !config.embedding->pooler.layers.empty();
    head.pooler_.emplace(file, config.embedding->pooler, config.hidden_size);
    head.choice_.normalize = config.embedding->normalize;
    head.gives = Gives::sequence_rows;
    head.set_reads();
    return head;
  }

  /// This head for one call. Throws Error{input} where the choice can't be had.
  SentenceEmbedding with(const EmbeddingChoice& choice) const;

  Logits operator()(const EncoderOutput& output, Workspace& work) const {
    const FloatEnvironment environment;
    const MatrixView<const float> vectors =
        gives == Gives::token_rows ? output.hidden : (*pooler_)(output.hidden, output.starts, work, choice_.skipped);
    Logits rows{vectors.rows, choice_.dimensions == 0 ? vectors.cols : choice_.dimensions, {}};
    rows.values.reserve(rows.rows * rows.cols);
    for (std::size_t r = 0; r < rows.rows; ++r) {
      rows.values.insert(rows.values.end(), vectors.row(r), vectors.row(r) + rows.cols);
      if (choice_.normalize) detail::divide_by_length(rows.values.data() + r * rows.cols, rows.cols);
    }
    return rows;
  }

  Reads reads = Reads::tokens;      ///< as the choice has it
  Gives gives = Gives::token_rows;  ///< likewise

 private:
  SentenceEmbedding() = default;

  void set_reads() {
    const bool first_only = gives == Gives::sequence_rows && pooler_ && pooler_->reads_first() && choice_.skipped == 0;
    reads = first_only ? Reads::first_tokens : Reads::tokens;
  }

  std::size_t hidden_size_ = 0;
  bool has_layers_ = false;
  std::optional<Pooler> pooler_;
  EmbeddingChoice choice_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION SentenceEmbedding SentenceEmbedding::with(const EmbeddingChoice& choice) const {
  SentenceEmbedding head = *this;
  head.choice_ = choice;
  head.gives = choice.tokens ? Gives::token_rows : Gives::sequence_rows;
  if (choice.pooling) {
    if (*choice.pooling > PoolingMode::weighted_mean)
      throw_error(ErrorCode::input,
                  {"pooling is ", static_cast<int>(*choice.pooling), ", which is none of PoolingMode's values"});
    if (choice.tokens)
      throw_error(ErrorCode::input, {"pooling '", to_string(*choice.pooling),
                                     "' makes one vector, but one for each token is asked for; leave one of them out"});
    if (has_layers_)
      throw_error(ErrorCode::input, {"the model has layers after its own pooling, which vectors pooled by '",
                                     to_string(*choice.pooling), "' are not for; leave the option out"});
    head.pooler_.emplace(std::vector{*choice.pooling}, hidden_size_);
  }
  if (!choice.tokens && !head.pooler_)
    throw_error(ErrorCode::input, {"the model file doesn't say how hidden states become one vector; name a pooling "
                                   "(first, mean, max, last, mean_sqrt_len, weighted_mean), ask for a vector for each "
                                   "token, or convert the folder with --pooling"});
  const std::size_t size = choice.tokens ? hidden_size_ : head.pooler_->size();
  if (choice.dimensions > size)
    throw_error(ErrorCode::input, {"vectors can't be cut to ", choice.dimensions, " dimensions: they have ", size});
  head.set_reads();
  return head;
}

#endif

BERTHA_NAMESPACE_END
