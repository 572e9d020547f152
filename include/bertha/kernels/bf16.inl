// bfloat16: embeddings and rounding, written once on sixteen lanes; each level includes it inside its region,
// after gemm.inl, in its namespace. A number travels as its 16 bits, which are the upper half of the float32 number
// that it is.

inline void embed_bf16(const EmbedBf16& op) { embed(op); }

inline void round_rows(const RoundRows& op) {
  for (std::size_t row = 0; row < op.rows; ++row) {
    const float* x = op.x + row * op.stride;
    bf16* y = op.y + row * op.y_stride;
    for (std::size_t i = 0; i < op.size; i += kLanes)
      store_bf16(y + i, to_bf16(op.size - i < kLanes ? load_first(x + i, op.size - i) : load(x + i)));
    if (padded(op.size) < round_up(op.size, 32)) store_bf16(y + padded(op.size), zero_s32());
  }
}

/// Products on vectors read rows as they lie.
inline void pack_rows(const RoundRows& op) { round_rows(op); }

inline void round_panels(const RoundPanels& op) {
  const std::size_t depth = round_up(op.k, 32);
  for (std::size_t panel = 0; panel < op.n_panels; ++panel) {
    const float* from = op.panels + panel * op.k * kLanes;
    bf16* to = op.out + panel * depth * kLanes;
    for (std::size_t k = 0; k < depth; k += 2)
      store_bf16_pairs(to + k * kLanes, k < op.k ? to_bf16(load(from + k * kLanes)) : zero_s32(),
                       k + 1 < op.k ? to_bf16(load(from + (k + 1) * kLanes)) : zero_s32());
  }
}
