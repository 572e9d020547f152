// What a precision is: the types that the encoder's blocks are templated on have what this says.

#pragma once

#include <bertha/encoder/matrix.hpp>
#include <bertha/encoder/workspace.hpp>
#include <bertha/file/model_file.hpp>
#include <bertha/kernels/table.hpp>
#include <concepts>
#include <limits>
#include <string>

BERTHA_NAMESPACE_BEGIN

/// What happens to a product before it is stored.
struct Epilogue {
  Activation activation = Activation::none;
  MatrixView<const float> residual = {};  // [rows, N], or empty; may be the output itself
  bool gated = false;                     // the residual is a factor
};

/// The part of a linear layer that one kernel call computes: outputs 16 panel_begin to 16 panel_end.
struct PanelRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

namespace detail {
inline constexpr std::size_t kAnyNumber = std::numeric_limits<std::size_t>::max();  // of keys, where sums are float32
}

/// What the blocks of an encoder ask of the precision that they run in: the weights of a linear layer as `Panels`,
/// loaded by name; what products read, as `prepare` makes it of float32 rows; the product; and attention of one head, n
/// of those whose queries, keys and values `panels` made. `reserve` is told how many rows, and how many panels at a
/// time: then neither call allocates. Up to kMostKeys tokens of a sequence attention's sums can't overflow.
template <class P>
concept Precision = requires(std::size_t n, const typename P::Panels& panels, ChunkMemory& chunk, ThreadMemory& thread,
                             MatrixView<const float> x, const Team& team, const typename P::Operand& operand,
                             PanelRange range, const float* bias, MatrixView<float> out, const Epilogue& epilogue,
                             const kernels::Attention& attention) {
  { P::kind } -> std::convertible_to<PrecisionKind>;
  { P::kMostKeys } -> std::convertible_to<std::size_t>;
  requires std::constructible_from<typename P::Panels, WeightFile&, const std::string&, std::size_t, std::size_t>;
  panels.reserve(chunk, n);
  panels.reserve(thread, n, n);
  { panels.prepare(x, team) } -> std::same_as<typename P::Operand>;
  panels.product(operand, range, bias, out, epilogue, thread);
  P::attend(panels, n, attention);
};

BERTHA_NAMESPACE_END
