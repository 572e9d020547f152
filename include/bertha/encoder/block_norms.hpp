// The norms of one block of a layer: of what it reads, of what it makes, or of that and `hidden` together.

#pragma once

#include <bertha/encoder/layer_norm.hpp>
#include <optional>
#include <string>

BERTHA_NAMESPACE_BEGIN

/// A block's norms, over rows [H]. Immutable; `const` methods may run concurrently.
class BlockNorms {
 public:
  /// Takes, as config.norm_place says, `<name>.norm`, which is before the block, and `<name>.output.norm`, behind it.
  /// Throws Error{missing_tensor | shape}.
  BlockNorms(WeightFile& file, const ModelConfig& config, const std::string& name, bool needs_bias);

  /// Memory for as many rows [H]: then calls don't allocate.
  void reserve(const Team& team, std::size_t rows, std::size_t hidden_size) const {
    if (place_ != NormPlace::post) team.chunk().normed.matrix(rows, hidden_size);
  }

  /// What the block reads of `hidden` [T, H]: that, or rows of the chunk's memory.
  MatrixView<const float> before(MatrixView<float> hidden, const Team& team) const;

  /// Where the block writes what it makes for `hidden`, which are rows of the same memory; none where it adds that to
  /// `hidden` itself.
  MatrixView<float> apart(MatrixView<float> hidden, const Team& team) const;

  /// To be called once the block is done.
  void behind(MatrixView<float> hidden, const Team& team) const;

 private:
  NormPlace place_;
  std::optional<LayerNorm> before_, behind_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION BlockNorms::BlockNorms(WeightFile& file, const ModelConfig& config, const std::string& name,
                                       bool needs_bias)
    : place_(config.norm_place) {
  if (place_ != NormPlace::post) before_ = take_norm(file, config, name + ".norm", config.hidden_size, needs_bias);
  if (place_ != NormPlace::pre)
    behind_ = take_norm(file, config, name + ".output.norm", config.hidden_size, needs_bias);
}

BERTHA_FUNCTION MatrixView<const float> BlockNorms::before(MatrixView<float> hidden, const Team& team) const {
  if (!before_) return hidden;
  const auto normed = team.chunk().normed.matrix(hidden.rows, hidden.cols);
  (*before_)(hidden, normed, team);
  return normed;
}

BERTHA_FUNCTION MatrixView<float> BlockNorms::apart(MatrixView<float> hidden, const Team& team) const {
  if (place_ != NormPlace::around) return {};
  return team.chunk().normed.matrix(hidden.rows, hidden.cols);
}

BERTHA_FUNCTION void BlockNorms::behind(MatrixView<float> hidden, const Team& team) const {
  if (!behind_) return;
  if (place_ == NormPlace::around)
    behind_->add(apart(hidden, team), hidden, team);
  else
    (*behind_)(hidden, team);
}

#endif

BERTHA_NAMESPACE_END
