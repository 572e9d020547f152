// malloc and its kin in place of glibc's, for a test that counts allocations or has them fail. The one source of the
// program that includes it defines the functions of namespace bertha_test. Not under sanitizers, which have theirs.

#pragma once

#include <errno.h>
#include <cstddef>

namespace bertha_test {

/// Whether so many bytes may be allocated; asked each time.
bool may_allocate(std::size_t bytes) noexcept;
/// Told of each block that glibc gave, and of each before glibc gets it back.
void allocated(void* block) noexcept;
void freed(void* block) noexcept;

inline void* told(void* block) {
  if (block != nullptr) allocated(block);
  return block;
}

}  // namespace bertha_test

// What glibc's own functions are called inside; operator new comes to one of these.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);

void* malloc(std::size_t size) noexcept {
  return bertha_test::may_allocate(size) ? bertha_test::told(__libc_malloc(size)) : nullptr;
}
void* calloc(std::size_t n, std::size_t size) noexcept {
  return bertha_test::may_allocate(n * size) ? bertha_test::told(__libc_calloc(n, size)) : nullptr;
}
void* realloc(void* memory, std::size_t size) noexcept {
  if (!bertha_test::may_allocate(size)) return nullptr;
  if (memory != nullptr) bertha_test::freed(memory);
  return bertha_test::told(__libc_realloc(memory, size));
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return bertha_test::may_allocate(size) ? bertha_test::told(__libc_memalign(alignment, size)) : nullptr;
}
void* memalign(std::size_t alignment, std::size_t size) noexcept { return aligned_alloc(alignment, size); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  *memory = aligned_alloc(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) noexcept {
  if (memory != nullptr) bertha_test::freed(memory);
  __libc_free(memory);
}
}
