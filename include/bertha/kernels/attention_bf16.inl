// Attention in bfloat16, written once on sixteen lanes, for the products of any level: those that inherit it hand it
// their own.

/// Rounds rows [count, size] into panels, which are filled up with zeros.
BERTHA_NOINLINE void put_in_panels(const float* x, std::size_t stride, std::size_t count, std::size_t size,
                                   bf16* panels) {
  const PanelLayout<bf16> layout(count, size);
  for (std::size_t j = 0; j < padded(count); ++j) {
    const float* row = x + j * stride;
    bf16* to = panels + layout.at(j, 0);
    alignas(64) bf16 rounded[kLanes];
    for (std::size_t d = 0; d < layout.depth(); d += kLanes, to += kLanes * kLanes) {
      const std::size_t left = j < count && d < size ? size - d : 0;
      store_bf16(rounded, to_bf16(left < kLanes ? load_first(row + smaller(d, size), left) : load(row + d)));
      for (std::size_t pair = 0; pair < kLanes; pair += 2) __builtin_memcpy(to + pair * kLanes, rounded + pair, 4);
    }
  }
}

/// What the products of relative keys and queries read in bfloat16: by `multiply`, as the products say that attend_bf16
/// begins with.
struct RelativeBf16 {
  const Relative& relative;
  void (*multiply)(const GemmBf16&);
  GemmBf16 of_queries, of_keys;
  static void by_query(const void* operands, KeyRange used) {
    const RelativeBf16& of = *static_cast<const RelativeBf16*>(operands);
    GemmBf16 product = of.of_queries;
    product.panels += used.begin * product.k;
    product.out = of.relative.by_query + used.begin;
    product.n_panels = used.size() / kLanes;
    of.multiply(product);
  }
  static void by_key(const void* operands, KeyRange used, std::size_t key) {
    const RelativeBf16& of = *static_cast<const RelativeBf16*>(operands);
    GemmBf16 product = of.of_keys;
    product.a += used.begin * product.a_stride;
    product.panels += key * product.k;
    product.rows = used.size();
    of.multiply(product);
  }
};

