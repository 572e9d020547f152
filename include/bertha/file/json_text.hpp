// JSON as text: taken apart and written, for files that are made of other files. What isn't changed keeps its
// characters: numbers would not survive being read and written.

#pragma once

#include <algorithm>
#include <bertha/version.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// A member of an object, or an element of a list, whose key is empty: both as they are written.
struct JsonPiece {
  std::string_view key;  // with its quotes
  std::string_view value;
};

inline std::string_view without_space(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(kSpace)));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

/// The pieces of an object or a list that is valid JSON.
inline std::vector<JsonPiece> json_pieces(std::string_view container) {
  container = without_space(container);
  const bool has_keys = container.front() == '{';
  std::vector<JsonPiece> pieces;
  JsonPiece piece;
  std::size_t depth = 0, begin = 1;
  bool in_string = false;
  for (std::size_t i = 0; i < container.size(); ++i) {
    const char c = container[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
      continue;
    }
    in_string = c == '"';
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (has_keys && depth == 1 && c == ':') {
      piece.key = without_space(container.substr(begin, i - begin));
      begin = i + 1;
    }
    if (depth > 1 || (depth == 1 && c != ',')) continue;
    piece.value = without_space(container.substr(begin, i - begin));
    if (!piece.value.empty()) pieces.push_back(piece);
    begin = i + 1;
  }
  return pieces;
}

/// A string of UTF-8 as JSON, in the characters that Python's json.dumps(..., ensure_ascii=False) chooses.
inline std::string json_string(std::string_view text) {
  constexpr std::string_view kEscaped = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf", kDigits = "0123456789abcdef";
  std::string json = "\"";
  for (const char c : text) {
    const std::size_t escape = kEscaped.find(c);
    const auto code = static_cast<unsigned char>(c);
    if (escape != std::string_view::npos)
      (json += '\\') += kLetters[escape];
    else if (code < 0x20)
      ((json += "\\u00") += kDigits[code >> 4]) += kDigits[code & 15];
    else
      json += c;
  }
  return json += '"';
}

/// {"key":value,...} or [value,...] of pieces, without spaces between them.
inline std::string json_of(const std::vector<JsonPiece>& pieces, bool is_object) {
  std::string json(1, is_object ? '{' : '[');
  for (const JsonPiece& piece : pieces) {
    if (json.size() > 1) json += ',';
    if (is_object) json.append(piece.key) += ':';
    json += piece.value;
  }
  return json += is_object ? '}' : ']';
}

}  // namespace detail

BERTHA_NAMESPACE_END
