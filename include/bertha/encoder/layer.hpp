// One encoder layer: attention, then feed-forward, each with its residual and norm, behind them, before, or both.
//
//     post:   h = LayerNorm(x + attention(x))      pre: h = x + attention(LayerNorm(x))
//             y = LayerNorm(h + feed_forward(h))        y = h + feed_forward(LayerNorm(h))
//     around: h = x + LayerNorm(attention(LayerNorm(x)))
//             y = h + LayerNorm(feed_forward(LayerNorm(h)))
//
// Shapes: x, h, y [T, H]. Equals `BertLayer` in transformers/models/bert/modeling_bert.py (5.23.0),
// `ModernBertEncoderLayer` in .../modernbert/modeling_modernbert.py and `Gemma3DecoderLayer` in
// .../gemma3/modeling_gemma3.py.

#pragma once

#include <bertha/encoder/attention.hpp>
#include <bertha/encoder/block_norms.hpp>
#include <bertha/encoder/feed_forward.hpp>

BERTHA_NAMESPACE_BEGIN

/// The two blocks and the norms between them. Immutable; `const` methods may run concurrently.
template <Precision P>
class EncoderLayer {
 public:
  /// Takes `<layer.weights>.*`. Throws Error{missing_tensor | shape}.
  EncoderLayer(WeightFile& file, const ModelConfig& config, const LayerConfig& layer, const PositionTables& positions)
      : attention_(file, config, layer, positions),
        attention_norms_(file, config, layer.weights + ".attention", layer.needs_bias),
        feed_forward_(file, config, layer),
        feed_forward_norms_(file, config, layer.weights, layer.needs_bias) {}

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
    attention_norms_.reserve(team, size.rows, attention_.hidden_size());
    feed_forward_norms_.reserve(team, size.rows, attention_.hidden_size());
  }

  /// In place on the rows of one chunk: `hidden` [T, H] is x before and y after. Returns y: `hidden`, or the rows of
  /// first tokens, which are at its begin then.
  MatrixView<float> operator()(MatrixView<float> hidden, SequenceStarts starts, const LayerSight& sight,
                               LayerTokens tokens, const Team& team) const {
    const auto read = attention_norms_.before(hidden, team);
    hidden = attention_(read, hidden, attention_norms_.apart(hidden, team), starts, sight, tokens, team);
    attention_norms_.behind(hidden, team);
    feed_forward_(feed_forward_norms_.before(hidden, team), hidden, feed_forward_norms_.apart(hidden, team), team);
    feed_forward_norms_.behind(hidden, team);
    return hidden;
  }

 private:
  SelfAttention<P> attention_;
  BlockNorms attention_norms_;
  FeedForward<P> feed_forward_;
  BlockNorms feed_forward_norms_;
};

BERTHA_NAMESPACE_END