/// scores[i, j] = q[i] . k[j] + bias, or, with m = relative_row[j - i], (q[i] . k[j] + q[i] . relative_key[m]) + k[j] .
/// relative_query[m], where q is rounded after it is multiplied by `scale`; e = exp(score - max of the row); context[i,
/// d] = (sum over j of e[j] v[j, d]) * (1 / sum of e). q, k, v and, in the second product, e are rounded to bfloat16;
/// both products are GemmBf16, of rows that `pack` packs. Keys and values lie in panels, like weights.
BERTHA_NOINLINE void attend_bf16(const Attention& op, void (*pack)(const RoundRows&),
                                 void (*multiply)(const GemmBf16&)) {
  const std::size_t keys = round_up(op.length, 32), size = round_up(op.head_size, 32);  // k' of the two products
  const std::size_t score_stride = padded(op.length) + kLanes, width = padded(op.head_size);
  const PanelLayout<bf16> key_layout(op.length, op.head_size), value_layout(op.head_size, op.length);
  ScratchArrays scratch{op.scratch};
  bf16* key_panels = scratch.take<bf16>(key_layout.size());
  bf16* value_panels = scratch.take<bf16>(value_layout.size());
  bf16* query = scratch.take<bf16>(kQueryBlockBf16 * size);             // as pack_rows writes it
  bf16* probabilities = scratch.take<bf16>(kQueryBlockBf16 * keys);     // the same
  float* scores = scratch.take<float>(kQueryBlockBf16 * score_stride);  // [kQueryBlockBf16, keys]
  float* rows_of_size = scratch.take<float>(kQueryBlockBf16 * width);   // [kQueryBlockBf16, size]
  const Relative relative(op, scratch);
  std::byte* product = scratch.take<std::byte>(product_scratch(relative.rows_at_once(kQueryBlockBf16)));
  bf16* relative_panels = scratch.take<bf16>(padded(relative.count) * size);
  bf16* relative_query = scratch.take<bf16>(padded(relative.count) * size);  // as pack_rows writes it
  float factor[kQueryBlockBf16];

  put_in_panels(op.key, op.stride, op.length, op.head_size, key_panels);
  if (op.relative_key)
    put_in_panels(op.relative_key + relative.first * op.relative_stride, op.relative_stride, relative.count,
                  op.head_size, relative_panels);
  if (op.relative_query)
    pack({.x = op.relative_query + relative.first * op.relative_stride,
          .stride = op.relative_stride,
          .rows = relative.count,
          .size = op.head_size,
          .y = relative_query,
          .y_stride = size});
  for (std::size_t d = 0; d < width; d += kLanes)
    for (std::size_t j = 0; j < keys; j += 2) {
      const float* value = op.value + j * op.stride + d;
      const F32x16 even = j < op.length ? load(value) : broadcast(0.0f);
      const F32x16 odd = j + 1 < op.length ? load(value + op.stride) : broadcast(0.0f);
      store_bf16_pairs(value_panels + value_layout.at(d, j), to_bf16(even), to_bf16(odd));
    }

  const F32x16 scale = broadcast(op.scale);
  for (std::size_t i = 0; i < op.length; i += kQueryBlockBf16) {
    const std::size_t rows = smaller(kQueryBlockBf16, op.length - i);
    const KeyRange block = keys_of_block(op, i, rows);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t d = 0; d < width; d += kLanes)
        store(rows_of_size + r * width + d, mul(load(op.query + (i + r) * op.stride + d), scale));
    pack({.x = rows_of_size, .stride = width, .rows = rows, .size = op.head_size, .y = query, .y_stride = size});
    multiply({.a = query,
              .a_stride = size,
              .panels = key_panels + key_layout.at(block.begin, 0),
              .out = scores + block.begin,
              .out_stride = score_stride,
              .rows = rows,
              .k = size,
              .n_panels = padded(block.size()) / kLanes,
              .scratch = product});
    if (relative.count > 0) {
      const RelativeBf16 operands{relative,
                                  multiply,
                                  {.a = query,
                                   .a_stride = size,
                                   .panels = relative_panels,
                                   .out_stride = relative.stride,
                                   .rows = rows,
                                   .k = size,
                                   .scratch = product},
                                  {.a = relative_query,
                                   .a_stride = size,
                                   .panels = key_panels,
                                   .out = relative.by_key,
                                   .out_stride = kLanes,
                                   .k = size,
                                   .n_panels = 1,
                                   .scratch = product}};
      add_relative(op, relative, i, rows, block, scores, score_stride,
                   {RelativeBf16::by_query, RelativeBf16::by_key, &operands, kTileRows});
    }
    for (std::size_t r = 0; r < rows; ++r) factor[r] = 1.0f / exponentials(op, i + r, block, scores + r * score_stride);
    pack({.x = scores + block.begin,
          .stride = score_stride,
          .rows = rows,
          .size = block.size(),
          .y = probabilities,
          .y_stride = keys});
    const std::size_t panels = block.size() == op.length ? value_layout.panels() : 1;  // that follow each other
    for (std::size_t d = 0; d < width; d += panels * kLanes)
      multiply({.a = probabilities,
                .a_stride = keys,
                .panels = value_panels + value_layout.at(d, block.begin),
                .out = rows_of_size + d,
                .out_stride = width,
                .rows = rows,
                .k = round_up(block.size(), 32),
                .n_panels = panels,
                .scratch = product});
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t d = 0; d < op.head_size; d += kLanes)
        store_context(op.context + (i + r) * op.context_stride + d,
                      mul(load(rows_of_size + r * width + d), broadcast(factor[r])), op.head_size - d);
  }
}
