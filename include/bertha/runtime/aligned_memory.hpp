// Memory for numbers: on boundaries of 64 bytes, and in large pages where it is large.

#pragma once

#include <sys/mman.h>
#include <bertha/version.hpp>
#include <cstddef>
#include <new>

BERTHA_NAMESPACE_BEGIN

/// Bytes that begin on a boundary of 64, or of 2 MB when there are as many; those ask for large pages.
class AlignedMemory {
 public:
  static constexpr std::size_t kAlignment = 64;
  /// Not initialised. Throws std::bad_alloc.
  static void* allocate(std::size_t bytes) {
    void* memory = ::operator new(bytes, alignment(bytes));
    if (bytes >= kLargePage) prefer_large_pages(memory, bytes / kLargePage * kLargePage);
    return memory;
  }
  static void release(void* memory, std::size_t bytes) noexcept { ::operator delete(memory, alignment(bytes)); }

  /// Asks for pages of 2 MB for whole pages of memory, a wish that may not be granted: there are fewer of them to look
  /// up, and the CPU's own fetching doesn't stop at the end of each 4 KB. A file's bytes are then read in such pages
  /// where they aren't in memory yet, and mapped so by later processes too.
  static void prefer_large_pages(void* memory, std::size_t bytes) noexcept { ::madvise(memory, bytes, MADV_HUGEPAGE); }

 private:
  static constexpr std::size_t kLargePage = 2'097'152;
  static std::align_val_t alignment(std::size_t bytes) {
    return std::align_val_t{bytes < kLargePage ? kAlignment : kLargePage};
  }
};

BERTHA_NAMESPACE_END
