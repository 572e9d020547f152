// Puts tensors and a header together into the container of a model file, right or wrong on purpose, and holds such
// files for tests. Shares no code with the library.

#pragma once

#include <unistd.h>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bertha_test {

/// Keeps the order of keys.
using Json = nlohmann::ordered_json;

/// Bytes at a 64-byte boundary in a block of just their size, so that AddressSanitizer sees the first byte read past
/// it.
class AlignedBytes {
 public:
  explicit AlignedBytes(const std::string& bytes)
      : size_(bytes.size()), data_(::operator new (size_, std::align_val_t{64})) {
    std::memcpy(data_, bytes.data(), size_);
  }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  ~AlignedBytes() { ::operator delete (data_, std::align_val_t{64}); }
  std::span<const std::byte> span() const { return {static_cast<const std::byte*>(data_), size_}; }

 private:
  std::size_t size_;
  void* data_;
};

/// A file with the given bytes, removed in the end.
class TempFile {
 public:
  explicit TempFile(const std::string& bytes) {
    const char* folder = std::getenv("TMPDIR");
    path_ = std::string(folder != nullptr ? folder : "/tmp") + "/bertha-test-XXXXXX";
    const int file = ::mkstemp(path_.data());
    if (file < 0) throw std::runtime_error("no temporary file " + path_);
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    ::close(file);
    if (written != static_cast<ssize_t>(bytes.size())) throw std::runtime_error("can't write " + path_);
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// n rounded up to a multiple of unit.
inline std::size_t up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

/// A tensor as it goes into the file.
struct TensorData {
  std::string name;
  std::string dtype;
  std::vector<std::size_t> shape;
  std::string bytes;
};

/// The tensors of a file, and the header for them.
class ContainerWriter {
 public:
  std::vector<TensorData> tensors;

  /// The tensor of that name, to be varied.
  TensorData& tensor(const std::string& name) {
    for (TensorData& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    throw std::out_of_range(name);
  }

  /// A tensor of any type; its bytes are filled up to a multiple of 64, `shape` is taken as it is.
  template <class T>
  void add(const std::string& name, const std::string& dtype, std::vector<std::size_t> shape,
           const std::vector<T>& values) {
    std::string bytes(up(values.size() * sizeof(T), 64), '\0');
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), values.size() * sizeof(T));
    tensors.push_back({name, dtype, std::move(shape), std::move(bytes)});
  }

  /// The tensors' bytes, one after the other.
  std::string data() const {
    std::string bytes;
    for (const TensorData& tensor : tensors) bytes += tensor.bytes;
    return bytes;
  }

  /// The header for the tensors as they are now, with the given `__metadata__`.
  Json header(const Json& strings) const;

  /// A file of any header, filled up with spaces, and any data.
  static std::string pack(std::string header, const std::string& data);

  /// The same without filling up.
  static std::string pack_as_is(const std::string& header, const std::string& data);

  /// CRC-32 bit by bit.
  static std::uint32_t crc32(const std::string& bytes);
};

}  // namespace bertha_test
