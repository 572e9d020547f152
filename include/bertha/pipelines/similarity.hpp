// How alike two vectors are. Equals `SimilarityFunction` of sentence-transformers (6.2.0).

#pragma once

#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <cmath>
#include <cstddef>
#include <span>

BERTHA_NAMESPACE_BEGIN

/// Their cosine, their product, or their distance below 0, computed in double: larger is more alike. Throws
/// Error{input} for vectors of different sizes, and for a measure that is none of them. Thread-safe.
inline float similarity(Similarity measure, std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size())
    throw_error(ErrorCode::input, {"vectors of ", a.size(), " and ", b.size(), " elements can't be compared"});
  double product = 0, square_a = 0, square_b = 0, square = 0, distance = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    product += x * y;
    square_a += x * x;
    square_b += y * y;
    square += (x - y) * (x - y);
    distance += std::fabs(x - y);
  }
  switch (measure) {
    case Similarity::cosine: {
      const double lengths = std::sqrt(square_a) * std::sqrt(square_b);
      return static_cast<float>(lengths > 0 ? product / lengths : 0);
    }
    case Similarity::dot: return static_cast<float>(product);
    case Similarity::euclidean: return static_cast<float>(-std::sqrt(square));
    case Similarity::manhattan: return static_cast<float>(-distance);
  }
  throw_error(ErrorCode::input, {"similarity is ", static_cast<int>(measure), ", which is none of its values"});
}

BERTHA_NAMESPACE_END
