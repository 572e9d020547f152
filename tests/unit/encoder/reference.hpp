// A whole BERT in double precision, as a textbook has it, from the tensors of a ModelWriter. It shares no code with the
// library, but for where weights lie: that is layout.hpp's, which kernels/layout_test.cpp holds against the format.

#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <bertha/kernels/layout.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../../support/model_writer.hpp"

namespace bertha_test {

/// The float32 model of `options` with weights from `writer`.
class Reference {
 public:
  using Matrix = Eigen::MatrixXd;  // a row per token
  using Vector = Eigen::VectorXd;

  Reference(ModelWriter writer, TinyOptions options) : writer_(std::move(writer)), o_(std::move(options)) {}

  /// Hidden states of one sequence after the embeddings and after each layer.
  std::vector<Matrix> hidden(const std::vector<std::uint32_t>& ids, const std::vector<std::uint32_t>& types) {
    const std::size_t width = o_.embedding_size > 0 ? o_.embedding_size : o_.hidden_size;
    const Matrix word = rows("embeddings.word.weight", width);
    const Matrix position = o_.modern ? Matrix::Zero(static_cast<Eigen::Index>(o_.max_position_embeddings), word.cols())
                                      : rows("embeddings.position.weight", width);
    const auto places = positions(ids);
    const Eigen::Index n = static_cast<Eigen::Index>(ids.size());
    Matrix x(n, word.cols());
    for (Eigen::Index t = 0; t < n; ++t) {
      x.row(t) = word.row(ids[static_cast<std::size_t>(t)]) + position.row(places[static_cast<std::size_t>(t)]);
      if (o_.type_vocab_size > 0)
        x.row(t) += rows("embeddings.token_type.weight", width).row(types[static_cast<std::size_t>(t)]);
    }
    x = norm(x, "embeddings.norm");
    if (width != o_.hidden_size || o_.embedding_projection) x = linear(x, "embeddings.projection", o_.hidden_size);
    std::vector<Matrix> states = {x};
    for (std::size_t i = 0; i < o_.num_hidden_layers; ++i) {
      const std::size_t stored = o_.layer_weights.empty() ? i : o_.layer_weights[i];
      states.push_back(layer(states.back(), "encoder.layer." + std::to_string(stored), i));
    }
    if (o_.modern) states.back() = norm(states.back(), "encoder.norm");
    return states;
  }

  /// Rows of the position table: as create_position_ids_from_input_ids of RoBERTa has them where there is a padding id.
  std::vector<Eigen::Index> positions(const std::vector<std::uint32_t>& ids) const {
    std::vector<Eigen::Index> rows;
    Eigen::Index counted = 0;
    for (const std::uint32_t id : ids) {
      const Eigen::Index padding = o_.position_padding_id ? Eigen::Index{*o_.position_padding_id} : -1;
      counted += static_cast<Eigen::Index>(id) != padding;
      rows.push_back(padding + (static_cast<Eigen::Index>(id) != padding ? counted : 0));
    }
    return rows;
  }

  Vector pooled(const Matrix& last) {
    const Matrix dense = linear(last.topRows(1), "pooler.dense", o_.hidden_size);
    return dense.row(0).array().tanh();
  }

  /// Row-major rows of a tensor [rows, columns rounded up].
  Matrix rows(const std::string& name, std::size_t columns) {
    const TensorData& tensor = writer_.tensor(name);
    const std::size_t n = tensor.shape[0];
    const std::size_t stride = tensor.bytes.size() / 4 / n;
    Matrix result(static_cast<Eigen::Index>(n), static_cast<Eigen::Index>(columns));
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t c = 0; c < columns; ++c)
        result(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(c)) = number(tensor, r * stride + c);
    return result;
  }

  /// x W^T + b, W being in panels of 16 outputs.
  Matrix linear(const Matrix& x, const std::string& name, std::size_t outputs) {
    const TensorData& weight = writer_.tensor(name + ".weight");
    const std::size_t inputs = weight.shape[1];
    const bertha::kernels::PanelLayout<float> layout(outputs, inputs);
    Matrix w(static_cast<Eigen::Index>(outputs), static_cast<Eigen::Index>(inputs));
    for (std::size_t r = 0; r < outputs; ++r)
      for (std::size_t c = 0; c < inputs; ++c)
        w(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(c)) = number(weight, layout.at(r, c));
    return (x * w.transpose()).rowwise() + vector(name + ".bias", outputs).transpose();
  }

  bool has(const std::string& name) const {
    return std::any_of(writer_.tensors.begin(), writer_.tensors.end(),
                       [&](const auto& each) { return each.name == name; });
  }

  /// Zeros where a bias is lacking.
  Vector vector(const std::string& name, std::size_t size) {
    if (!has(name) && name.ends_with(".bias")) return Vector::Zero(static_cast<Eigen::Index>(size));
    Vector result(static_cast<Eigen::Index>(size));
    for (std::size_t i = 0; i < size; ++i) result(static_cast<Eigen::Index>(i)) = number(writer_.tensor(name), i);
    return result;
  }

 private:
  static double number(const TensorData& tensor, std::size_t i) {
    float value;
    std::memcpy(&value, tensor.bytes.data() + 4 * i, 4);
    return static_cast<double>(value);
  }

