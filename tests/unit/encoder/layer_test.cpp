// EncoderLayer and its blocks: what they add, and layers that lack biases. encoder_test.cpp has whole models.

#include <bertha/encoder/layer.hpp>
#include <string>
#include <vector>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

namespace {

using bertha::ErrorCode;
using bertha::LayerConfig;
using bertha_test::AlignedBytes;
using bertha_test::expect_error;
using bertha_test::ModelWriter;

constexpr std::size_t kRows = 7, kHiddenSize = 36;
const std::size_t kStarts[] = {0, 3, kRows};

template <class P>
ModelWriter writer() {
  bertha_test::TinyOptions options;
  options.precision = bertha::to_string(P::kind);
  return ModelWriter::tiny(options);
}

/// The same numbers in every call with the same `seed`.
bertha::MatrixView<float> numbers(bertha::AlignedBuffer<float>& memory, std::uint32_t seed) {
  const auto matrix = memory.matrix(kRows, kHiddenSize);
  ModelWriter writer;
  std::vector<float> values;
  for (std::uint32_t skipped = 0; skipped <= seed; ++skipped) values = writer.random(kRows * kHiddenSize);
  for (std::size_t r = 0; r < kRows; ++r) std::copy_n(&values[r * kHiddenSize], kHiddenSize, matrix.row(r));
  return matrix;
}

std::vector<float> copied(bertha::MatrixView<const float> matrix) {
  std::vector<float> values;
  for (std::size_t r = 0; r < matrix.rows; ++r) values.insert(values.end(), matrix.row(r), matrix.row(r) + matrix.cols);
  return values;
}

template <class P>
std::vector<float> layer_output(const ModelWriter& model, const LayerConfig& layer) {
  const AlignedBytes bytes(model.bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  const bertha::PositionTables positions(file, file.config());
  const bertha::EncoderLayer<P> encoder_layer(file, file.config(), layer, positions);
  bertha::Workspace work;
  work.prepare({.max_threads = 1});
  bertha::AlignedBuffer<float> memory;
  const auto hidden = numbers(memory, 0);
  encoder_layer(hidden, kStarts, {}, bertha::LayerTokens::all, work.team());
  return copied(hidden);
}

template <class P>
class EncoderLayer : public testing::Test {};
using Precisions = testing::Types<bertha::Float32, bertha::BFloat16, bertha::Int8>;
TYPED_TEST_SUITE(EncoderLayer, Precisions);

TYPED_TEST(EncoderLayer, HasZerosForABiasThatTheFileLacksAndTheModelMayDoWithout) {
  for (const std::string part : {"attention.query_key_value", "attention.output", "attention.output.norm",
                                 "intermediate", "output", "output.norm"}) {
    const std::string bias = "encoder.layer.0." + part + ".bias";
    SCOPED_TRACE(bias);
    ModelWriter zeros = writer<TypeParam>(), none = writer<TypeParam>();
    zeros.tensor(bias).bytes.assign(zeros.tensor(bias).bytes.size(), '\0');
    std::erase_if(none.tensors, [&](const auto& tensor) { return tensor.name == bias; });
    const LayerConfig may_lack_biases{"encoder.layer.0", false};
    const auto found = layer_output<TypeParam>(none, may_lack_biases);
    EXPECT_EQ(found, layer_output<TypeParam>(zeros, may_lack_biases));
    EXPECT_NE(found, layer_output<TypeParam>(writer<TypeParam>(), may_lack_biases));  // one that is there is read
    expect_error(ErrorCode::missing_tensor, {bias}, [&] { layer_output<TypeParam>(none, {"encoder.layer.0"}); });
  }
}

TYPED_TEST(EncoderLayer, HasBlocksThatAddWhatTheyMakeOfOneMatrixToAnother) {
  const AlignedBytes bytes(writer<TypeParam>().bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  const bertha::ModelConfig config = file.config();
  const bertha::PositionTables positions(file, config);
  const bertha::SelfAttention<TypeParam> attention(file, config, config.layer(0), positions);
  const bertha::FeedForward<TypeParam> feed_forward(file, config, config.layer(0));
  bertha::Workspace work;
  work.prepare({.max_threads = 1});
  const auto expect_sum = [&](const auto& block) {
    bertha::AlignedBuffer<float> first, second, third;
    const auto x = numbers(first, 0), sum = numbers(second, 1), made = numbers(third, 1);
    const auto before = copied(x), added_to = copied(sum);
    for (std::size_t r = 0; r < kRows; ++r) std::fill_n(made.row(r), kHiddenSize, 0.0f);
    block(x, made);
    block(x, sum);
    EXPECT_EQ(copied(x), before);
    std::vector<float> expected = copied(made);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += added_to[i];
    EXPECT_EQ(copied(sum), expected);
    block(x, x);  // in place
    std::vector<float> in_place = copied(made);
    for (std::size_t i = 0; i < in_place.size(); ++i) in_place[i] += before[i];
    EXPECT_EQ(copied(x), in_place);
  };
  expect_sum(
      [&](auto x, auto hidden) { attention(x, hidden, {}, kStarts, {}, bertha::LayerTokens::all, work.team()); });
  expect_sum([&](auto x, auto hidden) { feed_forward(x, hidden, {}, work.team()); });
}

}  // namespace
