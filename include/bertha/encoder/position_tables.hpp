// What attention reads of a file that knows more of positions than the rows which are added to embeddings: numbers that
// depend on no input, which the converter has computed.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/encoder/embedding_tables.hpp>
#include <bertha/encoder/weights.hpp>
#include <bertha/kernels/table.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Immutable; `const` methods may run concurrently.
class PositionTables {
 public:
  /// Takes what the scheme has of `encoder.distance_bias` [A, (2 P - 1)'], P positions, `encoder.rotary.*`
  /// [P, (D / 2)'], `encoder.relative_rows` [(2 reach + 1)'], and `encoder.relative_keys` and `.relative_queries`
  /// [N A R, D], N stored layers. Throws Error{missing_tensor | shape | format}.
  PositionTables(WeightFile& file, const ModelConfig& config);

  /// R, rows of the relative keys and queries of each attention head; 0: there are none.
  std::size_t relative_rows() const { return relative_rows_; }
  /// Whose attention is prepared, and the number of its table of angles.
  struct Reader {
    std::size_t stored_layer, attention_head, rotary;
  };
  /// Memory for `prepare`: then it doesn't allocate.
  void reserve(ThreadMemory& memory) const {
    if (widens_) memory.relative.reserve(2 * relative_rows_ * head_stride_);
  }
  /// Says what `attention` reads of these tables, and turns its queries, from `query` on, and the keys behind each by
  /// the angles of their places, where the scheme has angles. What the file has in another precision than float32 is
  /// widened in `memory`, as far as the sequence reaches.
  void prepare(const Reader& reader, float* query, kernels::Attention& attention, ThreadMemory& memory) const;

 private:
  struct Angles {
    Weights<float> cos, sin;  // [P, (D / 2)']
  };

  /// Rows of a table that those of an attention head begin with in it; where they are widened, in `memory` as those of
  /// its table number 0 or 1.
  const float* relative(const EmbeddingTable& table, std::size_t first, const kernels::Attention& attention,
                        ThreadMemory& memory, std::size_t number) const;

  std::size_t positions_, attention_heads_, bias_stride_, head_stride_, angle_stride_ = 0, relative_rows_ = 0;
  Weights<float> distance_bias_;                     // [A, (2 P - 1)'], or none
  std::vector<Angles> rotary_;                       // or none
  std::vector<std::uint32_t> row_of_distance_;       // 1 - P to P rounded up to 32, less 1; or none
  EmbeddingTable relative_keys_, relative_queries_;  // [N A R, D], or none, as the file has them
  std::vector<std::uint32_t> row_numbers_;           // 0, 1, 2 and so on, of these tables where they are widened
  bool widens_ = false, has_relative_keys_ = false, has_relative_queries_ = false;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

namespace detail {

/// Takes `encoder.relative_rows`, and makes of it the rows of all distances from a query to a key in a sequence of so
/// many positions, as kernels::Attention reads them.
inline std::vector<std::uint32_t> take_rows_of_distances(WeightFile& file, const DisentangledConfig& config,
                                                         std::size_t positions) {
  const std::string name = "encoder.relative_rows";
  const std::size_t given = 2 * config.reach + 1;
  const std::uint32_t* stored = file.take<std::uint32_t>(name, {kernels::padded(given)}).data();
  std::size_t next = 0;
  for (std::size_t i = 0; i < given && next <= config.rows; ++i)
    if (stored[i] + 1 != next) next = stored[i] == next ? next + 1 : config.rows + 1;
  if (next != config.rows)
    throw_error(ErrorCode::format, {file.name(), ": tensor '", name, "' does not count from 0 to ", config.rows - 1,
                                    ", each number once or more; convert the checkpoint again"});
  std::vector<std::uint32_t> rows(positions - 1 + kernels::round_up(positions, 32));
  for (std::size_t i = 0; i < rows.size(); ++i) {  // of distance i - (positions - 1), which is place i + reach - that
    const std::size_t place = i + config.reach;
    rows[i] = stored[place < positions ? 0 : std::min(place - (positions - 1), given - 1)];
  }
  return rows;
}

}  // namespace detail

BERTHA_FUNCTION PositionTables::PositionTables(WeightFile& file, const ModelConfig& config)
    : positions_(config.positions()),
      attention_heads_(config.num_attention_heads),
      bias_stride_(kernels::padded(2 * positions_ - 1)),
      head_stride_(kernels::padded(config.head_size())) {
  if (config.position_scheme == PositionScheme::distance_bias)
    distance_bias_ = Weights<float>(file, "encoder.distance_bias", {config.num_attention_heads, bias_stride_});
  if (config.position_scheme == PositionScheme::rotary) {
    angle_stride_ = kernels::padded(config.head_size() / 2);
    const auto& tables = config.rotary_tables;
    const std::size_t count = tables.empty() ? 1 : 1 + *std::max_element(tables.begin(), tables.end());
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = concat({"encoder.rotary.", i});
      rotary_.push_back({Weights<float>(file, name + ".cos", {positions_, angle_stride_}),
                         Weights<float>(file, name + ".sin", {positions_, angle_stride_})});
    }
  }
  if (config.position_scheme != PositionScheme::disentangled) return;
  relative_rows_ = config.disentangled.rows;
  row_of_distance_ = detail::take_rows_of_distances(file, config.disentangled, positions_);
  const std::size_t rows = config.stored_layers() * attention_heads_ * relative_rows_;
  const auto take = [&](const char* name) {
    EmbeddingTable table(file, name, rows, config.head_size(), PrecisionKind::float32);
    widens_ = widens_ || table.dtype() != DType::f32;
    return table;
  };
  has_relative_keys_ = config.disentangled.relative_keys;
  has_relative_queries_ = config.disentangled.relative_queries;
  if (has_relative_keys_) relative_keys_ = take("encoder.relative_keys");
  if (has_relative_queries_) relative_queries_ = take("encoder.relative_queries");
  for (std::size_t i = 0; widens_ && i < rows; ++i) row_numbers_.push_back(static_cast<std::uint32_t>(i));
}

