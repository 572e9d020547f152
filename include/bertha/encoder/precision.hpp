// The precisions that the encoder's blocks are templated on. A precision is a template parameter because it changes the
// layout of data: the panels in which weights lie (tools/format.md, section 5) and the operand that products read.
//
// A file is run as it is stored, mapped and not copied. It can also be run in another precision: then the panels are
// rewritten once, when the layer is loaded. int8 -> float32 multiplies by the scale; bfloat16 -> float32 is exact;
// float32 -> int8 quantises and float32 -> bfloat16 rounds as tools/convert.py does, so that both ways to a model give
// the same bits. An int8 file may also say that inputs are smoothed or have a zero point (quantised_weights.hpp).

#pragma once

#include <bertha/encoder/precision_concept.hpp>
#include <bertha/encoder/quantised_weights.hpp>
#include <bertha/encoder/stored_panels.hpp>
#include <bertha/encoder/weights.hpp>
#include <bertha/encoder/workspace.hpp>
#include <bertha/file/model_file.hpp>
#include <bertha/kernels/table.hpp>
#include <string>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// The kernel's operation for `range` of a layer's panels; `out` begins at their first output.
template <class Element>
kernels::GemmRows<Element> product_rows(MatrixView<const Element> x, const Element* panels, std::size_t k,
                                        PanelRange range, const float* bias, MatrixView<float> out,
                                        const Epilogue& epilogue, ThreadMemory& memory) {
  const std::size_t column = range.begin * kernels::kLanes;
  return {.a = x.data,
          .a_stride = x.stride,
          .panels = panels + column * k,
          .bias = bias + column,
          .residual = epilogue.residual.data ? epilogue.residual.data + column : nullptr,
          .residual_stride = epilogue.residual.stride,
          .out = out.data,
          .out_stride = out.stride,
          .rows = x.rows,
          .k = k,
          .n_panels = range.end - range.begin,
          .activation = epilogue.activation,
          .scratch = memory.product.reserve(kernels::product_scratch(x.rows)),
          .gated = epilogue.gated};
}

/// Memory for `rows` rows of `width` bfloat16 numbers. Whole tiles of rows: a level may lay them out so.
inline MatrixView<bf16> rounded_matrix(ChunkMemory& memory, std::size_t rows, std::size_t width) {
  return memory.rounded.matrix(kernels::round_up(rows, kernels::kTileRows), width);
}

/// The same for int8 numbers, as bytes.
inline MatrixView<std::int8_t> quantised_matrix(ChunkMemory& memory, std::size_t rows, std::size_t width) {
  return memory.quantised.matrix(kernels::round_up(rows, kernels::kTileRows), width * kernels::table().quantised_bytes);
}

/// Memory for the sums of `panels` panels of a product whose rows have k bfloat16 numbers, or null: it needs none.
inline float* product_sums(ThreadMemory& memory, std::size_t rows, std::size_t k, std::size_t panels) {
  const std::size_t size = kernels::product_sums(rows, k, panels);
  return size > 0 ? memory.sums.reserve(size) : nullptr;
}

/// product_rows of bfloat16 numbers, with memory for sums.
inline kernels::GemmBf16 rounded_product(MatrixView<const bf16> x, const bf16* panels, std::size_t k, PanelRange range,
                                         const float* bias, MatrixView<float> out, const Epilogue& epilogue,
                                         ThreadMemory& memory) {
  kernels::GemmBf16 operation = product_rows<bf16>(x, panels, k, range, bias, out, epilogue, memory);
  operation.sums = product_sums(memory, x.rows, k, operation.n_panels);
  return operation;
}

/// The rows of x [rows, size] as bfloat16 numbers, by `round` and in rows of `width` of them (or in tiles of 16 rows),
/// in memory that the team shares.
inline MatrixView<const bf16> rounded_rows(MatrixView<const float> x, std::size_t size, std::size_t width,
                                           void (*round)(const kernels::RoundRows&), const Team& team) {
  const MatrixView<bf16> rounded = rounded_matrix(team.chunk(), x.rows, width);
  team.split(rounded.rows / kernels::kTileRows, [&](std::size_t first, std::size_t last, ThreadMemory&) {
    const std::size_t begin = first * kernels::kTileRows, end = std::min(x.rows, last * kernels::kTileRows);
    round({.x = x.row(begin),
           .stride = x.stride,
           .rows = end - begin,
           .size = size,
           .y = rounded.row(begin),
           .y_stride = rounded.stride});
  });
  return rounded.middle_rows(0, x.rows);
}

}  // namespace detail