  Matrix norm(const Matrix& x, const std::string& name) {
    const std::size_t size = static_cast<std::size_t>(x.cols());
    const Vector gamma = vector(name + ".weight", size), beta = vector(name + ".bias", size);
    Matrix y = x.colwise() - x.rowwise().mean();
    for (Eigen::Index t = 0; t < y.rows(); ++t) {
      const double variance = y.row(t).squaredNorm() / static_cast<double>(y.cols());
      y.row(t) =
          (y.row(t).array() / std::sqrt(variance + 1e-12) * gamma.transpose().array()) + beta.transpose().array();
    }
    return y;
  }

  /// What an attention head adds to scores [n, n].
  Matrix biases(Eigen::Index a, Eigen::Index n) {
    const auto padding = o_.position_padding_id ? *o_.position_padding_id + 1 : 0;
    const auto positions = static_cast<Eigen::Index>(o_.max_position_embeddings - padding);
    const Matrix table = rows("encoder.distance_bias", static_cast<std::size_t>(2 * positions - 1));
    Matrix result(n, n);
    for (Eigen::Index i = 0; i < n; ++i)
      for (Eigen::Index j = 0; j < n; ++j) result(i, j) = table(a, positions - 1 + j - i);
    return result;
  }

  /// Each token's queries or keys [n, D] turned by the angles of its place.
  Matrix turned(const Matrix& x, std::size_t table) {
    const Eigen::Index half = x.cols() / 2;
    const std::string name = "encoder.rotary." + std::to_string(table);
    const Matrix cos = rows(name + ".cos", static_cast<std::size_t>(half)).topRows(x.rows());
    const Matrix sin = rows(name + ".sin", static_cast<std::size_t>(half)).topRows(x.rows());
    Matrix y(x.rows(), x.cols());
    y << x.leftCols(half).cwiseProduct(cos) - x.rightCols(half).cwiseProduct(sin),
        x.rightCols(half).cwiseProduct(cos) + x.leftCols(half).cwiseProduct(sin);
    return y;
  }

  double activate(double x) const {
    if (o_.hidden_act == "gelu") return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    if (o_.hidden_act == "gelu_tanh") return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    if (o_.hidden_act == "silu") return x / (1 + std::exp(-x));
    return std::max(x, 0.0);
  }

  Matrix activated(const Matrix& x) const {
    return x.unaryExpr([this](double value) { return activate(value); });
  }

  /// Layer number `index`, with the weights `name`.
  Matrix layer(const Matrix& x, const std::string& name, std::size_t index) {
    if (!o_.modern) {
      const Matrix h = norm(x + attention(x, name, index), name + ".attention.output.norm");
      const Matrix widened = activated(linear(h, name + ".intermediate", o_.intermediate_size));
      return norm(h + linear(widened, name + ".output", o_.hidden_size), name + ".output.norm");
    }
    const std::string first = name + ".attention.norm";
    const Matrix h = x + attention(has(first + ".weight") ? norm(x, first) : x, name, index);
    const auto inner = static_cast<Eigen::Index>(o_.intermediate_size);
    const std::size_t padded = bertha::kernels::padded(o_.intermediate_size);
    const Matrix both = linear(norm(h, name + ".norm"), name + ".intermediate", 2 * padded);
    const Matrix gated =
        activated(both.leftCols(inner)).cwiseProduct(both.middleCols(static_cast<Eigen::Index>(padded), inner));
    return h + linear(gated, name + ".output", o_.hidden_size);
  }

  Matrix attention(const Matrix& x, const std::string& name, std::size_t index) {
    const std::size_t head_size = o_.hidden_size / o_.num_attention_heads;
    const Eigen::Index d = static_cast<Eigen::Index>(head_size);
    const Eigen::Index padded = static_cast<Eigen::Index>(bertha::kernels::padded(head_size));
    const Eigen::Index heads = static_cast<Eigen::Index>(o_.num_attention_heads);
    const Matrix projected =
        linear(x, name + ".attention.query_key_value", static_cast<std::size_t>(3 * padded * heads));
    Matrix context(x.rows(), x.cols());
    for (Eigen::Index a = 0; a < heads; ++a) {
      Matrix q = projected.middleCols(3 * a * padded, d), k = projected.middleCols((3 * a + 1) * padded, d);
      const Matrix v = projected.middleCols((3 * a + 2) * padded, d);
      if (o_.modern) {
        q = turned(q, index % 2);
        k = turned(k, index % 2);
      }
      Matrix scores = q * k.transpose() / std::sqrt(static_cast<double>(d));
      if (o_.distance_bias) scores += biases(a, scores.rows());
      for (Eigen::Index t = 0; t < scores.rows(); ++t) {
        for (Eigen::Index j = 0; o_.modern && index % 2 == 1 && j < scores.cols(); ++j)
          if (std::abs(t - j) > 3) scores(t, j) = -HUGE_VAL;
        scores.row(t) = (scores.row(t).array() - scores.row(t).maxCoeff()).exp();
        scores.row(t) /= scores.row(t).sum();
      }
      context.middleCols(a * d, d) = scores * v;
    }
    return linear(context, name + ".attention.output", o_.hidden_size);
  }

  ModelWriter writer_;
  TinyOptions o_;
};

}  // namespace bertha_test
