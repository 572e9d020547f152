// Float32, and what its linear layers were given to read: what int8 is calibrated by.

#pragma once

#include <algorithm>
#include <bertha/encoder/precision.hpp>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// What one linear layer read: the largest magnitude of each input, and a sample of the rows.
class ObservedInputs {
 public:
  explicit ObservedInputs(std::size_t inputs) : largest_(inputs) {}

  /// Every `step`-th row goes into the sample from now on.
  void sample(std::size_t step) { step_ = step; }
  void add(MatrixView<const float> x) {
    for (std::size_t r = 0; r < x.rows; ++r, ++seen_) {
      for (std::size_t k = 0; k < largest_.size(); ++k) largest_[k] = std::max(largest_[k], std::fabs(x(r, k)));
      if (seen_ % step_ == 0) rows_.insert(rows_.end(), x.row(r), x.row(r) + largest_.size());
    }
  }

  const std::vector<float>& largest() const { return largest_; }
  /// [rows, inputs]
  MatrixView<const float> rows() const {
    return {rows_.data(), rows_.size() / largest_.size(), largest_.size(), largest_.size()};
  }

 private:
  std::vector<float> largest_;  // [inputs]
  std::vector<float> rows_;
  std::size_t step_ = 1, seen_ = 0;
};

/// Float32 whose linear layers keep what they read. A workspace at a time, and a sequence at a time: what is sampled
/// depends on the order.
struct Observed {
  static constexpr PrecisionKind kind = PrecisionKind::float32;
  static constexpr std::size_t kMostKeys = Float32::kMostKeys;
  using Operand = Float32::Operand;

  /// The weights of one linear layer, and what it has read so far.
  class Panels {
   public:
    Panels(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs)
        : name_(name),
          outputs_(outputs),
          inputs_(inputs),
          weight_(float32_panels(file, name, outputs, inputs)),
          observed_(std::make_shared<ObservedInputs>(inputs)) {}

    const std::string& name() const { return name_; }
    std::size_t outputs() const { return outputs_; }
    std::size_t inputs() const { return inputs_; }
    /// [N'/16, K, 16]
    const float* weights() const { return weight_.data(); }
    ObservedInputs& observed() const { return *observed_; }

    void reserve(ChunkMemory&, std::size_t) const {}
    void reserve(ThreadMemory& memory, std::size_t rows, std::size_t) const {
      memory.product.reserve(kernels::product_scratch(rows));
    }
    Operand prepare(MatrixView<const float> x, const Team&) const {
      observed_->add(x);
      return x;
    }
    void product(const Operand& x, PanelRange range, const float* bias, MatrixView<float> out, const Epilogue& epilogue,
                 ThreadMemory& memory) const {
      kernels::table().gemm_f32(
          detail::product_rows<float>(x, weight_.data(), inputs_, range, bias, out, epilogue, memory));
    }

   private:
    std::string name_;
    std::size_t outputs_, inputs_;
    Weights<float> weight_;
    std::shared_ptr<ObservedInputs> observed_;
  };

  static void attend(const kernels::Attention& args) { Float32::attend(args); }
};

BERTHA_NAMESPACE_END
