// For levels whose int8 products multiply words: included after level.inl, in its region and namespace.

/// Rows of quads in words. They are quantised into the second half of their memory, which the words that are written so
/// far never reach.
inline void pack_quads(const QuantiseRows& op) {
  const std::size_t depth = round_up(op.size, PanelRow<std::int8_t>::kUnit);
  for (std::size_t row = 0; row < op.rows; ++row) {
    std::int8_t *q = op.q + row * op.q_stride, *bytes = q + depth * (sizeof(QuadNumber) - 1);
    quantise(op, row, bytes, 64);
    for (std::size_t i = 0; i < depth; i += kLanes) widen_quads(bytes + i, reinterpret_cast<QuadNumber*>(q) + i);
  }
}

inline void attention_of_wide_quads(const Attention& op) { attend_s8(op, pack_quads, gemm_s8, sizeof(QuadNumber)); }

constexpr Table table_with_wide_quads(std::string_view level) {
  return level_over(own_table(level), {.level = level,
                                       .quantised_bytes = sizeof(QuadNumber),
                                       .attention_s8 = {attention_of_wide_quads},
                                       .pack_quantised = {pack_quads}});
}