/// binary32 weights and activations; products by fused multiply-add, k ascending, in parts.
struct Float32 {
  static constexpr PrecisionKind kind = PrecisionKind::float32;
  static constexpr std::size_t kMostKeys = detail::kAnyNumber;
  using Operand = MatrixView<const float>;  // [rows, K]

  /// The weights of one linear layer.
  class Panels {
   public:
    /// Takes `<name>.weight` of a float32 file, or what another precision has in its place.
    Panels(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs)
        : inputs_(inputs), weight_(float32_panels(file, name, outputs, inputs)) {}
    /// Packs rows [outputs, stride], as heads have them.
    Panels(std::span<const float> rows, std::size_t outputs, std::size_t inputs, std::size_t stride);

    void reserve(ChunkMemory&, std::size_t) const {}
    void reserve(ThreadMemory& memory, std::size_t rows, std::size_t) const {
      memory.product.reserve(kernels::product_scratch(rows));
    }
    Operand prepare(MatrixView<const float> x, const Team&) const { return x; }
    void product(const Operand& x, PanelRange range, const float* bias, MatrixView<float> out, const Epilogue& epilogue,
                 ThreadMemory& memory) const {
      kernels::table().gemm_f32(
          detail::product_rows<float>(x, weight_.data(), inputs_, range, bias, out, epilogue, memory));
    }

   private:
    std::size_t inputs_;
    Weights<float> weight_;
  };

  static void attend(const Panels&, std::size_t, const kernels::Attention& args) {
    kernels::table().attention_f32(args);
  }
};

/// bfloat16 weights, activations rounded to bfloat16 before each product, attention's too; float32 sums; all else as
/// Float32.
struct BFloat16 {
  static constexpr PrecisionKind kind = PrecisionKind::bfloat16;
  static constexpr std::size_t kMostKeys = detail::kAnyNumber;
  using Operand = MatrixView<const bf16>;  // [rows, K rounded up to 32]

  /// The weights of one linear layer.
  class Panels {
   public:
    /// Takes `<name>.weight` of a bfloat16 file, or rounds what another precision has in its place.
    Panels(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs);

    void reserve(ChunkMemory& memory, std::size_t rows) const { detail::rounded_matrix(memory, rows, layout_.depth()); }
    void reserve(ThreadMemory& memory, std::size_t rows, std::size_t panels) const {
      memory.product.reserve(kernels::product_scratch(rows));
      detail::product_sums(memory, rows, layout_.depth(), panels);
    }
    /// Rounds the rows of x [rows, K] into the memory that the team shares.
    Operand prepare(MatrixView<const float> x, const Team& team) const {
      return detail::rounded_rows(x, inputs_, layout_.depth(), kernels::table().pack_rows.run, team);
    }
    void product(const Operand& x, PanelRange range, const float* bias, MatrixView<float> out, const Epilogue& epilogue,
                 ThreadMemory& memory) const {
      kernels::table().gemm_bf16(
          detail::rounded_product(x, weight_.data(), layout_.depth(), range, bias, out, epilogue, memory));
    }

   private:
    std::size_t inputs_;
    kernels::PanelLayout<bf16> layout_;
    Weights<bf16> weight_;
  };

  static void attend(const Panels&, std::size_t, const kernels::Attention& args) {
    kernels::table().attention_bf16(args);
  }
};

/// int8 weights with a scale for each output, activations quantised row by row, exact int32 sums.
struct Int8 {
  static constexpr PrecisionKind kind = PrecisionKind::int8;
  static constexpr std::size_t kMostKeys = kernels::kMostKeysS8;
  struct Operand {
    MatrixView<const std::int8_t> values;  // [rows, K rounded up to 64], as pack_quantised writes them
    const float* scale = nullptr;          // [rows]
    const std::int32_t* zero = nullptr;    // [rows], or null: there are no zero points
  };

  /// The weights of one linear layer.
  class Panels {
   public:
    /// Takes `<name>.weight` and what belongs to it of an int8 file, or quantises what another precision has in its
    /// place. Throws Error{unsupported} when there are so many inputs that their sums could overflow.
    Panels(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs);
    /// Weights [outputs, inputs] that somebody else has made.
    Panels(QuantisedWeights weights, std::size_t outputs, std::size_t inputs)
        : inputs_(inputs), layout_(outputs, inputs), weights_(std::move(weights)) {}

