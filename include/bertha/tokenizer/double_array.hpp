// A trie over byte strings, used where it lies in a model file.
//
// A node is a unit of two numbers: its byte | base << 8, and a value. The child by byte b of a node is unit base + b if
// that has the byte b; no two nodes share a base, so it is no other node's child. Byte 0xFF, which no UTF-8 has, marks
// what is no child: the root, unit 0, and units that are free. Nodes without children have base 0.

#pragma once

#include <bertha/error.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// Borrows its units and trusts none of them: whatever they say, a walk reads within them, and a step takes the same
/// time. Immutable, so shared by threads.
class DoubleArray {
 public:
  /// A string, byte by byte from its first.
  class Walk {
   public:
    explicit Walk(const DoubleArray& trie) : units_(trie.units_), base_(units_[0] >> 8) {}

    /// Goes on with one byte. False: no string goes on like this, and the walk is over.
    bool step(char byte) {
      const auto label = static_cast<unsigned char>(byte);
      const std::size_t at = 2 * (std::size_t{base_} + label);
      if (at + 1 >= units_.size()) return false;
      const std::uint32_t unit = units_[at];
      value_ = units_[at + 1];
      base_ = unit >> 8;
      return (unit & 0xFF) == label;
    }

    /// The value of the string so far, or 0 if it has none.
    std::uint32_t value() const { return value_; }

   private:
    std::span<const std::uint32_t> units_;
    std::uint32_t base_;
    std::uint32_t value_ = 0;
  };

  /// `name` is what errors call the tensor. Throws Error{vocabulary} if there are no units.
  DoubleArray(std::span<const std::uint32_t> units, const char* name) : units_(units) {
    if (units.size() < 2) {
      throw_error(ErrorCode::vocabulary, {name, ": there is no root; the model file is damaged, convert it again"});
    }
  }

  /// The value of a string, or 0 if it has none.
  std::uint32_t value_of(std::string_view string) const {
    Walk walk(*this);
    for (const char byte : string) {
      if (!walk.step(byte)) return 0;
    }
    return walk.value();
  }

 private:
  std::span<const std::uint32_t> units_;
};

BERTHA_NAMESPACE_END
