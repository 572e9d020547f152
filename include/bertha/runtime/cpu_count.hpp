// How many threads this process may keep busy: the CPUs of its affinity mask, or fewer when a control group (a
// container) gives it less time than that.

#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <algorithm>
#include <bertha/version.hpp>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

/// The text of a file that the system makes (below /proc or /sys, less than 16 KB); empty if it can't be read.
inline std::string read_system_file(const std::string& path) {
  std::string text(16384, '\0');
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t size = file < 0 ? 0 : ::read(file, text.data(), text.size());
  if (file >= 0) ::close(file);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

/// Whole CPUs in `quota` of each `period` microseconds, two decimal numbers; anything else ("max", "-1") is no limit.
/// Rounded down: a thread more would spend a part of each period stopped, and the others waiting for it.
inline std::size_t quota_cpus(std::string_view quota, std::string_view period) {
  std::uint64_t of = 0;
  std::uint64_t each = 0;
  const auto read = [](std::string_view text, std::uint64_t& value) {
    return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc{};
  };
  if (!read(quota, of) || !read(period, each) || of == 0 || each == 0) return kNoLimit;
  return std::max<std::size_t>(1, of / each);
}

/// The least limit of the group `path` and the groups around it, below the folder `mount`.
template <class Limit>
std::size_t least_limit(const std::string& mount, std::string path, const Limit& limit) {
  if (path.find("..") != std::string::npos) path.clear();  // a group outside of what this mount shows
  std::size_t least = limit(mount);
  for (; path.size() > 1; path.resize(path.rfind('/'))) least = std::min(least, limit(mount + path));
  return least;
}

/// The CPUs that the groups named in `membership` (the text of /proc/self/cgroup) allow; both versions of control
/// groups.
inline std::size_t cgroup_cpus(std::string_view membership, const std::string& mount) {
  std::size_t least = kNoLimit;
  while (!membership.empty()) {
    const std::string_view line = membership.substr(0, membership.find('\n'));
    membership.remove_prefix(std::min(membership.size(), line.size() + 1));
    // number:controllers:path, where version 2 has no controllers
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos || line.substr(second + 1).substr(0, 1) != "/") continue;
    const std::string controllers(line.substr(first + 1, second - first - 1));
    const std::string path(line.substr(second + 1));
    if (controllers.empty()) {
      least = std::min(least, least_limit(mount, path, [](const std::string& group) {
                         const std::string text = read_system_file(group + "/cpu.max");
                         const std::size_t space = std::min(text.find(' '), text.size());
                         const std::string_view view = text;
                         return quota_cpus(view.substr(0, space), view.substr(std::min(space + 1, view.size())));
                       }));
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      for (const std::string& folder : {mount + "/cpu", mount + "/" + controllers}) {
        least = std::min(least, least_limit(folder, path, [](const std::string& group) {
                           return quota_cpus(read_system_file(group + "/cpu.cfs_quota_us"),
                                             read_system_file(group + "/cpu.cfs_period_us"));
                         }));
      }
    }
  }
  return least;
}

/// The CPUs that this process may run on.
inline std::size_t affinity_cpus() {
  for (std::size_t cpus = 1024; cpus <= (std::size_t{1} << 20); cpus *= 2) {
    std::string mask(CPU_ALLOC_SIZE(cpus), '\0');
    auto* set = static_cast<cpu_set_t*>(static_cast<void*>(mask.data()));
    if (::sched_getaffinity(0, mask.size(), set) == 0) {
      return std::max<std::size_t>(1, static_cast<std::size_t>(CPU_COUNT_S(mask.size(), set)));
    }
  }
  return static_cast<std::size_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace detail

/// The number of threads that this process may keep busy, at least 1, also when it has no memory left to find more.
/// Reads some system files: for use once.
inline std::size_t usable_cpus() noexcept {
  try {
    return std::min(detail::affinity_cpus(),
                    detail::cgroup_cpus(detail::read_system_file("/proc/self/cgroup"), "/sys/fs/cgroup"));
  } catch (...) {
    return 1;
  }
}

BERTHA_NAMESPACE_END
