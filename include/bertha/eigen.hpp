// Hidden states, logits and vectors as matrices of Eigen, and matrices of Eigen as what bertha reads: views, no copies.
// Not a part of the umbrella header; needs Eigen 3.4.
//
//     auto vectors = bertha::to_matrix(embed.run(texts));            // [texts, D], a copy: results lie apart
//     Eigen::VectorXf scores = vectors * bertha::as_row(query).transpose();

#pragma once

#include <Eigen/Core>
#include <bertha/encoder/matrix.hpp>
#include <bertha/error.hpp>
#include <bertha/heads/head.hpp>
#include <bertha/pipelines/embedding_task.hpp>
#include <cstddef>
#include <span>

BERTHA_NAMESPACE_BEGIN

/// A matrix whose rows lie one after the other, as all of bertha's do.
using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// A view of such a matrix, whose rows may lie further apart than they are long.
using MatrixMap = Eigen::Map<RowMatrix, Eigen::Unaligned, Eigen::OuterStride<>>;
using ConstMatrixMap = Eigen::Map<const RowMatrix, Eigen::Unaligned, Eigen::OuterStride<>>;
/// A view of one row.
using ConstRowMap = Eigen::Map<const Eigen::RowVectorXf>;

/// Hidden states [T, H], say: the numbers that the view sees, as long as it does.
inline ConstMatrixMap as_matrix(MatrixView<const float> view) {
  return {view.data, static_cast<Eigen::Index>(view.rows), static_cast<Eigen::Index>(view.cols),
          Eigen::OuterStride<>(static_cast<Eigen::Index>(view.stride))};
}
inline MatrixMap as_matrix(MatrixView<float> view) {
  return {view.data, static_cast<Eigen::Index>(view.rows), static_cast<Eigen::Index>(view.cols),
          Eigen::OuterStride<>(static_cast<Eigen::Index>(view.stride))};
}

/// The logits [rows, L], which must live as long as the map.
inline ConstMatrixMap as_matrix(const Logits& logits) {
  return as_matrix(MatrixView<const float>{logits.values.data(), logits.rows, logits.cols, logits.cols});
}

/// The vector of a text [1, D], or those of its tokens [T, H]; it must live as long as the map.
inline ConstMatrixMap as_matrix(const EmbeddingResult& vectors) {
  return as_matrix(MatrixView<const float>{vectors.values.data(), vectors.rows, vectors.cols, vectors.cols});
}

/// The vector of a text [D], which must live as long as the map.
inline ConstRowMap as_row(const EmbeddingResult& vector) {
  return {vector.values.data(), static_cast<Eigen::Index>(vector.values.size())};
}

/// A matrix of Eigen for whatever of bertha reads or writes rows; it must live as long as the view.
inline MatrixView<float> as_view(RowMatrix& matrix) {
  return {matrix.data(), static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols()),
          static_cast<std::size_t>(matrix.outerStride())};
}
inline MatrixView<const float> as_view(const RowMatrix& matrix) {
  return {matrix.data(), static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols()),
          static_cast<std::size_t>(matrix.outerStride())};
}

/// The vectors of many texts as one matrix [texts, D]: a copy. Throws Error{input} unless they are all of one size.
inline RowMatrix to_matrix(std::span<const EmbeddingResult> vectors) {
  RowMatrix matrix(static_cast<Eigen::Index>(vectors.size()),
                   vectors.empty() ? 0 : static_cast<Eigen::Index>(vectors[0].size()));
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    if (vectors[i].size() != vectors[0].size())
      throw_error(ErrorCode::input, {"vector ", i, " has ", vectors[i].size(), " elements, the first ",
                                     vectors[0].size(), "; expected vectors of one size for a matrix"});
    matrix.row(static_cast<Eigen::Index>(i)) = as_row(vectors[i]);
  }
  return matrix;
}

BERTHA_NAMESPACE_END
