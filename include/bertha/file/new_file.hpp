// A file that is written whole or not at all: under another name in the same folder first, brought to the disk, then
// renamed. Who has an older file of that name open or mapped keeps that one.

#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bertha/error.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

BERTHA_NAMESPACE_BEGIN

namespace detail {

[[noreturn]] inline void refuse_writing(const std::string& path, std::string_view what, int error) {
  throw_error(ErrorCode::file,
              {"'", path, "' ", what, error != 0 ? ": " : "", error != 0 ? std::generic_category().message(error) : "",
               "; no file was written there."});
}

/// The folder that a file of that path lies in.
inline std::string folder_to_write(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

/// A descriptor that is closed in the end, and the file removed that has not got its name.
class FileBeingWritten {
 public:
  /// Creates `temporary`. Throws Error{file}, which names `path`.
  FileBeingWritten(const std::string& path, std::string temporary)
      : temporary_(std::move(temporary)),
        number_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
    if (number_ < 0) refuse_writing(path, "can't be written", errno);
  }
  FileBeingWritten(const FileBeingWritten&) = delete;
  FileBeingWritten& operator=(const FileBeingWritten&) = delete;
  ~FileBeingWritten() {
    ::close(number_);
    if (!named_) ::unlink(temporary_.c_str());
  }

  bool write(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::write(number_, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) return false;
      if (written > 0) bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return ::fsync(number_) == 0;
  }
  bool rename(const std::string& path) { return named_ = std::rename(temporary_.c_str(), path.c_str()) == 0; }

 private:
  std::string temporary_;
  int number_;
  bool named_ = false;
};

}  // namespace detail

/// Throws Error{file} where `path` can't be written, or is the file `source`, whose bytes are still needed: before the
/// work is done whose result is to be written there.
inline void require_place(const std::string& path, const std::string& source) {
  struct stat target {
  }, origin{};
  if (::stat(path.c_str(), &target) == 0) {
    if (!S_ISREG(target.st_mode)) detail::refuse_writing(path, "is no regular file", 0);
    if (::stat(source.c_str(), &origin) == 0 && origin.st_dev == target.st_dev && origin.st_ino == target.st_ino)
      detail::refuse_writing(path, "is the file that is read; name another one", 0);
  }
  const std::string folder = detail::folder_to_write(path);
  if (::access(folder.c_str(), W_OK | X_OK) != 0) detail::refuse_writing(path, "can't be written", errno);
}

/// Writes a file of these bytes, in place of one of that name. Throws Error{file}: then no byte has changed there.
inline void write_file(const std::string& path, std::span<const std::byte> bytes) {
  const std::string folder = detail::folder_to_write(path);
  const std::string name = path.substr(path.rfind('/') + 1);
  detail::FileBeingWritten file(path, concat({folder, "/.", name, ".", ::getpid(), ".tmp"}));
  if (!file.write(bytes) || !file.rename(path)) detail::refuse_writing(path, "can't be written", errno);
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;  // the file stands; that its name does too, after a power cut, not every system can say
  ::fsync(directory);
  ::close(directory);
}

BERTHA_NAMESPACE_END
