// bfloat16: embeddings and rounding, written once on sixteen lanes; each level includes it inside its region,
// after gemm.inl, in its namespace.

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
  const PanelLayout<float> from(op.n_panels * kLanes, op.k);
  const PanelLayout<bf16> to(op.n_panels * kLanes, op.k);
  for (std::size_t n = 0; n < op.n_panels * kLanes; n += kLanes)
    for (std::size_t k = 0; k < to.depth(); k += 2)
      store_bf16_pairs(op.out + to.at(n, k), k < op.k ? to_bf16(load(op.panels + from.at(n, k))) : zero_s32(),
                       k + 1 < op.k ? to_bf16(load(op.panels + from.at(n, k + 1))) : zero_s32());
}
