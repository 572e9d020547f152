// float32 numbers as the sum of two bfloat16 numbers, high + low, for the products that are made of three: written once
// on sixteen lanes, and included after bf16.inl and gemm_amx.inl. Every 32 k are 32 high halves and then 32 low ones.

/// What is left of x beside its high half.
BERTHA_LANE_INLINE F32x16 remainder(F32x16 x, I32x16 high) {
  alignas(64) std::uint16_t bits[kLanes];
  store_s16(as_s16(bits), high);
  return sub(x, load_bf16(bits));
}

inline void split_rows(const RoundRows& op) {
  for (std::size_t row = 0; row < op.rows; ++row) {
    const float* x = op.x + row * op.stride;
    std::uint16_t* y = op.y + row * op.y_stride;
    for (std::size_t i = 0; i < round_up(op.size, 32); i += kLanes) {
      const std::size_t left = i < op.size ? op.size - i : 0;
      const F32x16 values = left < kLanes ? load_first(x + smaller(i, op.size), left) : load(x + i);
      const I32x16 high = to_bf16(values);
      std::uint16_t* to = y + i / 32 * 64 + i % 32;
      store_s16(as_s16(to), high);
      store_s16(as_s16(to + 32), to_bf16(remainder(values, high)));
    }
  }
}

inline void split_panels(const RoundPanels& op) {
  const std::size_t depth = round_up(op.k, 32);
  for (std::size_t panel = 0; panel < op.n_panels; ++panel) {
    const float* from = op.panels + panel * op.k * kLanes;
    std::uint16_t* to = op.out + panel * depth * 2 * kLanes;
    for (std::size_t k = 0; k < depth; k += 2) {
      const F32x16 even = k < op.k ? load(from + k * kLanes) : broadcast(0.0f);
      const F32x16 odd = k + 1 < op.k ? load(from + (k + 1) * kLanes) : broadcast(0.0f);
      const I32x16 even_high = to_bf16(even), odd_high = to_bf16(odd);
      std::uint16_t* pair = to + (k / 32 * 64 + k % 32) * kLanes;
      store_pairs(as_s16(pair), even_high, odd_high);
      store_pairs(as_s16(pair + 32 * kLanes), to_bf16(remainder(even, even_high)), to_bf16(remainder(odd, odd_high)));
    }
  }
}

/// `table` with the products of gemm_amx.inl and what they need, as `level`.
constexpr Table with_amx(Table table, std::string_view level) {
  table.level = level;
  table.gemm_bf16 = gemm_bf16;
  table.gemm_split = gemm_split;
  table.split_rows = split_rows;
  table.split_panels = split_panels;
  for (Slot& slot : table.slots)
    if (slot.operation == "gemm_bf16" || slot.level == kNoLevel) slot.level = level;
  return table;
}
