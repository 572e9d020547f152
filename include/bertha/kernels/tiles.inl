// Tiles: the micro-kernels of matrix products, written once for what a product is made of; each region that has
// products includes it in its namespace.
//
//     one panel (16 outputs, k rows of 64 bytes)        a tile: 1 to kRows rows of a, 1 or kPanels panels
//     w[0][0..15]                                       acc[r][0..15] += a[r][0] * w[0][0..15]
//     w[1][0..15]                                       acc[r][0..15] += a[r][1] * w[1][0..15]
//     ...                                               ...
//
// A tile is what a level's registers hold. Every output has one accumulator and k ascends, whatever the tile, so a
// row's bits don't depend on the rows around it. A Product has an `operand` of kGroup numbers of a, which lie side by
// side for one output; it is used with every panel, and a `row` of a panel with every row of a.

inline constexpr std::size_t kPrefetch = 4096;  // bytes of weights ahead: hardware stops at the end of a page

/// Panels that lie `w_stride` apart, and where the sums of each go, `partial_stride` apart, rows of 16.
template <class Product>
struct Panels {
  const typename Product::Weight* w;
  std::size_t w_stride;
  typename Product::Stored* partial;
  std::size_t partial_stride;
};

/// partial[p][Rows][16] = a[Rows, k] times panel p of N; k a multiple of the product's group.
template <class Product, std::size_t Rows, std::size_t N>
BERTHA_INLINE void tile(const typename Product::Element* a, std::size_t a_stride, std::size_t k,
                        const Panels<Product>& to) {
  typename Product::Accumulator acc[N][Rows];
  BERTHA_UNROLL
  for (std::size_t p = 0; p < N; ++p) {
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) acc[p][r] = Product::zero();
  }
  // One pointer for three rows, which an address of base and scaled stride reaches: more pointers than registers would
  // go to the stack. The empty assembly keeps the compiler from making a pointer for each row after all.
  const typename Product::Element* third[(Rows + 2) / 3];
  BERTHA_UNROLL
  for (std::size_t r = 0; r < Rows; r += 3) third[r / 3] = a + r * a_stride;
  const typename Product::Weight* w = to.w;
  for (std::size_t i = 0; i < k; i += Product::kGroup, w += Product::kGroup * kLanes) {
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; r += 3) __asm__("" : "+r"(third[r / 3]));
    decltype(Product::row(w)) row[N];
    BERTHA_UNROLL
    for (std::size_t p = 0; p < N; ++p) {
      __builtin_prefetch(reinterpret_cast<const char*>(w + p * to.w_stride) + kPrefetch);
      row[p] = Product::row(w + p * to.w_stride);
    }
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
      const auto operand = Product::operand(third[r / 3] + r % 3 * a_stride);
      BERTHA_UNROLL
      for (std::size_t p = 0; p < N; ++p) acc[p][r] = Product::step(acc[p][r], operand, row[p]);
    }
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; r += 3) third[r / 3] += Product::kGroup;
  }
  BERTHA_UNROLL
  for (std::size_t p = 0; p < N; ++p) {
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) store(to.partial + p * to.partial_stride + r * kLanes, acc[p][r]);
  }
}

/// `tile` of a height from 1 to Rows.
template <class Product, std::size_t Rows, std::size_t N>
BERTHA_INLINE void tile_of_height(std::size_t height, const typename Product::Element* a, std::size_t a_stride,
                                  std::size_t k, const Panels<Product>& to) {
  if constexpr (Rows > 1)
    if (height < Rows) return tile_of_height<Product, Rows - 1, N>(height, a, a_stride, k, to);
  tile<Product, Rows, N>(a, a_stride, k, to);
}

/// The same for any number of rows, cut into tiles of nearly equal height.
template <class Product, std::size_t Rows, std::size_t N>
BERTHA_INLINE void tiles(const typename Product::Element* a, std::size_t a_stride, std::size_t rows, std::size_t k,
                         Panels<Product> to) {
  std::size_t left = (rows + Rows - 1) / Rows;
  for (std::size_t row = 0; row < rows; --left) {
    const std::size_t height = (rows - row + left - 1) / left;
    tile_of_height<Product, Rows, N>(height, a + row * a_stride, a_stride, k, to);
    to.partial += height * kLanes;
    row += height;
  }
}

/// The same for up to kPanels panels. Those that are left over go one by one: fewer tiles to compile.
template <class Product>
BERTHA_INLINE void panel_tiles(const typename Product::Element* a, std::size_t a_stride, std::size_t rows,
                               std::size_t k, std::size_t n_panels, Panels<Product> to) {
  if (n_panels == Product::kPanels) return tiles<Product, Product::kRows, Product::kPanels>(a, a_stride, rows, k, to);
  if constexpr (Product::kPanels > 1)
    for (; n_panels > 0; --n_panels, to.w += to.w_stride, to.partial += to.partial_stride)
      tiles<Product, Product::kRows, 1>(a, a_stride, rows, k, to);
}
