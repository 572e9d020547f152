// Attention in float32, written once on sixteen lanes; each level includes it inside its region, after gemm.inl, in its
// namespace. A block of queries at a time: its score rows are complete before their softmax.

/// Cuts attention's scratch into arrays, one after the other; each begins on a boundary of 64 bytes.
struct ScratchArrays {
  std::byte* next;
  template <class Element>
  BERTHA_INLINE Element* take(std::size_t n) {
    Element* array = reinterpret_cast<Element*>(next);
    next += round_up(n * sizeof(Element), 64);
    return array;
  }
};

/// Writes sixteen numbers of a context row, or the `count` that are left of it.
BERTHA_LANE_INLINE void store_context(float* p, F32x16 x, std::size_t count) {
  if (count < kLanes)
    store_first(p, x, count);
  else
    store(p, x);
}

/// Keys [begin, end) of a sequence.
struct KeyRange {
  std::size_t begin, end;
  BERTHA_LANE_INLINE std::size_t size() const { return end - begin; }
};

/// The keys that a row sees.
BERTHA_LANE_INLINE KeyRange keys_of(const Attention& op, std::size_t row) {
  if (op.window == 0) return {0, op.length};
  return {row < op.window ? 0 : row - op.window, smaller(op.length, row + op.window + 1)};
}

/// The keys that are computed for a block of rows: whole pairs of panels come before those that one of them sees.
BERTHA_LANE_INLINE KeyRange keys_of_block(const Attention& op, std::size_t row, std::size_t rows) {
  return {keys_of(op, row).begin / 32 * 32, keys_of(op, row + rows - 1).end};
}

/// Adds to the scores of a row, which begin with the first key that it sees, the biases of their distances.
BERTHA_NOINLINE void add_bias(const Attention& op, std::size_t row, const KeyRange& seen, float* scores) {
  const float* bias = op.bias - row + seen.begin;
  for (std::size_t j = 0; j < seen.size(); j += kLanes)
    store(scores + j, add(load(scores + j), load_first(bias + j, smaller(kLanes, seen.size() - j))));
}

/// Makes e^(score - largest) of the scores of a row that it sees, biases added, 0 of the others of its block. Returns
/// the sum.
BERTHA_NOINLINE float exponentials(const Attention& op, std::size_t row, const KeyRange& block, float* scores) {
  const KeyRange seen = keys_of(op, row);
  if (op.bias) add_bias(op, row, seen, scores + seen.begin);
  const float sum = exponentials(scores + seen.begin, seen.size());
  if (op.window > 0) {
    __builtin_memset(scores + block.begin, 0, (seen.begin - block.begin) * sizeof(float));
    __builtin_memset(scores + seen.end, 0, (block.end - seen.end) * sizeof(float));
  }
  return sum;
}

/// 1 in the lanes whose number has the bit 8, 4, 2, 1.
alignas(64) inline constexpr float kLanesWithBit[4][kLanes] = {{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1},
                                                               {0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1},
                                                               {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1},
                                                               {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}};

/// What a sequence, or a block of its queries, reads of relative keys and queries, and what becomes of that: `first` is
/// the number of the first row of either that the sequence reads, and from it the others are counted.
struct Relative {
  std::size_t first, count;
  float* by_query;  // [kQueryBlockBf16, stride]: the block's queries times relative keys
  std::size_t stride;
  float* by_key;  // [kRelativeRows, 16]: relative queries times the keys of a panel

