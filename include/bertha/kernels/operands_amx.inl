// The operands of the products on tiles, written once on sixteen lanes; included after bf16.inl and gemm_amx.inl.
//
// Rows lie in tiles (in_row_tiles), so that a tile is sixteen lines in a row of memory. Rows that are missing to the
// last 16 are zero.
//
// A float32 number may be split: high + low, two bfloat16 numbers.

/// What is left of x beside its high half.
BERTHA_LANE_INLINE F32x16 remainder(F32x16 x, I32x16 high) { return sub(x, from_bf16(high)); }

/// store(to, x) for all sixteens of k of all rows, tile after tile.
template <Halves halves, class Store>
BERTHA_INLINE void rows_in_tiles(const RoundRows& op, const Store& store) {
  for (std::size_t row = 0; row < op.rows; row += kTileRows)
    for (std::size_t k = 0; k < op.size; k += kTileInputs<bf16>) {
      bf16* y = op.y + in_row_tiles<bf16>(row, k, op.y_stride, halves);
      for (std::size_t r = 0; r < kTileRows; ++r, y += kTileInputs<bf16>)
        for (std::size_t i = 0; i < kTileInputs<bf16>; i += kLanes) {
          const std::size_t left = row + r < op.rows && k + i < op.size ? op.size - k - i : 0;
          const float* x = op.x + (row + r) * op.stride + k + i;
          store(y + i, left == 0 ? broadcast(0.0f) : left < kLanes ? load_first(x, left) : load(x));
        }
    }
}

struct StoreRounded {
  BERTHA_LANE_INLINE void operator()(bf16* to, F32x16 x) const { store_bf16(to, to_bf16(x)); }
};
struct StoreSplit {
  BERTHA_LANE_INLINE void operator()(bf16* to, F32x16 x) const {
    const I32x16 high = to_bf16(x);
    store_bf16(to, high);
    store_bf16(to + kTileNumbers<bf16>, to_bf16(remainder(x, high)));
  }
};

inline void pack_rows(const RoundRows& op) { rows_in_tiles<Halves::one>(op, StoreRounded{}); }
inline void split_rows(const RoundRows& op) { rows_in_tiles<Halves::high_and_low>(op, StoreSplit{}); }

/// The same of int8 numbers: a row of a tile holds a piece of 64.
inline void pack_quantised(const QuantiseRows& op) {
  for (std::size_t row = 0; row < round_up(op.rows, kTileRows); ++row) {
    std::int8_t* q = op.q + in_row_tiles<std::int8_t>(row, 0, op.q_stride);
    if (row < op.rows)
      quantise(op, row, q, kTileBytes);
    else
      for (std::size_t i = 0; i < round_up(op.size, 64); i += kLanes)
        store_s8(q + in_pieces(i, kTileBytes), zero_s32());
  }
}

inline void split_panels(const RoundPanels& op) {
  const PanelLayout<float> stored(op.n_panels * kLanes, op.k);
  const PanelLayout<bf16> halves(op.n_panels * kLanes, op.k);
  for (std::size_t n = 0; n < op.n_panels * kLanes; n += kLanes)
    for (std::size_t k = 0; k < halves.depth(); k += 2) {
      const F32x16 even = k < op.k ? load(op.panels + stored.at(n, k)) : broadcast(0.0f);
      const F32x16 odd = k + 1 < op.k ? load(op.panels + stored.at(n, k + 1)) : broadcast(0.0f);
      const I32x16 even_high = to_bf16(even), odd_high = to_bf16(odd);
      bf16* pair = op.out + in_split_panels(n, k, halves);
      store_bf16_pairs(pair, even_high, odd_high);
      store_bf16_pairs(pair + kTileNumbers<bf16>, to_bf16(remainder(even, even_high)),
                       to_bf16(remainder(odd, odd_high)));
    }
}
