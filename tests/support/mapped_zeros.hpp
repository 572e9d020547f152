// Memory of which nothing exists until it is touched, for texts of gigabytes that must be refused by their size.

#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <string_view>

namespace bertha_test {

class MappedZeros {
 public:
  explicit MappedZeros(std::size_t size)
      : size_(size),
        data_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    if (data_ == MAP_FAILED) throw std::bad_alloc();
  }
  MappedZeros(const MappedZeros&) = delete;
  MappedZeros& operator=(const MappedZeros&) = delete;
  ~MappedZeros() { ::munmap(data_, size_); }

  char* data() const { return static_cast<char*>(data_); }
  std::string_view text() const { return {data(), size_}; }

 private:
  std::size_t size_;
  void* data_;
};

}  // namespace bertha_test