  BERTHA_LANE_INLINE Relative(const Attention& op, ScratchArrays& scratch) : count(0) {
    if (op.relative_row == nullptr) return;
    first = op.relative_row[1 - static_cast<std::ptrdiff_t>(op.length)];
    count = op.relative_row[round_up(op.length, 32) - 1] - first + 1;
    stride = padded(count) + kLanes;
    by_query = scratch.take<float>(kQueryBlockBf16 * stride);
    by_key = scratch.take<float>(kRelativeRows * kLanes);
  }
  /// Rows of a product at a time, of blocks of `rows` queries.
  BERTHA_LANE_INLINE std::size_t rows_at_once(std::size_t rows) const { return count > 0 ? kRelativeRows : rows; }
  /// The rows of the distances from queries [query, query + rows) to keys [keys.begin, keys.end).
  BERTHA_LANE_INLINE KeyRange rows_of(const Attention& op, std::size_t query, std::size_t rows, KeyRange keys) const {
    const std::uint32_t *from_first = op.relative_row - query, *from_last = from_first - (rows - 1);
    return {from_last[keys.begin] - first, from_first[keys.end - 1] - first + 1};
  }
};

/// scores[r, j] += number of the distance from query + r to j in row r of by_query.
BERTHA_NOINLINE void add_by_query(const Attention& op, const Relative& relative, std::size_t query, std::size_t rows,
                                  KeyRange keys, float* scores, std::size_t score_stride) {
  for (std::size_t r = 0; r < rows; ++r, scores += score_stride) {
    const std::uint32_t* to_key = op.relative_row - (query + r);
    const float* numbers = relative.by_query + r * relative.stride - relative.first;
    for (std::size_t j = keys.begin; j < keys.end; j += kLanes)
      store(scores + j, add(load(scores + j), load_steps(numbers, to_key + j)));
  }
}

/// Numbers for a panel of keys by the distance to its first key, from a least one on.
struct NumbersOfDistances {
  const float* by_key;
  const std::uint32_t* row_of;  // of these distances
  std::size_t last;             // more are not read
  BERTHA_LANE_INLINE F32x16 operator()(std::size_t u) const { return load(by_key + row_of[smaller(u, last)] * kLanes); }
};
struct TurnedRows {
  const F32x16* rows;
  BERTHA_LANE_INLINE F32x16 operator()(std::size_t u) const { return rows[u]; }
};

/// turned[u] has of each lane what row u + kShift has where the lane's number has that bit, else what row u has.
template <std::size_t kShift, std::size_t kRows, class Rows>
BERTHA_LANE_INLINE void turn(const float (&lanes_with_bit)[kLanes], Rows row, F32x16 (&turned)[kRows]) {
  const Mask16 further = less(broadcast(0.0f), load(lanes_with_bit));
  BERTHA_UNROLL
  for (std::size_t u = 0; u < kRows; ++u) turned[u] = select(further, row(u + kShift), row(u));
}

/// The same for sixteen keys from `key` on, row `from` of by_key being its first. The number of key + l is that l
/// distances further than the number of `key`: by the bits of l, lanes take what is 8, 4, 2 and 1 further.
BERTHA_NOINLINE void add_by_key(const Attention& op, const Relative& relative, std::size_t query, std::size_t rows,
                                std::size_t key, std::size_t from, float* scores, std::size_t score_stride) {
  constexpr std::size_t kTurned = kLanes / 2;  // rows at a time
  const float* numbers = relative.by_key - (relative.first + from) * kLanes;
  for (std::size_t r = 0; r < rows; r += kTurned) {
    const std::size_t last = smaller(kTurned, rows - r) - 1;
    F32x16 by8[kTurned + 7], by4[kTurned + 3], by2[kTurned + 1], by1[kTurned];
    turn<8>(kLanesWithBit[0],
            NumbersOfDistances{numbers, op.relative_row + key - (query + r + last), last + kLanes - 1}, by8);
    turn<4>(kLanesWithBit[1], TurnedRows{by8}, by4);
    turn<2>(kLanesWithBit[2], TurnedRows{by4}, by2);
    turn<1>(kLanesWithBit[3], TurnedRows{by2}, by1);
    BERTHA_UNROLL
    for (std::size_t u = 0; u < kTurned; ++u) {
      if (u > last) continue;  // a break would keep clang 22 from unrolling
      float* score = scores + (r + last - u) * score_stride + key;
      store(score, add(load(score), by1[u]));
    }
  }
}

