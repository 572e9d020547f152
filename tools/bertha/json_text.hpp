// Compact JSON, written as Python's json.dumps(..., ensure_ascii=False) writes it.

#pragma once

#include <bertha/version.hpp>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

namespace program {

inline std::string quote(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The shortest decimal that reads back as the same double, in Python's notation. (nlohmann's is not always shortest.)
inline std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  char buffer[64];
  const auto scientific = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string text(buffer, scientific);
  const int exponent = std::atoi(text.c_str() + text.find('e') + 1);
  if (exponent < -4 || exponent >= 16) return text;
  std::string fixed(buffer, std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr);
  return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

/// A score: the float32 number widened to double.
inline std::string number(float value) { return number(static_cast<double>(value)); }

inline std::string number(std::size_t value) { return std::to_string(value); }

/// [a,b,...] of what `write` makes of each element.
template <class Range, class Write>
std::string list(const Range& range, const Write& write) {
  std::string text = "[";
  for (const auto& element : range) {
    if (text.size() > 1) text += ',';
    text += write(element);
  }
  return text + ']';
}

/// [[a,b,..],..] of the rows of `values` [rows, cols].
inline std::string list_of_rows(const float* values, std::size_t rows, std::size_t cols) {
  std::string text = "[";
  for (std::size_t row = 0; row < rows; ++row) {
    if (row > 0) text += ',';
    text += list(std::span(values + row * cols, cols), [](float value) { return number(value); });
  }
  return text + ']';
}

}  // namespace program
