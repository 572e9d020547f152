// One encoder layer: attention, then feed-forward, each with its residual and norm (post-norm).

#pragma once

#include <bertha/encoder/attention.hpp>
#include <bertha/encoder/feed_forward.hpp>

BERTHA_NAMESPACE_BEGIN

/// Equals `BertLayer` in transformers/models/bert/modeling_bert.py (5.23.0).
template <class Precision>
class EncoderLayer {
 public:
  /// Takes `encoder.layer.<index>.*`. Throws Error{missing_tensor | shape}.
  EncoderLayer(WeightFile& file, const ModelConfig& config, std::size_t index)
      : attention_(file, config, "encoder.layer." + std::to_string(index)),
        feed_forward_(file, config, "encoder.layer." + std::to_string(index)) {}

  /// Room for a call of that size: then calls don't allocate.
  void reserve(Scratch& scratch, const ScratchSize& size) const {
    attention_.reserve(scratch, size);
    feed_forward_.reserve(scratch, size);
  }

  /// In place on the rows of one chunk, [T, H].
  void operator()(MatrixView<float> hidden, SequenceStarts starts, const Team& team) const {
    attention_(hidden, starts, team);
    feed_forward_(hidden, team);
  }

 private:
  SelfAttention<Precision> attention_;
  FeedForward<Precision> feed_forward_;
};

BERTHA_NAMESPACE_END
