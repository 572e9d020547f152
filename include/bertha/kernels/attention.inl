// Attention in float32 and in int8, written once on sixteen lanes; each level includes it inside its region, after
// gemm.inl, in its namespace. A block of queries at a time: its score rows are complete before their softmax.

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

/// scores[i, j] = (q[i] . k[j], one chain of fma, d ascending) * scale; e = exp(score - max of the row), stored;
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
    const F32x16 scale = broadcast(op.scale);
    for (std::size_t j = 0, panels; j < keys; j += panels * kLanes) {
      panels = panels_at_once<ProductF32>(rows, (keys - j) / kLanes);
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
    for (std::size_t r = 0; r < rows; ++r) factor[r] = 1.0f / exponentials(scores + r * score_stride, op.length);
    for (std::size_t d = 0, panels; d < size; d += panels * kLanes) {
      panels = panels_at_once<ProductF32>(rows, (padded(size) - d) / kLanes);
      tiles_f32({.a = scores,
                 .a_stride = score_stride,
                 .rows = rows,
                 .w = value_panels + value_layout.at(d, 0),
                 .k = op.length,
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

/// Turns a row of e = exp(score - max) in (0, 1] into p = round_even(255 e), and sums them; a NaN gives 0 and is seen.
struct Probabilities {
  std::int16_t* out;
  I32x16 sum;
  LargestMagnitude largest;
  BERTHA_LANE_INLINE void operator()(F32x16 e, std::size_t i) {
    const I32x16 p = to_s32(max(mul(e, broadcast(255.0f)), broadcast(0.0f)));
    store_s16(out + i, p);
    sum = add(sum, p);
    largest(e, i);
  }
  BERTHA_LANE_INLINE void tail(F32x16 e, std::size_t i, std::size_t) { (*this)(e, i); }
};

/// Quantises sixteen columns over `length` rows, each by its own largest magnitude, into a panel.
/// A column with a NaN or infinity is 0 and has scale NaN.
BERTHA_LANE_INLINE void quantise_columns(const float* x, std::size_t stride, std::size_t length, std::int16_t* panel,
                                         float* scale) {
  LargestMagnitude largest{zero_s32()};
  for (std::size_t j = 0; j < length; ++j) largest(load(x + j * stride), j);
  alignas(64) std::int32_t most[kLanes];
  alignas(64) float lane_inverse[kLanes];
  store(most, largest.most);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const Quantiser column = quantiser(most[lane]);
    scale[lane] = column.scale;
    lane_inverse[lane] = column.inverse;
  }
  const F32x16 inverse = load(lane_inverse);
  const F32x16 zero = broadcast(0.0f);
  const Mask16 kept = less(zero, inverse);
  for (std::size_t j = 0; j < length; j += 2, panel += 2 * kLanes) {
    const F32x16 even = select(kept, load(x + j * stride), zero);
    const F32x16 odd = j + 1 < length ? select(kept, load(x + (j + 1) * stride), zero) : zero;
    store_pairs(panel, quantised(even, inverse), quantised(odd, inverse));
  }
}

/// Attention in integers, exact on every level: rows of q and k quantised over head_size, columns of v over the keys.
/// score = float(q . k) * ((q_scale * scale) * k_scale[j]); e = exp(score - max); p = round_even(255 e), 0 to 255;
/// context = float(sum p v) * (v_scale[d] * (1 / float(sum p))). A row of q, or a column of v, with a NaN or infinity
/// gives NaN there; one of k gives NaN everywhere.
inline void attention_s8(const Attention& op) {
  const std::size_t keys = padded(op.length), size = padded(op.head_size);
  ScratchArrays scratch{op.scratch};
  const PanelLayout<std::int16_t> key_layout(keys, size), value_layout(size, keys);
  std::int16_t* key_panels = scratch.take<std::int16_t>(key_layout.size());
  std::int16_t* value_panels = scratch.take<std::int16_t>(value_layout.size());
  float* key_scale = scratch.take<float>(keys);
  float* value_scale = scratch.take<float>(size);
  float* scores = scratch.take<float>(kQueryBlock * keys);                       // [kQueryBlock, keys]
  std::int16_t* probabilities = scratch.take<std::int16_t>(kQueryBlock * keys);  // [kQueryBlock, keys]
  std::int16_t* query = scratch.take<std::int16_t>(kQueryBlock * size);          // [kQueryBlock, size]
  std::int16_t* key_row = scratch.take<std::int16_t>(size);
  std::int32_t* sums = scratch.take<std::int32_t>(kQueryBlock * kLanes);
  float factor[kQueryBlock];

  for (std::size_t j = 0; j < keys; ++j) {
    key_scale[j] = j < op.length ? quantise_row(op.key + j * op.stride, op.head_size, key_row) : 0.0f;
    std::int16_t* to = key_panels + key_layout.at(j, 0);
    for (std::size_t d = 0; d < size; d += 2, to += 2 * kLanes) {
      to[0] = j < op.length ? key_row[d] : std::int16_t{0};
      to[1] = j < op.length ? key_row[d + 1] : std::int16_t{0};
    }
  }
  for (std::size_t d = 0; d < size; d += kLanes)
    quantise_columns(op.value + d, op.stride, op.length, value_panels + value_layout.at(d, 0), value_scale + d);

  for (std::size_t i = 0; i < op.length; i += kQueryBlock) {
    const std::size_t rows = smaller(kQueryBlock, op.length - i);
    for (std::size_t r = 0; r < rows; ++r)
      factor[r] = quantise_row(op.query + (i + r) * op.stride, op.head_size, query + r * size) * op.scale;
    for (std::size_t j = 0; j < keys; j += kLanes) {
      tiles_s16({.a = query,
                 .a_stride = size,
                 .rows = rows,
                 .w = key_panels + key_layout.at(j, 0),
                 .k = size,
                 .panels = 1,
                 .sums = sums,
                 .sums_rows = rows});
      for (std::size_t r = 0; r < rows; ++r)
        store(scores + r * keys + j,
              mul(to_f32(load(sums + r * kLanes)), mul(broadcast(factor[r]), load(key_scale + j))));
    }
    for (std::size_t r = 0; r < rows; ++r) {
      exponentials(scores + r * keys, op.length);
      Probabilities row{probabilities + r * keys, zero_s32(), {zero_s32()}};
      over_row(scores + r * keys, op.length, row);
      const bool finite = fold_max(row.largest.most) < 0x7f800000;
      factor[r] = finite ? 1.0f / static_cast<float>(fold_add(row.sum)) : __builtin_nanf("");
    }
    for (std::size_t d = 0; d < size; d += kLanes) {
      tiles_s16({.a = probabilities,
                 .a_stride = keys,
                 .rows = rows,
                 .w = value_panels + value_layout.at(d, 0),
                 .k = round_up(op.length, 2),
                 .panels = 1,
                 .sums = sums,
                 .sums_rows = rows});
      for (std::size_t r = 0; r < rows; ++r)
        store_context(op.context + (i + r) * op.context_stride + d,
                      mul(to_f32(load(sums + r * kLanes)), mul(load(value_scale + d), broadcast(factor[r]))),
                      op.head_size - d);
    }
  }
}
