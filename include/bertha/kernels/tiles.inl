// Tiles: the micro-kernels of matrix products, written once for what a product is made of; each region that has
// products includes it in its namespace.
//
//     one panel (16 outputs, k rows of 64 bytes)        a tile: 1 to kRows rows of a
//     w[0][0..15]                                       acc[r][0..15] += a[r][0] * w[0][0..15]
//     w[1][0..15]                                       acc[r][0..15] += a[r][1] * w[1][0..15]
//     ...                                               ...
//
// A tile is what a level's registers hold. Every output has one accumulator and k ascends, whatever the tile, so a
// row's bits don't depend on the rows around it. A Product has an `operand`: kGroup numbers of a, side by side for one
// output; and a `row` of a panel, used with every row of a. One panel at a time, so that weights stream from memory in
// order: for 16 rows that is a quarter faster than tiles of 8 rows and 3 panels, and no slower for many (measured).

inline constexpr std::size_t kPrefetch = 8192;  // bytes of weights ahead: hardware stops at the end of a page

/// partial[Rows][16] = a[Rows, k] times one panel; k a multiple of the product's group.
template <class Product, std::size_t Rows>
BERTHA_INLINE void tile(const typename Product::Element* a, std::size_t a_stride, const typename Product::Weight* w,
                        std::size_t k, typename Product::Stored* partial) {
  typename Product::Accumulator acc[Rows];
  BERTHA_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) acc[r] = Product::zero();
  // One pointer for three rows, which an address of base and scaled stride reaches: more pointers than registers would
  // go to the stack. The empty assembly keeps the compiler from making a pointer for each row after all.
  const typename Product::Element* third[(Rows + 2) / 3];
  BERTHA_UNROLL
  for (std::size_t r = 0; r < Rows; r += 3) third[r / 3] = a + r * a_stride;
  for (std::size_t i = 0; i < k; i += Product::kGroup, w += Product::kGroup * kLanes) {
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; r += 3) __asm__("" : "+r"(third[r / 3]));
    __builtin_prefetch(reinterpret_cast<const char*>(w) + kPrefetch);
    const auto row = Product::row(w);
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; ++r)
      acc[r] = Product::step(acc[r], Product::operand(third[r / 3] + r % 3 * a_stride), row);
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; r += 3) third[r / 3] += Product::kGroup;
  }
  BERTHA_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) store(partial + r * kLanes, acc[r]);
}

/// `tile` of a height from 1 to Rows.
template <class Product, std::size_t Rows>
BERTHA_INLINE void tile_of_height(std::size_t height, const typename Product::Element* a, std::size_t a_stride,
                                  const typename Product::Weight* w, std::size_t k, typename Product::Stored* partial) {
  if constexpr (Rows > 1)
    if (height < Rows) return tile_of_height<Product, Rows - 1>(height, a, a_stride, w, k, partial);
  tile<Product, Rows>(a, a_stride, w, k, partial);
}

/// The same for any number of rows, cut into tiles of nearly equal height.
template <class Product>
BERTHA_INLINE void tiles(const typename Product::Element* a, std::size_t a_stride, std::size_t rows,
                         const typename Product::Weight* w, std::size_t k, typename Product::Stored* partial) {
  std::size_t left = (rows + Product::kRows - 1) / Product::kRows;
  for (std::size_t row = 0; row < rows; --left) {
    const std::size_t height = (rows - row + left - 1) / left;
    tile_of_height<Product, Product::kRows>(height, a + row * a_stride, a_stride, w, k, partial + row * kLanes);
    row += height;
  }
}
