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

/// scores[i, j] = (q[i] . k[j], one chain of fma, d ascending) * scale + bias; e = exp(score - max of the row), stored;
/// context[i, d] = (one chain of fma(e[j], v[j, d]), j ascending) * (1 / sum of e).
/// NaN and +inf among the scores give a row of NaN. Keys and values lie in panels, like weights.
inline void attention_f32(const Attention& op) {
  const std::size_t keys = padded(op.length), size = op.head_size;
  const std::size_t score_stride = keys + kLanes;  // not a power of two: rows would share sets of the first cache
  ScratchArrays scratch{op.scratch};
  const PanelLayout<float> key_layout(op.length, size), value_layout(size, op.length);
  float* key_panels = scratch.take<float>(key_layout.size());
  float* value_panels = scratch.take<float>(value_layout.size());
  float* scores = scratch.take<float>(kQueryBlock * score_stride);  // [kQueryBlock, keys]
  float* sums = scratch.take<float>(2 * kQueryBlock * kLanes);      // of two panels
  float factor[kQueryBlock];

  for (std::size_t j = 0; j < keys; ++j) {
    float* to = key_panels + key_layout.at(j, 0);
    for (std::size_t d = 0; d < size; ++d) to[d * kLanes] = j < op.length ? op.key[j * op.stride + d] : 0.0f;
  }
  for (std::size_t d = 0; d < size; d += kLanes)
    for (std::size_t j = 0; j < op.length; ++j)
      store(value_panels + value_layout.at(d, j), load(op.value + j * op.stride + d));

  for (std::size_t i = 0; i < op.length; i += kQueryBlock) {
    const std::size_t rows = smaller(kQueryBlock, op.length - i);
    const KeyRange block = keys_of_block(op, i, rows);
    const F32x16 scale = broadcast(op.scale);
    for (std::size_t j = block.begin, panels; j < block.end; j += panels * kLanes) {
      panels = panels_at_once<ProductF32>(rows, (padded(block.end) - j) / kLanes);
      tiles_f32({.a = op.query + i * op.stride,
                 .a_stride = op.stride,
                 .rows = rows,
                 .w = key_panels + key_layout.at(j, 0),
                 .k = size,
                 .panels = panels,
                 .sums = sums,
                 .sums_rows = rows});
      for (std::size_t p = 0; p < panels; ++p)
        for (std::size_t r = 0; r < rows; ++r)
          store(scores + r * score_stride + j + p * kLanes, mul(load(sums + (p * rows + r) * kLanes), scale));
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
