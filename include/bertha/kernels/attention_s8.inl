// Attention in int8, written once on sixteen lanes, for the products of any level: those that inherit it hand it their
// own.

/// Quantises sixteen columns over `length` rows, each by its own largest magnitude, into a panel of `depth` rows.
/// A column with a NaN or infinity is 0 and has scale NaN.
BERTHA_LANE_INLINE void quantise_columns(const float* x, std::size_t stride, std::size_t length, std::size_t depth,
                                         std::int8_t* panel, float* scale) {
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
  const F32x16 inverse = load(lane_inverse), zero = broadcast(0.0f);
  const Mask16 kept = less(zero, inverse);
  for (std::size_t j = 0; j < depth; j += 4, panel += 4 * kLanes) {
    I32x16 q[4];
    BERTHA_UNROLL
    for (std::size_t e = 0; e < 4; ++e)
      q[e] = j + e < length ? quantised(select(kept, load(x + (j + e) * stride), zero), inverse) : zero_s32();
    store_quads(panel, q[0], q[1], q[2], q[3]);
  }
}

/// A row of e = exp(score - max) in (0, 1] as p = round_even(255 e), their sums, and those of e: NaN when one is. With
/// `low`, p = round_even(32767 e) is 256 out + low.
struct Probabilities {
  std::uint8_t *out, *low;
  I32x16 sum;
  F32x16 total;
  BERTHA_LANE_INLINE void put(F32x16 e, std::size_t i) {
    const I32x16 p = to_s32(max(mul(e, broadcast(low ? 32767.0f : 255.0f)), broadcast(0.0f)));  // of a NaN: 0
    I32x16 bytes = p;
    if (low) {
      bytes = to_s32(fma(to_f32(p), broadcast(1.0f / 256), broadcast(-255.0f / 512)));  // rounded down: p is whole
      store_u8(low + i, subtract_product(p, 256, bytes));
    }
    store_u8(out + i, bytes);
    sum = add(sum, p);
    total = add(total, e);
  }
};

/// The probabilities of a row of `length` scores, the largest of which is `most`, and zeros up to `keys` of them.
BERTHA_LANE_INLINE void put_probabilities(const float* scores, F32x16 most, std::size_t length, std::size_t keys,
                                          Probabilities& row) {
  std::size_t j = 0;
  for (; j + kExpVectors * kLanes <= length; j += kExpVectors * kLanes) {
    F32x16 e[kExpVectors];
    BERTHA_UNROLL
    for (std::size_t v = 0; v < kExpVectors; ++v) e[v] = sub(load(scores + j + v * kLanes), most);
    exp(e);
    BERTHA_UNROLL
    for (std::size_t v = 0; v < kExpVectors; ++v) row.put(e[v], j + v * kLanes);
  }
  for (; j < length; j += kLanes)
    row.put(select(lanes_below(smaller(kLanes, length - j)), exp(sub(load(scores + j), most)), broadcast(0.0f)), j);
  for (; j < keys; j += kLanes) {
    store_u8(row.out + j, zero_s32());
    if (row.low) store_u8(row.low + j, zero_s32());
  }
}

/// Quantises rows [count, size] into panels, which are filled up with zeros; k' is whole vectors. `row` is memory for
/// one.
BERTHA_NOINLINE void put_in_panels(const float* x, std::size_t stride, std::size_t count, std::size_t size,
                                   std::int8_t* row, std::int8_t* panels, float* scale) {
  const PanelLayout<std::int8_t> layout(count, size, kLanes);
  for (std::size_t j = 0; j < padded(count); ++j) {
    scale[j] = j < count ? quantise_row(x + j * stride, size, row) : 0.0f;
    std::int8_t* to = panels + layout.at(j, 0);
    for (std::size_t d = 0; d < layout.depth(); d += 4, to += 4 * kLanes) {
      std::uint32_t four = 0;
      if (j < count) __builtin_memcpy(&four, row + d, 4);
      __builtin_memcpy(to, &four, 4);
    }
  }
}

