// One encoder layer: attention, then feed-forward, each with its residual and norm (post-norm).
//
//     h = LayerNorm(x + attention(x))
//     y = LayerNorm(h + feed_forward(h))
//
// Shapes: x, h, y [T, H]. Equals `BertLayer` in transformers/models/bert/modeling_bert.py (5.23.0).

#pragma once

#include <bertha/encoder/attention.hpp>
#include <bertha/encoder/feed_forward.hpp>
#include <bertha/encoder/layer_norm.hpp>

BERTHA_NAMESPACE_BEGIN

/// The two blocks and the norms between them. Immutable; `const` methods may run concurrently.
template <Precision P>
class EncoderLayer {
 public:
  /// Takes `<layer.weights>.*`. Throws Error{missing_tensor | shape}.
  EncoderLayer(WeightFile& file, const ModelConfig& config, const LayerConfig& layer, const PositionTables& positions)
      : attention_(file, config, layer, positions),
        attention_norm_(file, layer.weights + ".attention.output.norm", config.hidden_size, config.layer_norm_eps,
                        layer.needs_bias),
        feed_forward_(file, config, layer),
        feed_forward_norm_(file, layer.weights + ".output.norm", config.hidden_size, config.layer_norm_eps,
                           layer.needs_bias) {}

  /// visit(linear) for each linear layer.
  template <class Visit>
  void for_each_linear(const Visit& visit) const {
    attention_.for_each_linear(visit);
    feed_forward_.for_each_linear(visit);
  }

  /// Memory for a chunk of that size: then calls don't allocate.
  void reserve(const Team& team, const ChunkSize& size) const {
    attention_.reserve(team, size);
    feed_forward_.reserve(team, size);
  }

  /// In place on the rows of one chunk: `hidden` [T, H] is x before and y after.
  void operator()(MatrixView<float> hidden, SequenceStarts starts, const Team& team) const {
    attention_(hidden, hidden, starts, team);
    attention_norm_(hidden, team);
    feed_forward_(hidden, hidden, team);
    feed_forward_norm_(hidden, team);
  }

 private:
  SelfAttention<P> attention_;
  LayerNorm attention_norm_;  // [H]
  FeedForward<P> feed_forward_;
  LayerNorm feed_forward_norm_;  // [H]
};

BERTHA_NAMESPACE_END
