// Row-major views of numbers that somebody else owns, and the aligned memory that they are views of.

#pragma once

#include <bertha/kernels/table.hpp>
#include <bertha/runtime/aligned_memory.hpp>
#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>

BERTHA_NAMESPACE_BEGIN

/// rows x cols numbers, `stride` apart from row to row. Copies see the same numbers.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  T* row(std::size_t r) const { return data + r * stride; }
  T& operator()(std::size_t r, std::size_t c) const { return data[r * stride + c]; }
  MatrixView middle_rows(std::size_t begin, std::size_t end) const { return {row(begin), end - begin, cols, stride}; }
  operator MatrixView<const T>() const requires(!std::is_const_v<T>) { return {data, rows, cols, stride}; }
};

/// Memory for numbers on a 64-byte boundary that grows and never shrinks. What it held is lost when it grows.
template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size) { reserve(size); }

  /// At least `size` numbers, not initialised. Throws std::bad_alloc.
  T* reserve(std::size_t size) {
    if (size > this->size()) {
      if (size > std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T)) throw std::bad_alloc();
      memory_ = Owner();
      memory_ = Owner(static_cast<T*>(AlignedMemory::allocate(size * sizeof(T))), Release{size});
    }
    return memory_.get();
  }
  /// A [rows, cols] matrix whose rows start on 64-byte boundaries, and not a multiple of 1 KB apart: a product reads
  /// sixteen rows side by side, and those would share a few sets of the first cache (one, at a distance of 4 KB).
  MatrixView<T> matrix(std::size_t rows, std::size_t cols) {
    constexpr std::size_t kLine = AlignedMemory::kAlignment / sizeof(T);
    std::size_t stride = kernels::round_up(cols, kLine);
    if (stride * sizeof(T) % 1024 == 0) stride += kLine;
    if (stride < cols || rows > std::numeric_limits<std::size_t>::max() / stride) throw std::bad_alloc();
    return {reserve(rows * stride), rows, cols, stride};
  }
  T* data() const { return memory_.get(); }
  std::size_t size() const { return memory_ ? memory_.get_deleter().size : 0; }  // the size stays when memory moves

 private:
  static_assert(std::is_trivially_copyable_v<T>);
  struct Release {
    std::size_t size = 0;
    void operator()(T* p) const { AlignedMemory::release(p, size * sizeof(T)); }
  };
  using Owner = std::unique_ptr<T, Release>;
  Owner memory_;
};

BERTHA_NAMESPACE_END
