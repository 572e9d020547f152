// The operands of the products on tiles, written once on sixteen lanes; included after bf16.inl and gemm_amx.inl.
//
// Rows lie in tiles of 16 rows and 32 k, so that a tile is sixteen lines in a row of memory: 16 rows share 16 y_stride
// numbers, [k'/32][16][32]. Rows that are missing to the last 16 are zero.
//
// A float32 number may be split: high + low, two bfloat16 numbers. Then every tile of high halves is followed by that
// of the low ones, in rows and in panels.

/// What is left of x beside its high half.
BERTHA_LANE_INLINE F32x16 remainder(F32x16 x, I32x16 high) { return sub(x, from_bf16(high)); }

/// store(to, x) for all sixteens of k of all rows, tile after tile; one is followed by the next `tiles` tiles further.
template <std::size_t Tiles_, class Store>
BERTHA_INLINE void rows_in_tiles(const RoundRows& op, const Store& store) {
  for (std::size_t row = 0; row < op.rows; row += kTileSide)
    for (std::size_t k = 0; k < op.size; k += 32) {
      bf16* y = op.y + row * op.y_stride + k / 32 * Tiles_ * kTileHalves;
      for (std::size_t r = 0; r < kTileSide; ++r, y += 32)
        for (std::size_t i = k; i < k + 32; i += kLanes) {
          const std::size_t left = row + r < op.rows && i < op.size ? op.size - i : 0;
          const float* x = op.x + (row + r) * op.stride + i;
          store(y + i % 32, left == 0 ? broadcast(0.0f) : left < kLanes ? load_first(x, left) : load(x));
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
    store_bf16(to + kTileHalves, to_bf16(remainder(x, high)));
  }
};

inline void pack_rows(const RoundRows& op) { rows_in_tiles<StepBf16::kTiles>(op, StoreRounded{}); }
inline void split_rows(const RoundRows& op) { rows_in_tiles<StepSplit::kTiles>(op, StoreSplit{}); }

inline void split_panels(const RoundPanels& op) {
  const std::size_t depth = round_up(op.k, 32);
  for (std::size_t panel = 0; panel < op.n_panels; ++panel) {
    const float* from = op.panels + panel * op.k * kLanes;
    bf16* to = op.out + panel * depth * 2 * kLanes;
    for (std::size_t k = 0; k < depth; k += 2) {
      const F32x16 even = k < op.k ? load(from + k * kLanes) : broadcast(0.0f);
      const F32x16 odd = k + 1 < op.k ? load(from + (k + 1) * kLanes) : broadcast(0.0f);
      const I32x16 even_high = to_bf16(even), odd_high = to_bf16(odd);
      bf16* pair = to + (k / 32 * 64 + k % 32) * kLanes;
      store_bf16_pairs(pair, even_high, odd_high);
      store_bf16_pairs(pair + kTileHalves, to_bf16(remainder(even, even_high)), to_bf16(remainder(odd, odd_high)));
    }
  }
}
