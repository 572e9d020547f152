// Attention in bfloat16, written once on sixteen lanes, for the products of any level: those that inherit it hand it
// their own.

/// scores[i, j] = q[i] . k[j], where q is rounded after it is multiplied by `scale`; e = exp(score - max of the row);
/// context[i, d] = (sum over j of e[j] v[j, d]) * (1 / sum of e). q, k, v and, in the second product, e are rounded to
/// bfloat16; both products are GemmBf16, of rows that `pack` packs. Keys and values lie in panels, like weights.
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
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t d = 0; d < width; d += kLanes)
        store(rows_of_size + r * width + d, mul(load(op.query + (i + r) * op.stride + d), scale));
    pack({.x = rows_of_size, .stride = width, .rows = rows, .size = op.head_size, .y = query, .y_stride = size});
    multiply({.a = query,
              .a_stride = size,
              .panels = key_panels,
              .out = scores,
              .out_stride = score_stride,
              .rows = rows,
              .k = size,
              .n_panels = key_layout.panels(),
              .scratch = product});
    for (std::size_t r = 0; r < rows; ++r) factor[r] = 1.0f / exponentials(scores + r * score_stride, op.length);
    pack({.x = scores, .stride = score_stride, .rows = rows, .size = op.length, .y = probabilities, .y_stride = keys});
    multiply({.a = probabilities,
              .a_stride = keys,
              .panels = value_panels,
              .out = rows_of_size,
              .out_stride = width,
              .rows = rows,
              .k = keys,
              .n_panels = value_layout.panels(),
              .scratch = product});
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t d = 0; d < op.head_size; d += kLanes)
        store_context(op.context + (i + r) * op.context_stride + d,
                      mul(load(rows_of_size + r * width + d), broadcast(factor[r])), op.head_size - d);
  }
}
