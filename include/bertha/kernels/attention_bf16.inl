// Attention in bfloat16, written once on sixteen lanes, for the products of any level: those that inherit it hand it
// their own.

/// scores[i, j] = q[i] . k[j] + bias, where q is rounded after it is multiplied by `scale`; e = exp(score - max of the
/// row); context[i, d] = (sum over j of e[j] v[j, d]) * (1 / sum of e). q, k, v and, in the second product, e are
/// rounded to bfloat16; both products are GemmBf16, of rows that `pack` packs. Keys and values lie in panels, like
/// weights.
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
  std::byte* product = scratch.take<std::byte>(product_scratch(kQueryBlockBf16));
  float factor[kQueryBlockBf16];

  for (std::size_t j = 0; j < padded(op.length); ++j) {
    const float* key = op.key + j * op.stride;
    bf16* to = key_panels + key_layout.at(j, 0);
    alignas(64) bf16 rounded[kLanes];
    for (std::size_t d = 0; d < size; d += kLanes, to += kLanes * kLanes) {
      const std::size_t left = j < op.length && d < op.head_size ? op.head_size - d : 0;
      store_bf16(rounded, to_bf16(left < kLanes ? load_first(key + smaller(d, op.head_size), left) : load(key + d)));
      for (std::size_t pair = 0; pair < kLanes; pair += 2) __builtin_memcpy(to + pair * kLanes, rounded + pair, 4);
    }
  }
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
