// Tiles: the micro-kernels of matrix products, written once for what a product is made of; each region that has
// products includes it in its namespace.
//
//     one panel (16 outputs, k rows of 64 bytes)        a tile: 1 to kRows rows of a
//     w[0][0..15]                                       acc[r][0..15] += a[r][0] * w[0][0..15]
//     w[1][0..15]                                       acc[r][0..15] += a[r][1] * w[1][0..15]
//     ...                                               ...
//
// A tile is what a level's registers hold. Every output has one accumulator and k ascends, whatever the tile, so a
// row's bits don't depend on the rows around it. A product that has `kPart` begins anew after as many k, and adds up
// such sums in their order: a long chain of roundings would be off by more. A Product has an `operand`: kGroup numbers
// of a, side by side for one output; and a `row` of a panel, used with every row of a.
//
// Up to kRows rows take one panel at a time, so that weights stream from memory in order: for 16 rows that is a quarter
// faster than tiles of 8 rows and 3 panels. For more rows, where the weights stay in cache, a level may have tiles of
// kPairRows rows and two panels (0: it has none): they load a number of a once for both.

inline constexpr std::size_t kLineBytes = 64;
inline constexpr std::size_t kPrefetch = 8192;  // bytes of weights ahead: hardware stops at the end of a page

/// What one call of a product's tiles computes: sums[p][r][0..15] = a[r, 0..k) times the p-th of `panels` panels.
template <class Product>
struct TileWork {
  const typename Product::Element* a;  // [rows, k]
  std::size_t a_stride;
  std::size_t rows;
  const typename Product::Weight* w;  // [panels][k][16]
  std::size_t k;                      // a multiple of Product::kGroup
  std::size_t panels;                 // as panels_at_once says
  typename Product::Stored* sums;     // [panels][sums_rows][16], of which `rows` are written
  std::size_t sums_rows;
  const std::int32_t* starts = nullptr;  // where sums begin, as the product's `start` reads it
  const void* next = nullptr;            // what each tile of a product that kFetchesNext fetches, in place of weights
  std::size_t panel_k = 0;               // of a product that has parts: k of the whole panels, `k` being that of a part
  bool adds = false;                     // to what sums are: the part is not the first
  const void* ahead = nullptr;           // what its tiles fetch: a share of the panels that come next
};

/// What a tile fetches while it multiplies: `step` bytes further with every row of its panels.
struct Fetch {
  const char* from;
  std::size_t step;
};

template <class Product>
inline constexpr bool kHasParts = requires {
  Product::kPart;
};

/// `work` of Rows rows from `first` on, and Panels panels.
template <class Product, std::size_t Rows, std::size_t Panels>
BERTHA_INLINE void tile(const TileWork<Product>& work, std::size_t first, Fetch& fetch) {
  typename Product::Accumulator acc[Rows][Panels];
  BERTHA_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) {
    BERTHA_UNROLL
    for (std::size_t p = 0; p < Panels; ++p) acc[r][p] = Product::start(work.starts, first + r);
  }
  // One pointer for three rows, which an address of base and scaled stride reaches: more pointers than registers would
  // go to the stack. The empty assembly keeps the compiler from making a pointer for each row after all.
  const std::size_t a_stride = work.a_stride;
  const typename Product::Element* third[(Rows + 2) / 3];
  BERTHA_UNROLL
  for (std::size_t r = 0; r < Rows; r += 3) third[r / 3] = work.a + (first + r) * a_stride;
  const std::size_t panel = (kHasParts<Product> ? work.panel_k : work.k) * kLanes;
  for (const typename Product::Weight *w = work.w, *const end = w + work.k * kLanes; w != end;
       w += Product::kGroup * kLanes) {
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; r += 3) __asm__("" : "+r"(third[r / 3]));
    decltype(Product::row(w)) row[Panels];
    BERTHA_UNROLL
    for (std::size_t p = 0; p < Panels; ++p) row[p] = Product::row(w + p * panel);
    __builtin_prefetch(fetch.from);
    fetch.from += fetch.step;
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
      const auto operand = Product::operand(third[r / 3] + r % 3 * a_stride);
      BERTHA_UNROLL
      for (std::size_t p = 0; p < Panels; ++p) acc[r][p] = Product::step(acc[r][p], operand, row[p]);
    }
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; r += 3) third[r / 3] += Product::kGroup;
  }
  BERTHA_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) {
    BERTHA_UNROLL
    for (std::size_t p = 0; p < Panels; ++p) {
      typename Product::Stored* const sums = work.sums + (p * work.sums_rows + first + r) * kLanes;
      if constexpr (kHasParts<Product>)
        if (work.adds) acc[r][p] = add(load(sums), acc[r][p]);
      store(sums, acc[r][p]);
    }
  }
}

/// `work` of Least to Rows rows from `first` on: the tile of their number.
template <class Product, std::size_t Rows, std::size_t Least, std::size_t Panels>
BERTHA_INLINE void tile_of_height(const TileWork<Product>& work, std::size_t first, std::size_t rows, Fetch& fetch) {
  if constexpr (Rows > Least)
    if (rows < Rows) return tile_of_height<Product, Rows - 1, Least, Panels>(work, first, rows, fetch);
  tile<Product, Rows, Panels>(work, first, fetch);
}

/// The same for any number of rows, cut into tiles of nearly equal height; for two panels, more than kRows rows.
template <class Product, std::size_t Rows, std::size_t Least, std::size_t Panels>
BERTHA_INLINE void tiles_of(const TileWork<Product>& work) {
  std::size_t left = (work.rows + Rows - 1) / Rows;
  // Weights that are read once stream from memory, and are fetched a little ahead. Where several tiles read them, it is
  // the panels that come next that are fetched, a share by each tile.
  Fetch fetch{reinterpret_cast<const char*>(work.w) + kPrefetch, kLineBytes};
  constexpr bool kFetchesNext = requires { Product::kFetchesNext; };
  if (left > 1 && !kFetchesNext)
    fetch = {kHasParts<Product> ? static_cast<const char*>(work.ahead)
                                : reinterpret_cast<const char*>(work.w + Panels * work.k * kLanes),
             (Panels * kLineBytes + left - 1) / left};
  for (std::size_t row = 0; row < work.rows; --left) {
    const std::size_t height = (work.rows - row + left - 1) / left;
    if constexpr (kFetchesNext) fetch.from = static_cast<const char*>(work.next);
    tile_of_height<Product, Rows, Least, Panels>(work, row, height, fetch);
    row += height;
  }
}

/// The lowest tile when more than `most` rows are cut into tiles of `height` rows at most.
constexpr std::size_t least_height(std::size_t most, std::size_t height) {
  std::size_t least = height;
  for (std::size_t rows = most + 1; rows <= most + 2 * height; ++rows) {
    const std::size_t lowest = rows / ((rows + height - 1) / height);
    least = lowest < least ? lowest : least;
  }
  return least;
}

/// How many panels `tiles` is best given for so many rows, when as many are left.
template <class Product>
BERTHA_LANE_INLINE std::size_t panels_at_once(std::size_t rows, std::size_t left) {
  return Product::kPairRows > 0 && rows > Product::kRows && left > 1 ? 2 : 1;
}

template <class Product>
BERTHA_INLINE void tiles(const TileWork<Product>& work) {
  if constexpr (Product::kPairRows > 0) {
    constexpr std::size_t kLeast = least_height(Product::kRows, Product::kPairRows);
    if (work.panels == 2) return tiles_of<Product, Product::kPairRows, kLeast, 2>(work);
  }
  tiles_of<Product, Product::kRows, 1, 1>(work);
}
