// What embeddings are read from: tables of words, positions and token types, and the norm of their sum.
//
// Shapes: tables [V, E]. Not templates: a precision only says how finely tables are held.

#pragma once

#include <bertha/encoder/layer_norm.hpp>
#include <string>
#include <type_traits>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Numbers from one row of a table to the next: rows are whole lines of 64 bytes.
template <class Element>
constexpr std::size_t table_stride(std::size_t size) {
  return kernels::round_up(size, 64 / sizeof(Element));
}

}  // namespace detail

/// One embedding table [V, E]: float32 rows, bfloat16 rows, or int8 rows with a scale each.
class EmbeddingTable {
 public:
  /// No table: nothing may be read of it.
  EmbeddingTable() = default;
  /// Takes `<name>.weight` and, of an int8 file, `<name>.scale`, or borrows them. Rows stay as the file stores them,
  /// but for those that are finer than `precision`: they are quantised or rounded. Throws Error{missing_tensor |
  /// shape}.
  EmbeddingTable(WeightFile& file, const std::string& name, std::size_t rows, std::size_t size, PrecisionKind precision,
                 bool borrowed = false)
      : dtype_(file.dtype(name + ".weight")) {
    const std::string weight = name + ".weight";
    if (dtype_ == DType::i8) {
      quantised_ = Weights<std::int8_t>(file, weight, {rows, detail::table_stride<std::int8_t>(size)}, borrowed);
      scale_ = Weights<float>(file, name + ".scale", {kernels::round_up(rows, 16)}, borrowed);
    } else if (dtype_ == DType::bf16) {
      rounded_ = Weights<bf16>(file, weight, {rows, detail::table_stride<bf16>(size)}, borrowed);
      if (precision == PrecisionKind::int8) quantise(widened_rows(rows, size).data(), rows, size);
    } else {
      values_ = Weights<float>(file, weight, {rows, detail::table_stride<float>(size)}, borrowed);
      if (precision == PrecisionKind::int8) quantise(values_.data(), rows, size);
      if (precision == PrecisionKind::bfloat16) round(rows, size);
    }
  }

  /// Which of the following holds the rows: f32, bf16 or i8.
  DType dtype() const { return dtype_; }
  const float* values() const { return values_.data(); }
  const bf16* rounded() const { return rounded_.data(); }
  const std::int8_t* quantised() const { return quantised_.data(); }
  const float* scale() const { return scale_.data(); }

 private:
  void quantise(const float* values, std::size_t rows, std::size_t size) {
    const std::size_t stride = detail::table_stride<std::int8_t>(size);
    AlignedBuffer<std::int8_t> quantised(rows * stride);
    AlignedBuffer<float> scale(rows);
    kernels::table().quantise_rows({.x = values,
                                    .stride = detail::table_stride<float>(size),
                                    .rows = rows,
                                    .size = size,
                                    .q = quantised.data(),
                                    .q_stride = stride,
                                    .scale = scale.data()});
    quantised_ = Weights<std::int8_t>(std::move(quantised));
    scale_ = Weights<float>(std::move(scale));
    dtype_ = DType::i8;
  }
  void round(std::size_t rows, std::size_t size) {
    const std::size_t stride = detail::table_stride<bf16>(size);
    AlignedBuffer<bf16> rounded(rows * stride);
    kernels::table().round_rows({.x = values_.data(),
                                 .stride = detail::table_stride<float>(size),
                                 .rows = rows,
                                 .size = size,
                                 .y = rounded.data(),
                                 .y_stride = stride});
    rounded_ = Weights<bf16>(std::move(rounded));
    dtype_ = DType::bf16;
  }
  AlignedBuffer<float> widened_rows(std::size_t rows, std::size_t size) const {
    const std::size_t from = detail::table_stride<bf16>(size), to = detail::table_stride<float>(size);
    AlignedBuffer<float> values(rows * to);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < to; ++i) values.data()[r * to + i] = widened(rounded_.data()[r * from + i]);
    return values;
  }

  DType dtype_ = DType::f32;
  Weights<float> values_;           // [V, E']
  Weights<bf16> rounded_;           // [V, E rounded up to 32]
  Weights<std::int8_t> quantised_;  // [V, E rounded up to 64]
  Weights<float> scale_;            // [V]
};