/// The products of relative keys and queries in one precision: `by_query` is of a block's queries and relative keys, in
/// whole panels, `by_key` of relative queries, from a multiple of `unit` on, and the keys of the panel that begins with
/// `key`; both go to `Relative`.
struct RelativeProducts {
  void (*by_query)(const void* operands, KeyRange used);
  void (*by_key)(const void* operands, KeyRange used, std::size_t key);
  const void* operands;
  std::size_t unit;
};

/// scores[r, j] += query + r times the relative key of the distance to j, scaled, then j times the relative query.
BERTHA_NOINLINE void add_relative(const Attention& op, const Relative& relative, std::size_t query, std::size_t rows,
                                  KeyRange keys, float* scores, std::size_t score_stride,
                                  const RelativeProducts& products) {
  if (op.relative_key) {
    const KeyRange used = relative.rows_of(op, query, rows, keys);
    products.by_query(products.operands, {used.begin / kLanes * kLanes, padded(used.end)});
    add_by_query(op, relative, query, rows, keys, scores, score_stride);
  }
  if (op.relative_query == nullptr) return;
  for (std::size_t key = keys.begin; key < keys.end; key += kLanes) {
    KeyRange used = relative.rows_of(op, query, rows, {key, key + kLanes});
    used.begin = used.begin / products.unit * products.unit;
    products.by_key(products.operands, used, key);
    add_by_key(op, relative, query, rows, key, used.begin, scores, score_stride);
  }
}

/// Rows [count, size] become the outputs of panels, which are filled up with zeros.
BERTHA_NOINLINE void put_in_panels(const float* x, std::size_t stride, std::size_t count, std::size_t size,
                                   float* panels) {
  const PanelLayout<float> layout(count, size);
  for (std::size_t j = 0; j < padded(count); ++j) {
    float* to = panels + layout.at(j, 0);
    for (std::size_t d = 0; d < size; ++d) to[d * kLanes] = j < count ? x[j * stride + d] : 0.0f;
  }
}

/// out[r, n] = (a[r] . row n of panels, in parts of kPartF32, k ascending) * scale, for the n of n_panels panels.
struct ScaledProduct {
  const float* a;
  std::size_t a_stride, rows;
  const float* panels;
  std::size_t k, n_panels;
  float scale;
  float* out;
  std::size_t out_stride;
  float* sums;  // [2, rows, 16]
};
BERTHA_NOINLINE void multiply_scaled(const ScaledProduct& op) {
  const F32x16 scale = broadcast(op.scale);
  for (std::size_t panel = 0, panels; panel < op.n_panels; panel += panels) {
    panels = panels_at_once<ProductF32>(op.rows, op.n_panels - panel);
    tiles_f32({.a = op.a,
               .a_stride = op.a_stride,
               .rows = op.rows,
               .w = op.panels + panel * op.k * kLanes,
               .k = op.k,
               .panels = panels,
               .sums = op.sums,
               .sums_rows = op.rows});
    for (std::size_t p = 0; p < panels; ++p)
      for (std::size_t r = 0; r < op.rows; ++r)
        store(op.out + r * op.out_stride + (panel + p) * kLanes,
              mul(load(op.sums + (p * op.rows + r) * kLanes), scale));
  }
}

/// What the products of relative keys and queries read in float32.
struct RelativeF32 {
  const Attention& op;
  const Relative& relative;
  const float *key_panels, *relative_panels;
  std::size_t query, rows;
  float* sums;
  static void by_query(const void* operands, KeyRange used) {
    const RelativeF32& of = *static_cast<const RelativeF32*>(operands);
    const Attention& op = of.op;
    multiply_scaled({op.query + of.query * op.stride, op.stride, of.rows,
                     of.relative_panels + used.begin * op.head_size, op.head_size, used.size() / kLanes, op.scale,
                     of.relative.by_query + used.begin, of.relative.stride, of.sums});
  }
  static void by_key(const void* operands, KeyRange used, std::size_t key) {
    const RelativeF32& of = *static_cast<const RelativeF32*>(operands);
    const Attention& op = of.op;
    const std::size_t begin = of.relative.first + used.begin;
    multiply_scaled({op.relative_query + begin * op.relative_stride, op.relative_stride, used.size(),
                     of.key_panels + key * op.head_size, op.head_size, 1, 1.0f, of.relative.by_key, kLanes, of.sums});
  }
};

