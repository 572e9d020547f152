// An int8 file, made of a float32 file and of its linear layers in int8: what tools/convert.py --precision int8 writes,
// and perhaps smoothing vectors, zero points and fine attention.

#pragma once

#include <bertha/encoder/matrix.hpp>
#include <bertha/file/config_json.hpp>
#include <bertha/file/container.hpp>
#include <bertha/file/json_text.hpp>
#include <bertha/file/model_file.hpp>
#include <bertha/quantize/arithmetic.hpp>
#include <bertha/quantize/calibration.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// The tensors and the metadata of the int8 file to be.
class Int8File {
 public:
  /// `bytes` are those of the float32 `file`, which gives up its tables; they and `linears` must outlive this object.
  /// `types` are the shares of the token types among all tokens of the texts; empty: tables are rounded plainly.
  Int8File(std::span<const std::byte> bytes, WeightFile& file, std::span<const CalibratedLinear> linears,
           std::span<const CalibratedAttention> attention, std::span<const float> types)
      : metadata_(parse_safetensors(bytes, file.name()).metadata) {
    for (const CalibratedAttention& one : attention)
      if (one.fine) fine_attention_.push_back(one.name);
    std::size_t next = 0;  // of linears, which come in the order of the file
    for (const TensorInfo& tensor : file.tensors()) {
      const std::string_view name = tensor.name;
      const std::string stem(name.substr(0, name.size() - std::min(name.size(), kWeight.size())));
      if (name.ends_with(kWeight) && next < linears.size() && stem == linears[next].name)
        add_linear(linears[next++], tensor);
      else if (next > 0 && name == linears[next - 1].name + ".bias")
        add_bias(file, linears[next - 1].mean_error, tensor);
      else if (name.ends_with(kWeight) && is_table(stem))
        add_table(file, stem, tensor, types);
      else
        tensors_.push_back({tensor.name, tensor.dtype, tensor.shape, bytes.subspan(tensor.offset, tensor.size)});
    }
  }

  /// The file, with the scalar level's logits of each case of the self-test, or none.
  MappedFile bytes(const std::vector<std::string>& logits) const {
    return container_of({{"format", calibrated() ? "2" : metadata_.at("format")},
                         {"source", metadata_.at("source")},
                         {"config", config()},
                         {"tokenizer", metadata_.at("tokenizer")},
                         {"selftest", self_test(logits)}},
                        tensors_);
  }

 private:
  static constexpr std::string_view kWeight = ".weight";

  /// Whether it says what format 1 has no words for.
  bool calibrated() const { return smoothed_ || !zero_points_.empty() || !fine_attention_.empty(); }
  static bool is_table(std::string_view stem) {
    return stem == "embeddings.word" || stem == "embeddings.token_type" || stem == "embeddings.position" ||
           stem == "encoder.relative_keys" || stem == "encoder.relative_queries";
  }

  template <class T>
  void add(std::string name, DType dtype, std::vector<std::size_t> shape, const Weights<T>& numbers) {
    tensors_.push_back(
        {std::move(name), dtype, std::move(shape), std::as_bytes(std::span(numbers.data(), numbers.size()))});
  }

  void add_linear(const CalibratedLinear& linear, const TensorInfo& float32) {
    const QuantisedWeights& weights = linear.weights;
    const kernels::PanelLayout<std::int8_t> layout(float32.shape[0] * kernels::kLanes, float32.shape[1]);
    const auto shape = layout.shape();
    add(linear.name + ".weight", DType::i8, {shape.begin(), shape.end()}, weights.values);
    add(linear.name + ".scale", DType::f32, {weights.scale.size()}, weights.scale);
    add(linear.name + ".sum", DType::i32, {weights.sum.size()}, weights.sum);
    if (weights.smoothing.size() > 0)
      add(linear.name + ".smoothing", DType::f32, {weights.smoothing.size()}, weights.smoothing);
    if (weights.zero_point) zero_points_.push_back(linear.name);
    smoothed_ = smoothed_ || weights.smoothing.size() > 0;
  }

  void add_bias(WeightFile& file, const std::vector<float>& mean_error, const TensorInfo& float32) {
    const auto stored = file.take<float>(float32.name, {float32.shape[0]});
    AlignedBuffer<float> bias(stored.size());
    for (std::size_t n = 0; n < stored.size(); ++n)
      bias.data()[n] = mean_error.empty() ? stored[n] : stored[n] - mean_error[n];
    add(float32.name, DType::f32, float32.shape, vectors_.emplace_back(std::move(bias)));
  }