    void reserve(ChunkMemory& memory, std::size_t rows) const {
      detail::quantised_matrix(memory, rows, layout_.depth());
      memory.quantised_scale.reserve(rows);
      if (weights_.zero_point) memory.quantised_zero.reserve(rows);
    }
    void reserve(ThreadMemory& memory, std::size_t rows, std::size_t) const {
      memory.product.reserve(kernels::product_scratch(rows));
    }
    /// Quantises the rows of x [rows, K] into the memory that the team shares.
    Operand prepare(MatrixView<const float> x, const Team& team) const {
      const MatrixView<std::int8_t> values = detail::quantised_matrix(team.chunk(), x.rows, layout_.depth());
      float* scale = team.chunk().quantised_scale.reserve(x.rows);
      std::int32_t* zero = weights_.zero_point ? team.chunk().quantised_zero.reserve(x.rows) : nullptr;
      team.split(values.rows / kernels::kTileRows, [&](std::size_t first, std::size_t last, ThreadMemory&) {
        const std::size_t begin = first * kernels::kTileRows, end = std::min(x.rows, last * kernels::kTileRows);
        kernels::table().pack_quantised({.x = x.row(begin),
                                         .stride = x.stride,
                                         .rows = end - begin,
                                         .size = inputs_,
                                         .q = values.row(begin),
                                         .q_stride = values.stride,
                                         .scale = scale + begin,
                                         .smoothing = weights_.smoothing.data(),
                                         .zero = zero ? zero + begin : nullptr});
      });
      return {values.middle_rows(0, x.rows), scale, zero};
    }
    void product(const Operand& x, PanelRange range, const float* bias, MatrixView<float> out, const Epilogue& epilogue,
                 ThreadMemory& memory) const {
      const std::size_t column = range.begin * kernels::kLanes;
      kernels::table().gemm_s8({.a = x.values.data,
                                .a_stride = x.values.stride,
                                .a_scale = x.scale,
                                .panels = weights_.values.data() + layout_.at(column, 0),
                                .scale = weights_.scale.data() + column,
                                .sum = weights_.sum.data() + column,
                                .bias = bias + column,
                                .residual = epilogue.residual.data ? epilogue.residual.data + column : nullptr,
                                .residual_stride = epilogue.residual.stride,
                                .out = out.data,
                                .out_stride = out.stride,
                                .rows = x.values.rows,
                                .k = layout_.depth(),
                                .n_panels = range.end - range.begin,
                                .activation = epilogue.activation,
                                .scratch = memory.product.reserve(kernels::product_scratch(x.values.rows)),
                                .a_zero = x.zero,
                                .gated = epilogue.gated});
    }

   private:
    std::size_t inputs_;
    kernels::PanelLayout<std::int8_t> layout_;
    QuantisedWeights weights_;
  };

  static void attend(const Panels&, std::size_t, const kernels::Attention& args) {
    kernels::table().attention_s8(args);
  }
};

inline Float32::Panels::Panels(std::span<const float> rows, std::size_t outputs, std::size_t inputs, std::size_t stride)
    : inputs_(inputs), weight_(detail::made_panels(outputs, inputs, [&](std::size_t n, std::size_t k) {
        return n < outputs ? rows[n * stride + k] : 0.0f;
      })) {}

inline BFloat16::Panels::Panels(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs)
    : inputs_(inputs), layout_(outputs, inputs) {
  if (file.dtype(name + ".weight") == DType::bf16) {
    weight_ = detail::take_panels(file, name + ".weight", layout_);
    return;
  }
  const Weights<float> stored = float32_panels(file, name, outputs, inputs);
  AlignedBuffer<bf16> rounded(layout_.size());
  kernels::table().round_panels(
      {.panels = stored.data(), .n_panels = layout_.panels(), .k = inputs, .out = rounded.data()});
  weight_ = Weights<bf16>(std::move(rounded));
}

inline Int8::Panels::Panels(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs)
    : inputs_(inputs), layout_(outputs, inputs) {
  if (layout_.depth() > kernels::kMostInputsS8)
    throw_error(ErrorCode::unsupported,
                {file.name(), ": tensor '", name, ".weight' has ", inputs, " inputs; int8 products are exact up to ",
                 kernels::kMostInputsS8, "; run the model in float32"});
  weights_ = file.dtype(name + ".weight") == DType::i8
                 ? take_quantised(file, name, outputs, inputs)
                 : quantise_weights(float32_panels(file, name, outputs, inputs).data(), outputs, inputs);
}

BERTHA_NAMESPACE_END