/// What the products of relative keys and queries read in int8: by `multiply`, as the products say that attend_s8
/// begins with.
struct RelativeS8 {
  const Relative& relative;
  void (*multiply)(const GemmS8&);
  GemmS8 of_queries, of_keys;
  static void by_query(const void* operands, KeyRange used) {
    const RelativeS8& of = *static_cast<const RelativeS8*>(operands);
    GemmS8 product = of.of_queries;
    product.panels += used.begin * product.k;
    product.scale += used.begin;
    product.out = of.relative.by_query + used.begin;
    product.n_panels = used.size() / kLanes;
    of.multiply(product);
  }
  static void by_key(const void* operands, KeyRange used, std::size_t key) {
    const RelativeS8& of = *static_cast<const RelativeS8*>(operands);
    GemmS8 product = of.of_keys;
    product.a += used.begin * product.a_stride;
    product.a_scale += used.begin;
    product.panels += key * product.k;
    product.scale += key;
    product.rows = used.size();
    of.multiply(product);
  }
};

/// Exact on every level: rows of q and k are quantised over head_size, columns of v over the keys.
/// score = float(q . k) * ((q_scale * scale) * k_scale[j]) + bias, or, with m = relative_row[j - i], rows of relative
/// keys and queries quantised like those of k and q, (float(q . k) * ((q_scale * scale) * k_scale[j]) +
/// float(q . relative_key[m]) * ((q_scale * scale) * its scale)) + float(k . relative_query[m]) * (its scale *
/// k_scale[j]); e = exp(score - max); p = round_even(255 e), 0 to
/// 255; context = float(sum p v) * ((1 / float(sum p)) * v_scale[d]). A row of q, or a column of v, with a NaN or
/// infinity gives NaN there; one of k gives NaN everywhere. Fine: p = round_even(32767 e) = 256 high + low, f = 1 /
/// float(sum p); context = float(sum high v) * ((256 f) * v_scale[d]) + float(sum low v) * (f * v_scale[d]). The
/// products are GemmS8, of rows that `pack` packs; keys and values lie in panels, like weights, but that k' is whole
/// vectors. A packed number has `bytes` bytes.
BERTHA_NOINLINE void attend_s8(const Attention& op, void (*pack)(const QuantiseRows&), void (*multiply)(const GemmS8&),
                               std::size_t bytes) {
  const std::size_t keys = padded(op.length), width = padded(op.head_size);
  const std::size_t score_stride = keys + kLanes;  // not a power of two: rows would share sets of the first cache
  const std::size_t query_stride = round_up(op.head_size, 64) * bytes;
  const PanelLayout<std::int8_t> key_layout(op.length, op.head_size, kLanes), value_layout(op.head_size, keys, kLanes);
  ScratchArrays scratch{op.scratch};
  std::int8_t* key_panels = scratch.take<std::int8_t>(key_layout.size());
  std::int8_t* value_panels = scratch.take<std::int8_t>(value_layout.size());
  float* key_scale = scratch.take<float>(keys);
  float* value_scale = scratch.take<float>(width);
  std::int8_t* query = scratch.take<std::int8_t>(kQueryBlock * query_stride);  // as `pack` writes it
  float* scores = scratch.take<float>(kQueryBlock * score_stride);
  std::uint8_t* probabilities = scratch.take<std::uint8_t>(kQueryBlock * score_stride);
  std::uint8_t* low = op.fine ? scratch.take<std::uint8_t>(kQueryBlock * score_stride) : nullptr;
  std::int32_t* sums = scratch.take<std::int32_t>(kQueryBlock * kLanes);  // of probabilities, lane by lane
  float* totals = scratch.take<float>(kQueryBlock * kLanes);              // of e
  float* context = scratch.take<float>(kQueryBlock * width);
  const Relative relative(op, scratch);
  std::byte* product = scratch.take<std::byte>(product_scratch(relative.rows_at_once(kQueryBlock)));
  const std::size_t relative_rows = padded(relative.count);
  std::int8_t* relative_panels = scratch.take<std::int8_t>(relative_rows * width);
  float* relative_key_scale = scratch.take<float>(relative_rows);
  std::int8_t* relative_query = scratch.take<std::int8_t>(relative_rows * query_stride);  // as `pack` writes it
  float* relative_query_scale = scratch.take<float>(relative_rows);
  float factor[kQueryBlock], high_factor[kQueryBlock];

  put_in_panels(op.key, op.stride, op.length, op.head_size, query, key_panels, key_scale);
  if (op.relative_key)
    put_in_panels(op.relative_key + relative.first * op.relative_stride, op.relative_stride, relative.count,
                  op.head_size, query, relative_panels, relative_key_scale);
  if (op.relative_query)
    pack({.x = op.relative_query + relative.first * op.relative_stride,
          .stride = op.relative_stride,
          .rows = relative.count,
          .size = op.head_size,
          .q = relative_query,
          .q_stride = query_stride,
          .scale = relative_query_scale});
  for (std::size_t d = 0; d < width; d += kLanes)
    quantise_columns(op.value + d, op.stride, op.length, keys, value_panels + value_layout.at(d, 0), value_scale + d);

  for (std::size_t i = 0; i < op.length; i += kQueryBlock) {
    const std::size_t rows = smaller(kQueryBlock, op.length - i);
    const KeyRange block = keys_of_block(op, i, rows);
    pack({.x = op.query + i * op.stride,
          .stride = op.stride,
          .rows = rows,
          .size = op.head_size,
          .q = query,
          .q_stride = query_stride,
          .scale = factor});
    for (std::size_t r = 0; r < rows; ++r) factor[r] *= op.scale;
    multiply({.a = query,
              .a_stride = query_stride,
              .a_scale = factor,
              .panels = key_panels + key_layout.at(block.begin, 0),
              .scale = key_scale + block.begin,
              .out = scores + block.begin,
              .out_stride = score_stride,
              .rows = rows,
              .k = width,
              .n_panels = padded(block.size()) / kLanes,
              .scratch = product});
    if (relative.count > 0) {
      const RelativeS8 operands{relative,
                                multiply,
                                {.a = query,
                                 .a_stride = query_stride,
                                 .a_scale = factor,
                                 .panels = relative_panels,
                                 .scale = relative_key_scale,
                                 .out_stride = relative.stride,
                                 .rows = rows,
                                 .k = width,
                                 .scratch = product},
                                {.a = relative_query,
                                 .a_stride = query_stride,
                                 .a_scale = relative_query_scale,
                                 .panels = key_panels,
                                 .scale = key_scale,
                                 .out = relative.by_key,
                                 .out_stride = kLanes,
                                 .k = width,
                                 .n_panels = 1,
                                 .scratch = product}};
      add_relative(op, relative, i, rows, block, scores, score_stride,
                   {RelativeS8::by_query, RelativeS8::by_key, &operands, kTileRows});
    }
    // In three loops over the rows, of which each has many short chains: a fold is one long one.
    for (std::size_t r = 0; r < rows; ++r) {
      const KeyRange seen = keys_of(op, i + r);
      float* row = scores + r * score_stride + seen.begin;
      if (op.bias) add_bias(op, i + r, seen, row);
      Largest largest{broadcast(-__builtin_inff())};
      over_row(row, seen.size(), largest);
      factor[r] = fold_max(largest.most);
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const KeyRange seen = keys_of(op, i + r);
      const std::size_t at = r * score_stride, before = seen.begin - block.begin;
      Probabilities row{probabilities + at + seen.begin, low ? low + at + seen.begin : nullptr, zero_s32(),
                        broadcast(0.0f)};
      put_probabilities(scores + at + seen.begin, broadcast(factor[r]), seen.size(), padded(block.end) - seen.begin,
                        row);
      if (op.window > 0) __builtin_memset(probabilities + at + block.begin, 0, before);
      if (op.window > 0 && low) __builtin_memset(low + at + block.begin, 0, before);
      store(sums + r * kLanes, row.sum);
      store(totals + r * kLanes, row.total);
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const bool finite = fold_add(load(totals + r * kLanes)) < __builtin_inff();
      factor[r] = finite ? 1.0f / static_cast<float>(fold_add(load(sums + r * kLanes))) : __builtin_nanf("");
      high_factor[r] = factor[r] * 256;
    }
    const std::size_t panels = block.size() == op.length ? value_layout.panels() : 1;  // that follow each other
    for (std::size_t d = 0; d < width; d += panels * kLanes) {
      GemmS8 mean = {.a = reinterpret_cast<const std::int8_t*>(low ? low : probabilities) + block.begin,
                     .a_stride = score_stride,
                     .a_scale = factor,
                     .panels = value_panels + value_layout.at(d, block.begin),
                     .scale = value_scale + d,
                     .out = context + d,
                     .out_stride = width,
                     .rows = rows,
                     .k = padded(block.size()),
                     .n_panels = panels,
                     .scratch = product,
                     .a_unsigned = true};
      multiply(mean);
      if (!low) continue;
      mean.a = reinterpret_cast<const std::int8_t*>(probabilities) + block.begin;
      mean.a_scale = high_factor;
      mean.residual = context + d;
      mean.residual_stride = width;
      multiply(mean);
    }
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t d = 0; d < op.head_size; d += kLanes)
        store_context(op.context + (i + r) * op.context_stride + d, load(context + r * width + d), op.head_size - d);
  }
}