  /// Adds int8 rows of a table. What rounding took from the rows of token types, which hold a few numbers far larger
  /// than the rest and are added to every token, goes into the positions: what the types of the texts lose on average.
  void add_table(WeightFile& file, const std::string& stem, const TensorInfo& float32, std::span<const float> types) {
    const bool is_of_positions = stem.starts_with("encoder.");  // of attention heads, relative ones
    const std::size_t size = is_of_positions ? file.config().head_size() : file.config().embedding_size;
    const std::size_t rows = float32.shape[0], stride = kernels::padded(size);
    const auto stored = file.take<float>(stem + kWeight.data(), {rows, stride});
    std::vector<float> values(stored.begin(), stored.end());
    if (stem == "embeddings.position")
      for (std::size_t i = 0; i < values.size() && !lost_.empty(); ++i) values[i] += lost_[i % stride];
    const std::size_t width = kernels::round_up(size, 64);
    AlignedBuffer<std::int8_t> quantised(rows * width);
    AlignedBuffer<float> scale(kernels::padded(rows));
    std::fill_n(scale.data(), scale.size(), 0.0f);
    kernels::table().quantise_rows({.x = values.data(),
                                    .stride = stride,
                                    .rows = rows,
                                    .size = size,
                                    .q = quantised.data(),
                                    .q_stride = width,
                                    .scale = scale.data()});
    if (stem == "embeddings.token_type" && !types.empty()) {
      lost_.assign(stride, 0.0f);
      for (std::size_t i = 0; i < rows * size; ++i) {
        const std::size_t row = i / size, e = i % size;
        const auto q = static_cast<float>(quantised.data()[row * width + e]);
        lost_[e] += lost(types[row], values[row * stride + e], q, scale.data()[row]);
      }
    }
    add(stem + ".weight", DType::i8, {rows, width}, tables_.emplace_back(std::move(quantised)));
    add(stem + ".scale", DType::f32, {kernels::padded(rows)}, vectors_.emplace_back(std::move(scale)));
  }

  /// The part `config` of the float32 file, with what int8 has in it.
  std::string config() const {
    std::vector<JsonPiece> pieces;
    for (JsonPiece piece : json_pieces(metadata_.at("config"))) {
      if (piece.key == "\"float32_split\"") continue;
      if (piece.key == "\"precision\"") piece.value = "\"int8\"";
      pieces.push_back(piece);
    }
    const std::string shifted = list_of(zero_points_), fine = list_of(fine_attention_);
    if (!zero_points_.empty()) pieces.push_back({"\"zero_points\"", shifted});
    if (!fine_attention_.empty()) pieces.push_back({"\"fine_attention\"", fine});
    return json_of(pieces, true);
  }
  static std::string list_of(const std::vector<std::string>& names) {
    std::string list;
    for (const std::string& name : names) (list += list.empty() ? "[" : ",") += json_string(name);
    return list += ']';
  }

  std::string self_test(const std::vector<std::string>& logits) const {
    if (logits.empty()) return metadata_.at("selftest");
    std::vector<std::string> cases;
    for (const JsonPiece& one : json_pieces(metadata_.at("selftest"))) {
      const std::string bytes = json_string(logits[cases.size()]);
      std::vector<JsonPiece> pieces = json_pieces(one.value);
      for (JsonPiece& piece : pieces)
        if (piece.key == "\"logits_bytes\"") piece.value = bytes;
      cases.push_back(json_of(pieces, true));
    }
    return json_of(std::vector<JsonPiece>(views(cases)), false);
  }
  static std::vector<JsonPiece> views(const std::vector<std::string>& values) {
    std::vector<JsonPiece> pieces;
    for (const std::string& value : values) pieces.push_back({{}, value});
    return pieces;
  }

  std::map<std::string, std::string> metadata_;
  std::vector<TensorToWrite> tensors_;
  std::vector<std::string> zero_points_, fine_attention_;
  bool smoothed_ = false;
  std::vector<float> lost_;                   // [E'], of the token types
  std::vector<Weights<std::int8_t>> tables_;  // whose numbers tensors_ sees, as it does those of
  std::vector<Weights<float>> vectors_;       // [V'] each
};

}  // namespace detail

BERTHA_NAMESPACE_END
