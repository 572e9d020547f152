// The names of tokens that stand for bytes in SentencePiece's vocabularies: <0x00> to <0xFF>.

#pragma once

#include <bertha/version.hpp>
#include <cstddef>
#include <optional>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// The name of a byte's token.
class ByteName {
 public:
  explicit ByteName(std::size_t byte) : name_{'<', '0', 'x', kDigits[byte / 16 % 16], kDigits[byte % 16], '>'} {}
  operator std::string_view() const { return {name_, sizeof name_}; }

  /// The byte that a token stands for by its name, if it does.
  static std::optional<char> byte_of(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
    // As Rust reads numbers, for which a plus may stand before a digit.
    const std::size_t high = token[3] == '+' ? 0 : digit(token[3]), low = digit(token[4]);
    if (high > 15 || low > 15) return std::nullopt;
    return static_cast<char>(high * 16 + low);
  }

 private:
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  static std::size_t digit(char character) {
    return kDigits.find(character >= 'a' && character <= 'f' ? static_cast<char>(character - 'a' + 'A') : character);
  }

  char name_[6];
};

BERTHA_NAMESPACE_END
