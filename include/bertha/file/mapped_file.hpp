// The bytes of a file, read-only and 64-byte aligned: mapped, so that processes share its pages and opening costs no
// reading, or copied, for files that somebody may truncate or rewrite in place while they are in use: what is written
// shows in the mapping, and touching a page behind the new end of the file kills the process. A file that is replaced
// by renaming another one to its name stays as it was for those who have it mapped.

#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bertha/error.hpp>
#include <bertha/runtime/aligned_memory.hpp>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>

BERTHA_NAMESPACE_BEGIN

/// The alignment of a model's bytes, and of each tensor in them.
inline constexpr std::size_t kFileAlignment = 64;
static_assert(AlignedMemory::kAlignment % kFileAlignment == 0);

/// A whole file in memory. Movable; all const methods may run concurrently.
class MappedFile {
 public:
  enum class Mode { map, copy };

  /// Throws Error{file} with the path and the system's reason: missing, unreadable, empty, or no regular file.
  explicit MappedFile(const std::string& path, Mode mode = Mode::map) {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer; on regular files it means nothing.
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (file.number < 0) refuse(path, "can't be opened", errno);
    struct stat status {};
    if (::fstat(file.number, &status) != 0) refuse(path, "can't be examined", errno);
    if (S_ISDIR(status.st_mode)) refuse_folder(path);
    if (!S_ISREG(status.st_mode)) refuse(path, "is not a regular file; copy it to one", 0);
    if (status.st_size <= 0) refuse(path, "is empty", 0);
    const auto size = static_cast<std::size_t>(status.st_size);
    if (mode == Mode::copy) {
      data_ = {AlignedMemory::allocate(size), Release{mode, size}};
      read_all(file.number, path);
    } else {
      void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
      if (address == MAP_FAILED) refuse(path, "can't be mapped", errno);
      AlignedMemory::prefer_large_pages(address, size);
      *this = MappedFile(mode, address, size);
    }
  }

  /// An aligned copy of a file's bytes that somebody else holds.
  static MappedFile copy_of(std::span<const std::byte> bytes) {
    MappedFile file(Mode::copy, AlignedMemory::allocate(bytes.size()), bytes.size());
    if (!bytes.empty()) std::memcpy(file.data_.get(), bytes.data(), bytes.size());
    return file;
  }

  /// The bytes of a file that is made of `parts`, one after the other.
  static MappedFile joined(std::span<const std::span<const std::byte>> parts) {
    std::size_t size = 0;
    for (const auto& part : parts) size += part.size();
    MappedFile file(Mode::copy, AlignedMemory::allocate(size), size);
    auto* at = static_cast<std::byte*>(file.data_.get());
    for (const auto& part : parts) {
      if (!part.empty()) std::memcpy(at, part.data(), part.size());
      at += part.size();
    }
    return file;
  }

  /// 64-byte aligned, valid as long as this object or the one it was moved to lives.
  std::span<const std::byte> bytes() const noexcept {
    if (data_ == nullptr) return {};  // moved away; the size stays in its deleter
    return {static_cast<const std::byte*>(data_.get()), data_.get_deleter().size};
  }

 private:
  struct Descriptor {
    explicit Descriptor(int n) noexcept : number(n) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
      if (number >= 0) ::close(number);
    }
    int number;
  };
  struct Release {
    Mode mode;
    std::size_t size;
    void operator()(void* address) const noexcept {
      if (mode == Mode::map) {
        ::munmap(address, size);
      } else {
        AlignedMemory::release(address, size);
      }
    }
  };

  MappedFile(Mode mode, void* data, std::size_t size) noexcept : data_(data, Release{mode, size}) {}

  [[noreturn]] static void refuse(const std::string& path, const char* what, int error) {
    std::string message = "'" + path + "' " + what;
    if (error != 0) message += ": " + std::generic_category().message(error);
    throw Error(ErrorCode::file, message + ".");
  }

  [[noreturn]] static void refuse_folder(const std::string& path) {
    if (::access((path + "/config.json").c_str(), F_OK) != 0) {
      refuse(path, "is a directory; name the model file in it", 0);
    }
    throw_error(ErrorCode::file, {"'", path,
                                  "' is the folder of a Hugging Face checkpoint; convert it: python3 "
                                  "tools/convert.py ",
                                  path, " OUT"});
  }

  void read_all(int file, const std::string& path) {
    auto* at = static_cast<std::byte*>(data_.get());
    for (std::size_t left = data_.get_deleter().size; left > 0;) {
      const ssize_t got = ::read(file, at, left);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) refuse(path, "can't be read", errno);
      if (got == 0) refuse(path, "became shorter while it was read; try again when its writer is done", 0);
      at += got;
      left -= static_cast<std::size_t>(got);
    }
  }

  std::unique_ptr<void, Release> data_;
};

BERTHA_NAMESPACE_END
