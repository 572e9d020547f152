// The matrix products on AMX, written once on six operations of tiles: the CPU's in amx.hpp, an emulation of them in
// tests/kernels. Included after gemm.inl.
//
//                      w 6: 32 k of a panel    w 7: of the next      a tile: 16 rows of 64 bytes
//     a 4: 16 rows     sums 0                  sums 1
//     a 5: 16 more     sums 2                  sums 3
//
// Two panels at a time, and of them as many k as stay in the first cache while all rows go over them: then the sums
// wait in memory. Meanwhile the vector units finish the two panels before. One instruction sums the 16 products of even
// k and the 16 of odd k, each in a chain, adds both and then the tile's sum, and takes subnormal numbers for zero: so
// the bits are the level's own, and the same for a row alone and in any batch.

inline constexpr std::size_t kTileSide = 16;       // rows of a tile, and of a panel's outputs
inline constexpr std::size_t kTileFloats = 256;    // of a tile of sums
inline constexpr std::size_t kPassBytes = 16'384;  // of two panels: a third of the first cache

/// Products of bfloat16 numbers: a step is a tile of each operand.
struct StepBf16 {
  static constexpr std::size_t kElements = 32;
  static constexpr std::size_t kTogether = 2;  // steps between which vector units get work, which then runs beside them
  static BERTHA_LANE_INLINE void run(Tiles& tiles, const std::uint16_t* a, std::size_t a_stride, bool two_row_tiles,
                                     const std::uint16_t* w0, const std::uint16_t* w1) {
    tiles.load<6>(w0, 64);
    tiles.load<4>(a, a_stride * 2);
    tiles.dot<0, 4, 6>();
    tiles.load<7>(w1, 64);
    tiles.dot<1, 4, 7>();
    if (!two_row_tiles) return;
    tiles.load<5>(a + kTileSide * a_stride, a_stride * 2);
    tiles.dot<2, 5, 6>();
    tiles.dot<3, 5, 7>();
  }
};

/// Products of float32 numbers split into bfloat16 halves: high times low, high times high, low times high. What is
/// left out, low times low, is below 2^-16 of the product.
struct StepSplit {
  static constexpr std::size_t kElements = 64;
  static constexpr std::size_t kTogether = 1;
  static BERTHA_LANE_INLINE void run(Tiles& tiles, const std::uint16_t* a, std::size_t a_stride, bool two_row_tiles,
                                     const std::uint16_t* w0, const std::uint16_t* w1) {
    constexpr std::size_t kLowRow = 32, kLowPanel = 512;  // from a tile of high halves to that of the low ones
    const std::uint16_t* second = a + kTileSide * a_stride;
    tiles.load<6>(w0 + kLowPanel, 64);
    tiles.load<4>(a, a_stride * 2);
    tiles.dot<0, 4, 6>();
    tiles.load<7>(w1 + kLowPanel, 64);
    tiles.dot<1, 4, 7>();
    if (two_row_tiles) {
      tiles.load<5>(second, a_stride * 2);
      tiles.dot<2, 5, 6>();
      tiles.dot<3, 5, 7>();
    }
    tiles.load<6>(w0, 64);
    tiles.dot<0, 4, 6>();
    tiles.load<7>(w1, 64);
    tiles.dot<1, 4, 7>();
    if (two_row_tiles) {
      tiles.dot<2, 5, 6>();
      tiles.dot<3, 5, 7>();
    }
    tiles.load<4>(a + kLowRow, a_stride * 2);
    tiles.dot<0, 4, 6>();
    tiles.dot<1, 4, 7>();
    if (two_row_tiles) {
      tiles.load<5>(second + kLowRow, a_stride * 2);
      tiles.dot<2, 5, 6>();
      tiles.dot<3, 5, 7>();
    }
  }
};

/// `rows` rows in blocks of two row tiles, or one at the end. Tiles are full: where rows are left over, the last block
/// begins further up, and does rows for a second time. Fewer than a block are a block of their own height.
struct RowBlocks {
  std::size_t rows;
  BERTHA_LANE_INLINE std::size_t count() const { return (rows + 2 * kTileSide - 1) / (2 * kTileSide); }
  BERTHA_LANE_INLINE bool two_tiles(std::size_t block) const { return rows - block * 2 * kTileSide > kTileSide; }
  BERTHA_LANE_INLINE std::size_t first(std::size_t block) const {
    const std::size_t height = two_tiles(block) ? 2 * kTileSide : kTileSide;
    const std::size_t even = block * 2 * kTileSide;
    return even + height > rows && rows >= height ? rows - height : even;
  }
};

/// Two panels whose sums are complete: what is left is to finish and store them, a few rows at a time.
struct Unfinished {
  const GemmBf16* op;
  std::size_t first_row;
  RowBlocks blocks;
  const float* sums;  // [block][row tile][panel][16][16]
  std::size_t panel;
  std::size_t next;  // row
};

