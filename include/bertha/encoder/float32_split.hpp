// Float32 on a CPU that multiplies tiles of bfloat16 numbers: every weight and every operand is the sum of two of
// those, high + low, and a product is high times low, high times high and low times high, summed in float32. That is
// within the promise of Float32 for a file whose converter says so (`float32_split`).

#pragma once

#include <bertha/encoder/precision.hpp>

BERTHA_NAMESPACE_BEGIN

/// binary32 weights and activations; products by three bfloat16 products, attention and all else as Float32. Needs
/// kernels::Table::gemm_split. The bits are those of one level, in any batch and at any number of threads.
struct Float32Split {
  static constexpr PrecisionKind kind = PrecisionKind::float32;
  static constexpr std::size_t kMostKeys = detail::kAnyNumber;
  using Operand = MatrixView<const bf16>;  // [rows, 2 K'], K' = K rounded up to 32

  /// The weights of one linear layer, [N'/16, K'/32, 2, 16, 16, 2]: split when they are loaded, or, with Memory::low,
  /// as float32 panels [N'/16, K, 16] that each call splits again. The bits are the same.
  class Panels {
   public:
    /// Takes `<name>.weight` of a float32 file, or what another precision has in its place.
    /// Throws Error{unsupported} on a level that can't multiply them.
    Panels(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs);

    void reserve(ChunkMemory& memory, std::size_t rows) const { detail::rounded_matrix(memory, rows, 2 * padded_); }
    void reserve(ThreadMemory& memory, std::size_t rows, std::size_t panels) const {
      memory.product.reserve(kernels::product_scratch(rows));
      detail::product_sums(memory, rows, 2 * padded_, panels);
      if (!split_at_load()) split_panels(memory, panels);
    }
    /// Splits the rows of x [rows, K] into the memory that the team shares.
    Operand prepare(MatrixView<const float> x, const Team& team) const {
      return detail::rounded_rows(x, inputs_, 2 * padded_, kernels::table().split_rows.run, team);
    }
    void product(const Operand& x, PanelRange range, const float* bias, MatrixView<float> out, const Epilogue& epilogue,
                 ThreadMemory& memory) const;

   private:
    static constexpr std::size_t kBytesAtOnce = 262'144;  // of panels split by a call: what stays in L2

    bool split_at_load() const { return split_.size() > 0; }
    std::size_t panel_size() const { return 2 * padded_ * 16; }  // in halves
    std::size_t panels_at_once() const {
      return std::max<std::size_t>(2, kBytesAtOnce / (panel_size() * sizeof(bf16)) / 2 * 2);
    }
    bf16* split_panels(ThreadMemory& memory, std::size_t panels) const {
      return memory.split_panels.reserve(std::min(panels, panels_at_once()) * panel_size());
    }

    std::size_t inputs_, padded_, panels_;
    // The weights are in split_, or with Memory::low in float32_; the other is empty.
    Weights<bf16> split_;
    Weights<float> float32_;
  };

  static void attend(const Panels&, std::size_t, const kernels::Attention& args) {
    kernels::table().attention_f32(args);
  }
};

inline Float32Split::Panels::Panels(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs)
    : inputs_(inputs), padded_(kernels::round_up(inputs, 32)), panels_(kernels::round_up(outputs, 16) / 16) {
  if (!kernels::table().gemm_split)
    throw_error(ErrorCode::unsupported, {"Float32Split: the level '", kernels::table().level,
                                         "' has no product of split numbers; run the model in Float32"});
  float32_ = float32_panels(file, name, outputs, inputs);
  if (file.memory() == Memory::low) return;
  AlignedBuffer<bf16> split(panels_ * panel_size());
  kernels::table().split_panels({.panels = float32_.data(), .n_panels = panels_, .k = inputs, .out = split.data()});
  split_ = Weights<bf16>(std::move(split));
  float32_ = {};
}

inline void Float32Split::Panels::product(const Operand& x, PanelRange range, const float* bias, MatrixView<float> out,
                                          const Epilogue& epilogue, ThreadMemory& memory) const {
  if (split_at_load())
    return kernels::table().gemm_split(
        detail::rounded_product(x, split_.data(), 2 * padded_, range, bias, out, epilogue, memory));
  bf16* split = split_panels(memory, range.end - range.begin);
  for (PanelRange part{range.begin, 0}; part.begin < range.end; part.begin = part.end) {
    part.end = std::min(range.end, part.begin + panels_at_once());
    kernels::table().split_panels({.panels = float32_.data() + part.begin * 16 * inputs_,
                                   .n_panels = part.end - part.begin,
                                   .k = inputs_,
                                   .out = split});
    MatrixView<float> part_out = out;
    part_out.data += (part.begin - range.begin) * 16;
    auto operation = detail::product_rows<bf16>(x, nullptr, 0, part, bias, part_out, epilogue, memory);
    operation.panels = split;
    operation.k = 2 * padded_;
    operation.sums = detail::product_sums(memory, x.rows, operation.k, operation.n_panels);
    kernels::table().gemm_split(operation);
  }
}

BERTHA_NAMESPACE_END
