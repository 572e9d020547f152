// Memory for numbers: on boundaries of 64 bytes, and in large pages where it is large.

#pragma once

#include <sys/mman.h>
#include <bertha/version.hpp>
#include <cstddef>
#include <new>

BERTHA_NAMESPACE_BEGIN

/// Bytes that begin on a boundary of 64, or of 2 MB when there are as many. Those ask for pages of that size: there are
/// fewer of them to look up, and the CPU's own fetching doesn't stop at the end of each 4 KB.
class AlignedMemory {
 public:
  static constexpr std::size_t kAlignment = 64;
  /// Not initialised. Throws std::bad_alloc.
  static void* allocate(std::size_t bytes) {
    void* memory = ::operator new(bytes, alignment(bytes));
    if (bytes >= kLargePage) ::madvise(memory, bytes / kLargePage * kLargePage, MADV_HUGEPAGE);  // a wish: may fail
    return memory;
  }
  static void release(void* memory, std::size_t bytes) noexcept { ::operator delete(memory, alignment(bytes)); }

 private:
  static constexpr std::size_t kLargePage = 2'097'152;
  static std::align_val_t alignment(std::size_t bytes) {
    return std::align_val_t{bytes < kLargePage ? kAlignment : kLargePage};
  }
};

BERTHA_NAMESPACE_END
