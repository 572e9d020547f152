// logits [T, V] = x W^T + b, where W is an embedding table [V, E] in rows: a decoder that is tied to what the encoder
// reads, without a second copy of it.
//
// A product reads panels of 16 outputs, and a table has none. So the few rows x are made to panels, and the table's
// rows are what is multiplied with them: logits[t, v] = sum over e, ascending and in parts, of W[v, e] x[t, e], then +
// b[v]; the same bits as those of a linear layer in float32. Rows of a bfloat16 or int8 table become float32 a block at
// a time, in a thread's cache: an int8 row is q * its scale, as the encoder reads it.

#pragma once

#include <algorithm>
#include <bertha/encoder/embedding_tables.hpp>
#include <bertha/heads/head.hpp>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A table as the last layer of a head. Immutable; any number of threads may call it, with a workspace each.
class TableProduct {
 public:
  /// `bias` is [V'].
  TableProduct(EmbeddingTable table, std::size_t rows, std::size_t size, Weights<float> bias);

  /// x [rows, E] to logits [rows, V].
  Logits operator()(MatrixView<const float> x, const Team& team) const;

 private:
  static constexpr std::size_t kBlock = 128;  // rows of the table: with what they become they stay in the second cache

  /// Numbers of one thread: a block's rows in float32, and its products with the panels.
  struct Memory {
    explicit Memory(std::size_t size, std::size_t columns);
    AlignedBuffer<float> widened;
    MatrixView<float> rows;  // [kBlock, E]
    AlignedBuffer<float> space;
    MatrixView<float> products;  // [kBlock, 16 panels]
    std::vector<std::uint32_t> ids;
  };

  MatrixView<const float> block(std::size_t begin, std::size_t end, Memory& memory) const;

  EmbeddingTable table_;
  std::size_t rows_, size_;
  Weights<float> bias_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION TableProduct::Memory::Memory(std::size_t size, std::size_t columns)
    : rows(widened.matrix(kBlock, size)), products(space.matrix(kBlock, columns)), ids(kBlock) {}

BERTHA_FUNCTION TableProduct::TableProduct(EmbeddingTable table, std::size_t rows, std::size_t size,
                                           Weights<float> bias)
    : table_(std::move(table)), rows_(rows), size_(size), bias_(std::move(bias)) {}

/// Rows [begin, end) in float32: the table's own, or in `memory`, where those that lie a multiple of 4 KB apart go too,
/// because a product that reads sixteen side by side would find them in one set of the first cache.
BERTHA_FUNCTION MatrixView<const float> TableProduct::block(std::size_t begin, std::size_t end, Memory& memory) const {
  const std::size_t stride = detail::table_stride<float>(size_), n = end - begin;
  if (table_.dtype() == DType::f32 && stride % 1024 != 0) return {table_.values() + begin * stride, n, size_, stride};
  for (std::size_t i = 0; i < n; ++i) memory.ids[i] = static_cast<std::uint32_t>(begin + i);
  const MatrixView<float> rows = memory.rows.middle_rows(0, n);
  detail::embed(table_, {}, {}, {memory.ids.data(), nullptr, nullptr, rows});
  return rows;
}

BERTHA_FUNCTION Logits TableProduct::operator()(MatrixView<const float> x, const Team& team) const {
  Logits logits{x.rows, rows_, std::vector<float>(x.rows * rows_)};
  if (x.rows == 0) return logits;
  const Weights<float> panels =
      detail::made_panels(x.rows, size_, [&](std::size_t n, std::size_t k) { return n < x.rows ? x(n, k) : 0.0f; });
  const std::size_t n_panels = kernels::padded(x.rows) / kernels::kLanes;
  team.split((rows_ + kBlock - 1) / kBlock, [&](std::size_t first, std::size_t last, ThreadMemory& thread) {
    Memory memory(size_, n_panels * kernels::kLanes);
    for (std::size_t at = first; at < last; ++at) {
      team.check_stop();
      const std::size_t begin = at * kBlock, end = std::min(rows_, begin + kBlock);
      const MatrixView<const float> rows = block(begin, end, memory);
      const MatrixView<float> products = memory.products;  // [rows of the block, 16 panels]
      kernels::table().gemm_f32({.a = rows.data,
                                 .a_stride = rows.stride,
                                 .panels = panels.data(),
                                 .out = products.data,
                                 .out_stride = products.stride,
                                 .rows = rows.rows,
                                 .k = size_,
                                 .n_panels = n_panels,
                                 .scratch = thread.product.reserve(kernels::product_scratch(rows.rows))});
      for (std::size_t t = 0; t < x.rows; ++t)
        for (std::size_t v = begin; v < end; ++v)
          logits.values[t * rows_ + v] = products(v - begin, t) + bias_.data()[v];
    }
  });
  return logits;
}

#endif

BERTHA_NAMESPACE_END