BERTHA_NOINLINE void finish(Unfinished& left, std::size_t rows) {
  const GemmBf16& op = *left.op;
  for (const std::size_t end = smaller(left.blocks.rows, left.next + rows); left.next < end; ++left.next) {
    const std::size_t block = left.next / (2 * kTileSide), row = left.next - left.blocks.first(block);
    for (std::size_t p = 0; p < 2 && left.panel + p < op.n_panels; ++p) {
      const std::size_t column = (left.panel + p) * kLanes;
      const float* sums = left.sums + (block * 4 + row / kTileSide * 2 + p) * kTileFloats + row % kTileSide * kLanes;
      write(AddBias{sums, op.bias ? load(op.bias + column) : broadcast(0.0f)}, 1, op.activation,
            destination(op.residual, op.residual_stride, op.out, op.out_stride, left.first_row + left.next, column));
    }
  }
}

/// Adds `steps` steps to the sums in the tiles. Out of line, so that tests/package/inner_loops.py can look at it.
template <class Step>
BERTHA_INLINE void add_steps(Tiles& tiles, const std::uint16_t* a, std::size_t a_stride, bool two_row_tiles,
                             const std::uint16_t* w0, const std::uint16_t* w1, std::size_t steps) {
  for (; steps > 0; --steps, a += Step::kElements, w0 += Step::kElements * kLanes, w1 += Step::kElements * kLanes)
    Step::run(tiles, a, a_stride, two_row_tiles, w0, w1);
}
BERTHA_NOINLINE void tiles_bf16(Tiles& tiles, const std::uint16_t* a, std::size_t a_stride, bool two_row_tiles,
                                const std::uint16_t* w0, const std::uint16_t* w1, std::size_t steps) {
  add_steps<StepBf16>(tiles, a, a_stride, two_row_tiles, w0, w1, steps);
}
BERTHA_NOINLINE void tiles_split(Tiles& tiles, const std::uint16_t* a, std::size_t a_stride, bool two_row_tiles,
                                 const std::uint16_t* w0, const std::uint16_t* w1, std::size_t steps) {
  add_steps<StepSplit>(tiles, a, a_stride, two_row_tiles, w0, w1, steps);
}

BERTHA_LANE_INLINE void load_sums(Tiles& tiles, const float* sums, bool two_row_tiles) {
  tiles.load<0>(sums, 64);
  tiles.load<1>(sums + kTileFloats, 64);
  if (!two_row_tiles) return;
  tiles.load<2>(sums + 2 * kTileFloats, 64);
  tiles.load<3>(sums + 3 * kTileFloats, 64);
}
BERTHA_LANE_INLINE void store_sums(Tiles& tiles, float* sums, bool two_row_tiles) {
  tiles.store<0>(sums, 64);
  tiles.store<1>(sums + kTileFloats, 64);
  if (!two_row_tiles) return;
  tiles.store<2>(sums + 2 * kTileFloats, 64);
  tiles.store<3>(sums + 3 * kTileFloats, 64);
}
BERTHA_LANE_INLINE void zero_sums(Tiles& tiles) {
  tiles.zero<0>();
  tiles.zero<1>();
  tiles.zero<2>();
  tiles.zero<3>();
}

/// The product whose steps `AddSteps` adds.
template <class Step, auto AddSteps>
BERTHA_INLINE void gemm_amx(const GemmBf16& op) {
  Tiles tiles;
  alignas(64) float sums[2][kRowBlock * 2 * kLanes];
  const std::size_t steps = op.k / Step::kElements;
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    // Half the bytes: a CPU that has AMX has 2 MB of L2.
    rows = block_rows(op.rows - row, op.k * sizeof(std::uint16_t) / 2, 2 * kTileSide);
    const RowBlocks blocks{rows};
    const std::size_t count = blocks.count();
    const std::size_t pass = count == 1 ? steps : kPassBytes / (Step::kElements * kLanes * 2 * sizeof(std::uint16_t));
    const std::size_t rows_for_a_step = (rows + count * steps - 1) / (count * steps);
    Unfinished left{&op, row, blocks, nullptr, 0, rows};  // nothing
    tiles.configure(rows);
    for (std::size_t panel = 0; panel < op.n_panels; panel += 2) {
      const std::uint16_t* w0 = op.panels + panel * op.k * kLanes;
      const std::uint16_t* w1 = panel + 1 < op.n_panels ? w0 + op.k * kLanes : w0;  // the last of an odd number: twice
      float* to = sums[panel / 2 % 2];
      for (std::size_t begin = 0; begin < steps; begin += pass)
        for (std::size_t block = 0; block < count; ++block) {
          const bool two = blocks.two_tiles(block);
          const std::uint16_t* a = op.a + (row + blocks.first(block)) * op.a_stride;
          float* block_sums = to + block * 4 * kTileFloats;
          if (begin == 0)
            zero_sums(tiles);
          else
            load_sums(tiles, block_sums, two);
          for (std::size_t step = begin, end = smaller(steps, begin + pass); step < end; step += Step::kTogether) {
            const std::size_t k = step * Step::kElements, together = smaller(Step::kTogether, end - step);
            AddSteps(tiles, a + k, op.a_stride, two, w0 + k * kLanes, w1 + k * kLanes, together);
            finish(left, together * rows_for_a_step);
          }
          store_sums(tiles, block_sums, two);
        }
      finish(left, rows);
      left = {&op, row, blocks, to, panel, 0};
    }
    finish(left, rows);
  }
  tiles.release();
}

inline void gemm_bf16(const GemmBf16& op) { gemm_amx<StepBf16, tiles_bf16>(op); }
inline void gemm_split(const GemmSplit& op) { gemm_amx<StepSplit, tiles_split>(op); }
