// Makes the tries of tools/format.md section 5 for tests: large and plain, each node's children in 256 units of their
// own.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bertha_test {

/// The units of a trie from strings to values, which are not 0.
inline std::vector<std::uint32_t> trie_of(const std::map<std::string, std::uint32_t>& values) {
  std::map<std::string, std::uint32_t> bases = {{"", 0}};  // of every start of a string; 0: it has no children
  for (const auto& [string, value] : values) {
    for (std::size_t size = 0; size < string.size(); ++size) bases[string.substr(0, size)] = 1;
    bases.emplace(string, 0);
  }
  std::uint32_t next = 1;
  for (auto& [start, base] : bases) {
    if (base != 0) base = next, next += 256;
  }
  std::vector<std::uint32_t> units(2 * (std::size_t{next} + 7) / 16 * 16 + 16);
  for (std::size_t i = 0; i < units.size(); i += 2) units[i] = 0xFF;
  for (const auto& [start, base] : bases) {
    const auto label = start.empty() ? 0xFFu : static_cast<unsigned char>(start.back());
    const std::size_t unit = start.empty() ? 0 : bases.at(start.substr(0, start.size() - 1)) + label;
    units[2 * unit] = label | base << 8;
    if (const auto found = values.find(start); found != values.end()) units[2 * unit + 1] = found->second;
  }
  return units;
}

}  // namespace bertha_test