BERTHA_FUNCTION const float* PositionTables::relative(const EmbeddingTable& table, std::size_t first,
                                                      const kernels::Attention& attention, ThreadMemory& memory,
                                                      std::size_t number) const {
  if (table.dtype() == DType::f32) return table.values() + first * head_stride_;
  float* widened = memory.relative.data() + number * relative_rows_ * head_stride_;
  const std::size_t begin = attention.relative_row[1 - static_cast<std::ptrdiff_t>(attention.length)];
  const std::size_t end = attention.relative_row[kernels::round_up(attention.length, 32) - 1] + std::size_t{1};
  const MatrixView<float> rows{widened, relative_rows_, attention.head_size, head_stride_};
  detail::embed(table, {}, {}, {row_numbers_.data() + first + begin, nullptr, nullptr, rows.middle_rows(begin, end)});
  return widened;
}

BERTHA_FUNCTION void PositionTables::prepare(const Reader& reader, float* query, kernels::Attention& attention,
                                             ThreadMemory& memory) const {
  if (distance_bias_.size() > 0)
    attention.bias = distance_bias_.data() + reader.attention_head * bias_stride_ + positions_ - 1;
  if (!rotary_.empty()) {
    const Angles& angles = rotary_[reader.rotary];
    kernels::RotateRows rows = {.x = query, .stride = attention.stride, .rows = attention.length};
    rows.size = attention.head_size;
    rows.cos = angles.cos.data();
    rows.sin = angles.sin.data();
    rows.angle_stride = angle_stride_;
    kernels::table().rotate_rows(rows);
    rows.x = query + (attention.key - attention.query);
    kernels::table().rotate_rows(rows);
  }
  if (relative_rows_ == 0) return;
  const std::size_t head = reader.stored_layer * attention_heads_ + reader.attention_head;
  const std::size_t first = head * relative_rows_;
  attention.relative_row = row_of_distance_.data() + positions_ - 1;
  reserve(memory);
  if (has_relative_keys_) attention.relative_key = relative(relative_keys_, first, attention, memory, 0);
  if (has_relative_queries_) attention.relative_query = relative(relative_queries_, first, attention, memory, 1);
  attention.relative_stride = head_stride_;
}

#endif

BERTHA_NAMESPACE_END
