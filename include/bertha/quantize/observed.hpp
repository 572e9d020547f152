// Float32, and what its linear layers and its attention were given to read: what int8 is calibrated by.

#pragma once

#include <algorithm>
#include <bertha/encoder/matrix.hpp>
#include <bertha/encoder/precision.hpp>
#include <bertha/quantize/arithmetic.hpp>
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

/// How far attention in int8 is from float32, whose queries, keys and values it gets. Attention heads may be added to
/// concurrently.
class ObservedAttention {
 public:
  explicit ObservedAttention(std::size_t heads) : heads_(heads) {}

  /// Attention of one head, which is done in float32.
  void add(std::size_t attention_head, kernels::Attention args) {
    Head& head = heads_[attention_head];
    AlignedBuffer<float> found(args.length * args.head_size);
    const float* exact = args.context;
    const std::size_t stride = args.context_stride;
    args.context = found.data();
    args.context_stride = args.head_size;
    for (const bool fine : {false, true}) {
      args.fine = fine;
      kernels::table().attention_s8(args);
      for (std::size_t r = 0; r < args.length; ++r)
        head.squares[fine] +=
            detail::squared_error(exact + r * stride, found.data() + r * args.head_size, args.head_size);
    }
    head.count += args.length * args.head_size;
  }

  /// Whether these are the heads of a layer.
  bool seen() const { return heads_[0].count > 0; }
  /// The rms error of the contexts.
  double error(bool fine) const {
    double squares = 0;
    std::size_t count = 0;
    for (const Head& head : heads_) {
      squares += head.squares[fine];
      count += head.count;
    }
    return std::sqrt(squares / static_cast<double>(count));
  }

 private:
  struct Head {
    double squares[2] = {};  // of the errors, without and with fine probabilities
    std::size_t count = 0;
  };
  std::vector<Head> heads_;
};

/// Float32 whose linear layers keep what they read. A workspace at a time, and a sequence at a time: what is sampled
/// depends on the order.
struct Observed {
  static constexpr PrecisionKind kind = PrecisionKind::float32;
  static constexpr std::size_t kMostKeys = kernels::kMostKeysS8;
  using Operand = Float32::Operand;

  /// The weights of one linear layer, and what it has read so far.
  class Panels {
   public:
    Panels(WeightFile& file, const std::string& name, std::size_t outputs, std::size_t inputs)
        : name_(name),
          outputs_(outputs),
          inputs_(inputs),
          weight_(float32_panels(file, name, outputs, inputs)),
          observed_(std::make_shared<ObservedInputs>(inputs)),
          attention_(std::make_shared<ObservedAttention>(1 + outputs / (3 * kernels::kLanes))) {}

    const std::string& name() const { return name_; }
    std::size_t outputs() const { return outputs_; }
    std::size_t inputs() const { return inputs_; }
    /// [N'/16, K, 16]
    const float* weights() const { return weight_.data(); }
    ObservedInputs& observed() const { return *observed_; }
    /// Of the queries, keys and values that these weights make.
    ObservedAttention& attention() const { return *attention_; }

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
    std::shared_ptr<ObservedAttention> attention_;
  };

  static void attend(const Panels& projection, std::size_t attention_head, const kernels::Attention& args) {
    kernels::table().attention_f32(args);
    projection.attention().add(attention_head, args);
  }
};

BERTHA_NAMESPACE_END