namespace detail {

/// Rows of tables, and the sum of them. Null: there is no such table.
struct EmbeddedRows {
  const std::uint32_t *ids, *types, *positions;
  MatrixView<float> out;  // [rows, E]
};

/// out[r, :] = word[ids[r]] + token_type[types[r]] + position[positions[r]], in float32. Tables that are there are of
/// one type.
inline void embed(const EmbeddingTable& word, const EmbeddingTable& token_type, const EmbeddingTable& position,
                  const EmbeddedRows& rows) {
  const auto complete = [&rows](auto operation) {
    operation.table_stride = table_stride<std::remove_cvref_t<decltype(*operation.word)>>(rows.out.cols);
    operation.ids = rows.ids;
    operation.types = rows.types;
    operation.positions = rows.positions;
    operation.out = rows.out.data;
    operation.out_stride = rows.out.stride;
    operation.rows = rows.out.rows;
    operation.size = rows.out.cols;
    return operation;
  };
  switch (word.dtype()) {
    case DType::i8:
      return kernels::table().embed_s8(complete(kernels::EmbedS8{.word = word.quantised(),
                                                                 .token_type = token_type.quantised(),
                                                                 .position = position.quantised(),
                                                                 .word_scale = word.scale(),
                                                                 .token_type_scale = token_type.scale(),
                                                                 .position_scale = position.scale()}));
    case DType::bf16:
      return kernels::table().embed_bf16(complete(kernels::EmbedBf16{
          .word = word.rounded(), .token_type = token_type.rounded(), .position = position.rounded()}));
    case DType::f32:
    case DType::u8:
    case DType::i32:
    case DType::u32:
    case DType::f64:
      return kernels::table().embed_f32(complete(
          kernels::EmbedF32{.word = word.values(), .token_type = token_type.values(), .position = position.values()}));
  }
}

}  // namespace detail

/// The three tables and their norm. Immutable; `const` methods may run concurrently.
class EmbeddingTables {
 public:
  /// Takes `embeddings.*` but the projection, for an encoder of that precision. Throws Error{missing_tensor | shape}.
  EmbeddingTables(WeightFile& file, const ModelConfig& config, PrecisionKind precision)
      : size_(config.embedding_size),
        has_types_(config.type_vocab_size > 0),
        has_positions_(config.position_table),
        word_(file, "embeddings.word", config.vocab_size, size_, precision),
        norm_(take_norm(file, config, "embeddings.norm", size_, config.needs_bias)) {
    const auto take = [&](const std::string& table, std::size_t rows) {
      EmbeddingTable taken(file, table, rows, size_, precision);
      if (taken.dtype() != word_.dtype())
        throw_error(ErrorCode::shape,
                    {file.name(), ": some tables of 'embeddings' are ", name(word_.dtype()), " and some are ",
                     name(taken.dtype()), "; expected one type for all; convert the checkpoint again"});
      return taken;
    };
    if (has_positions_) position_ = take("embeddings.position", config.max_position_embeddings);
    if (has_types_) token_type_ = take("embeddings.token_type", config.type_vocab_size);
  }

  /// E, embedding_size.
  std::size_t size() const { return size_; }

  /// Writes `embedded` [rows, E] for as many ids, types and positions, all of which the caller has checked.
  void operator()(const std::uint32_t* ids, const std::uint32_t* types, const std::uint32_t* positions,
                  MatrixView<float> embedded, const Team& team) const {
    team.split(embedded.rows, [&](std::size_t begin, std::size_t end, ThreadMemory&) {
      detail::embed(word_, token_type_, position_,
                    {ids + begin, has_types_ ? types + begin : nullptr, has_positions_ ? positions + begin : nullptr,
                     embedded.middle_rows(begin, end)});
    });
    if (norm_) (*norm_)(embedded, team);
  }

 private:
  std::size_t size_;
  bool has_types_, has_positions_;
  EmbeddingTable word_, position_, token_type_;  // of a table that isn't there nothing is read
  std::optional<LayerNorm> norm_;
};

BERTHA_NAMESPACE_END