/// scores[i, j] = (q[i] . k[j], in parts of kPartF32, d ascending) * scale + bias, or, with m = relative_row[j - i],
/// ((q[i] . k[j]) * scale + (q[i] . relative_key[m]) * scale) + k[j] . relative_query[m], the products likewise;
/// e = exp(score - max of the row), stored;
/// context[i, d] = (sum of e[j] v[j, d] likewise, from the first key of the block on) * (1 / sum of e).
/// NaN and +inf among the scores give a row of NaN. Keys and values lie in panels, like weights.
inline void attention_f32(const Attention& op) {
  const std::size_t keys = padded(op.length), size = op.head_size;
  const std::size_t score_stride = keys + kLanes;  // not a power of two: rows would share sets of the first cache
  ScratchArrays scratch{op.scratch};
  const PanelLayout<float> key_layout(op.length, size), value_layout(size, op.length);
  float* key_panels = scratch.take<float>(key_layout.size());
  float* value_panels = scratch.take<float>(value_layout.size());
  float* scores = scratch.take<float>(kQueryBlock * score_stride);  // [kQueryBlock, keys]
  const Relative relative(op, scratch);
  float* sums = scratch.take<float>(2 * relative.rows_at_once(kQueryBlock) * kLanes);  // of two panels
  float* relative_panels = scratch.take<float>(padded(relative.count) * size);
  float factor[kQueryBlock];

  put_in_panels(op.key, op.stride, op.length, size, key_panels);
  if (op.relative_key)
    put_in_panels(op.relative_key + relative.first * op.relative_stride, op.relative_stride, relative.count, size,
                  relative_panels);
  for (std::size_t d = 0; d < size; d += kLanes)
    for (std::size_t j = 0; j < op.length; ++j)
      store(value_panels + value_layout.at(d, j), load(op.value + j * op.stride + d));

  for (std::size_t i = 0; i < op.length; i += kQueryBlock) {
    const std::size_t rows = smaller(kQueryBlock, op.length - i);
    const KeyRange block = keys_of_block(op, i, rows);
    multiply_scaled({op.query + i * op.stride, op.stride, rows, key_panels + key_layout.at(block.begin, 0), size,
                     padded(block.size()) / kLanes, op.scale, scores + block.begin, score_stride, sums});
    if (relative.count > 0) {
      const RelativeF32 operands{op, relative, key_panels, relative_panels, i, rows, sums};
      add_relative(op, relative, i, rows, block, scores, score_stride,
                   {RelativeF32::by_query, RelativeF32::by_key, &operands, 1});
    }
    for (std::size_t r = 0; r < rows; ++r) factor[r] = 1.0f / exponentials(op, i + r, block, scores + r * score_stride);
    const bool whole = block.size() == op.length;  // else the panels of a product don't follow each other
    for (std::size_t d = 0, panels; d < size; d += panels * kLanes) {
      panels = whole ? panels_at_once<ProductF32>(rows, (padded(size) - d) / kLanes) : 1;
      tiles_f32({.a = scores + block.begin,
                 .a_stride = score_stride,
                 .rows = rows,
                 .w = value_panels + value_layout.at(d, block.begin),
                 .k = block.size(),
                 .panels = panels,
                 .sums = sums,
                 .sums_rows = rows});
      for (std::size_t p = 0; p < panels; ++p)
        for (std::size_t r = 0; r < rows; ++r)
          store_context(op.context + (i + r) * op.context_stride + d + p * kLanes,
                        mul(load(sums + (p * rows + r) * kLanes), broadcast(factor[r])), size - d - p * kLanes);
    }
  }
}
