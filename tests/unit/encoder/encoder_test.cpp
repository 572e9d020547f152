// Encoder: against a reference in double precision, in any batch, on any number of threads, and what it refuses.

#include <atomic>
#include <bertha/encoder/encoder.hpp>
#include <bertha/runtime/thread_pool.hpp>
#include <cfenv>
#include <chrono>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <stop_token>
#include <string>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../../support/expect_error.hpp"
#include "reference.hpp"

namespace {

using bertha::Batch;
using bertha::ErrorCode;
using bertha::MatrixView;
using bertha_test::AlignedBytes;
using bertha_test::expect_error;
using bertha_test::ModelWriter;
using bertha_test::Reference;
using bertha_test::TinyOptions;
using Ids = std::vector<std::uint32_t>;

/// An encoder and the bytes that it was loaded from.
template <class Precision>
struct Loaded {
  explicit Loaded(const TinyOptions& options)
      : bytes(ModelWriter::tiny(options).bytes()),
        file(bertha::WeightFile::from_bytes(bytes.span())),
        encoder(file, file.config()) {}
  AlignedBytes bytes;
  bertha::WeightFile file;
  bertha::Encoder<Precision> encoder;
};

Ids random_ids(std::mt19937& random, std::size_t n, std::uint32_t below) {
  Ids ids(n);
  for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(random() % below);
  return ids;
}

TinyOptions wide(std::size_t hidden_size, std::size_t heads) {
  TinyOptions options;
  options.hidden_size = hidden_size;
  options.num_attention_heads = heads;
  options.num_hidden_layers = 2;
  options.max_position_embeddings = 300;
  return options;
}

/// A pool of four threads, whatever this machine has. It is never destroyed: its threads serve as long as the process.
bertha::Executor& four_threads() {
  static bertha::Executor& pool = *new bertha::detail::ThreadPool(4);
  return pool;
}

/// Numbers [rows, cols] without their padding.
std::vector<float> numbers(MatrixView<const float> matrix) {
  std::vector<float> all;
  for (std::size_t r = 0; r < matrix.rows; ++r) all.insert(all.end(), matrix.row(r), matrix.row(r) + matrix.cols);
  return all;
}

void expect_near(const Eigen::MatrixXd& expected, MatrixView<const float> found, const std::string& what) {
  ASSERT_EQ(static_cast<std::size_t>(expected.rows()), found.rows) << what;
  ASSERT_EQ(static_cast<std::size_t>(expected.cols()), found.cols) << what;
  for (std::size_t r = 0; r < found.rows; ++r)
    for (std::size_t c = 0; c < found.cols; ++c) {
      const double want = expected(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(c));
      ASSERT_NEAR(static_cast<double>(found(r, c)), want, 2e-4 * std::max(1.0, std::fabs(want)))
          << what << " row " << r << " column " << c;
    }
}

TEST(Encoder, EqualsTheReferenceAfterEveryLayer) {
  std::mt19937 random(3);
  const std::vector<std::pair<std::size_t, std::size_t>> sizes = {{36, 3}, {20, 5}, {40, 2}, {16, 1}};
  for (const char* activation : {"gelu", "gelu_tanh", "relu", "silu"})
    for (const auto& [hidden_size, heads] : sizes)
      for (const std::size_t types : {std::size_t{2}, std::size_t{0}, std::size_t{1}}) {
        TinyOptions options = wide(hidden_size, heads);
        options.hidden_act = activation;
        options.type_vocab_size = types;
        options.distance_bias = types == 0;
        options.modern = types == 1;
        if (heads == 5 && !options.modern) options.position_padding_id = 3;
        Loaded<bertha::Float32> model(options);
        Reference reference(ModelWriter::tiny(options), options);
        bertha::Workspace work;
        work.prepare({.max_threads = 1});
        Batch batch;
        const Ids ids = random_ids(random, 1 + random() % 40, 17);
        const Ids type_ids = random_ids(random, ids.size(), types == 2 ? 2 : 1);
        batch.add(ids, type_ids);
        const auto expected = reference.hidden(ids, type_ids);
        std::set<std::size_t> seen;
        const std::string what = std::string(activation) + " " + std::to_string(hidden_size) + " layer ";
        auto output = model.encoder.forward(
            batch, work, [&](std::size_t layer, std::size_t first_row, MatrixView<const float> hidden) {
              EXPECT_EQ(first_row, 0u);
              seen.insert(layer);
              expect_near(expected.at(layer), hidden, what + std::to_string(layer));
            });
        EXPECT_EQ(seen, (std::set<std::size_t>{0, 1, 2}));
        expect_near(expected.back(), output.hidden, what + "last");
        model.encoder.pool(output, work);
        expect_near(reference.pooled(expected.back()).transpose(), output.pooled, what + "pooled");
      }
}

/// Sequences that fill several chunks of 256 rows, one of them alone longer than a chunk.
std::vector<Ids> several_chunks() {
  std::mt19937 random(5);
  std::vector<Ids> sequences;
  for (const std::size_t length :
       {std::size_t{100}, std::size_t{156}, std::size_t{1}, std::size_t{300}, std::size_t{7}})
    sequences.push_back(random_ids(random, length, 17));
  for (int i = 0; i < 20; ++i) sequences.push_back(random_ids(random, 1 + random() % 60, 17));
  return sequences;
}

template <class Precision>
void expect_same_bits_in_any_batch(bool calibrated = false, bool modern = false, bool around = false) {
  TinyOptions options = wide(36, 3);
  options.modern = modern;
  options.norms_around = around;
  options.calibrated = calibrated;
  options.distance_bias = !calibrated && !modern;
  options.precision = bertha::to_string(Precision::kind);
  Loaded<Precision> model(options);
  std::vector<float> alone, pooled_alone;
  Batch batch;
  for (const Ids& ids : several_chunks()) {
    batch.add(ids);
    Batch one;
    one.add(ids);
    bertha::Workspace work;
    work.prepare({.executor = &four_threads(), .max_threads = 1});
    auto output = model.encoder.forward(one, work);
    model.encoder.pool(output, work);
    const auto hidden = numbers(output.hidden), pooled = numbers(output.pooled);
    alone.insert(alone.end(), hidden.begin(), hidden.end());
    pooled_alone.insert(pooled_alone.end(), pooled.begin(), pooled.end());
  }
  ASSERT_GT(batch.tokens(), 3u * 256u);
  bertha::Workspace work;  // one for all: what is left of a call must not be seen by the next
  for (const std::size_t threads : {4u, 1u, 2u, 3u}) {
    work.prepare({.executor = &four_threads(), .max_threads = threads});
    std::mutex mutex;
    std::multiset<std::size_t> rows_of_layer;
    auto output = model.encoder.forward(batch, work,
                                        [&](std::size_t layer, std::size_t first_row, MatrixView<const float> hidden) {
                                          const std::lock_guard lock(mutex);
                                          EXPECT_LE(first_row + hidden.rows, batch.tokens());
                                          for (std::size_t r = 0; r < hidden.rows; ++r)
                                            rows_of_layer.insert(layer * 10'000 + first_row + r);
                                        });
    EXPECT_EQ(rows_of_layer.size(), 3 * batch.tokens());
    EXPECT_EQ(std::set<std::size_t>(rows_of_layer.begin(), rows_of_layer.end()).size(), 3 * batch.tokens());
    model.encoder.pool(output, work);
    EXPECT_EQ(numbers(output.hidden), alone) << threads;
    EXPECT_EQ(numbers(output.pooled), pooled_alone) << threads;
    EXPECT_EQ(output.sequences(), batch.sequences());

    auto first = model.encoder.forward_first(batch, work);
    ASSERT_EQ(first.hidden.rows, batch.sequences());
    ASSERT_EQ(first.sequences(), batch.sequences());
    std::vector<float> expected;
    for (std::size_t s = 0; s < batch.sequences(); ++s) {
      EXPECT_EQ(first.starts[s], s);
      const auto row = alone.begin() + static_cast<std::ptrdiff_t>(batch.starts()[s] * first.hidden.cols);
      expected.insert(expected.end(), row, row + static_cast<std::ptrdiff_t>(first.hidden.cols));
    }
    EXPECT_EQ(numbers(first.hidden), expected) << threads;
    ASSERT_TRUE(model.encoder.pools_first());
    model.encoder.pool(first, work);
    EXPECT_EQ(numbers(first.pooled), pooled_alone) << threads;
  }
}

TEST(Encoder, GivesTheSameBitsAloneAndInAnyBatchInFloat32) {
  expect_same_bits_in_any_batch<bertha::Float32>();
  expect_same_bits_in_any_batch<bertha::Float32>(false, true);
  expect_same_bits_in_any_batch<bertha::Float32>(false, true, true);
}
TEST(Encoder, GivesTheSameBitsAloneAndInAnyBatchInBFloat16) {
  expect_same_bits_in_any_batch<bertha::BFloat16>();
  expect_same_bits_in_any_batch<bertha::BFloat16>(false, true);
  expect_same_bits_in_any_batch<bertha::BFloat16>(false, true, true);
}
TEST(Encoder, GivesTheSameBitsAloneAndInAnyBatchInInt8) {
  expect_same_bits_in_any_batch<bertha::Int8>();
  expect_same_bits_in_any_batch<bertha::Int8>(false, true);
}

TEST(Encoder, GivesTheSameBitsAloneAndInAnyBatchInCalibratedInt8) {
  expect_same_bits_in_any_batch<bertha::Int8>(true);
  expect_same_bits_in_any_batch<bertha::Int8>(true, true);
  expect_same_bits_in_any_batch<bertha::Int8>(true, true, true);
}

double rms(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

TEST(Encoder, RunsCalibratedInt8FilesInEveryPrecisionNearTheFloat32Model) {
  TinyOptions options = wide(36, 3);
  options.embedding_size = 20;
  Batch batch;
  for (const Ids& ids : several_chunks()) batch.add(ids);
  bertha::Workspace work;
  work.prepare({.executor = &four_threads()});
  Loaded<bertha::Float32> exact(options);
  const auto expected = numbers(exact.encoder.forward(batch, work).hidden);
  options.precision = "int8";
  Loaded<bertha::Int8> plain(options);
  const double error = rms(numbers(plain.encoder.forward(batch, work).hidden), expected);
  options.calibrated = true;  // smoothing here is of random factors: it gains nothing, but must not be felt either
  Loaded<bertha::Int8> calibrated(options);
  Loaded<bertha::Float32> widened(options);
  Loaded<bertha::BFloat16> rounded(options);
  EXPECT_LT(rms(numbers(calibrated.encoder.forward(batch, work).hidden), expected), 2 * error);
  EXPECT_LT(rms(numbers(widened.encoder.forward(batch, work).hidden), expected), 2 * error);
  EXPECT_LT(rms(numbers(rounded.encoder.forward(batch, work).hidden), expected), 3 * error);
}

TEST(Encoder, GivesTheSameBitsWithSmoothingByOneAsWithout) {
  TinyOptions options = wide(36, 3);
  options.precision = "int8";
  Loaded<bertha::Int8> plain(options);
  ModelWriter writer = ModelWriter::tiny(options);
  for (const std::string linear : {"attention.query_key_value", "attention.output", "intermediate", "output"})
    writer.add_vector("encoder.layer.1." + linear + ".smoothing",
                      std::vector<float>(linear == "output" ? options.intermediate_size : options.hidden_size, 1.0f));
  const AlignedBytes bytes(writer.bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  const bertha::Encoder<bertha::Int8> smoothed(file, file.config());
  Batch batch;
  for (const Ids& ids : several_chunks()) batch.add(ids);
  bertha::Workspace work;
  work.prepare({.executor = &four_threads()});
  const auto expected = numbers(plain.encoder.forward(batch, work).hidden);
  EXPECT_EQ(numbers(smoothed.forward(batch, work).hidden), expected);
}

TEST(Encoder, ReadsTheTypesThatItWasGiven) {
  Loaded<bertha::Float32> model(wide(36, 3));
  bertha::Workspace work;
  work.prepare({.max_threads = 1});
  Batch none, zeros, ones;
  none.add(Ids{2, 5, 3});
  zeros.add(Ids{2, 5, 3}, Ids{0, 0, 0});
  ones.add(Ids{2, 5, 3}, Ids{0, 1, 1});
  const auto without = numbers(model.encoder.forward(none, work).hidden);
  EXPECT_EQ(numbers(model.encoder.forward(zeros, work).hidden), without);
  EXPECT_NE(numbers(model.encoder.forward(ones, work).hidden), without);
}

/// Hidden states after each layer, and of a chunk that a team of four shares, against the reference.
void expect_equals_the_reference(const TinyOptions& options, const Ids& ids, const Ids& types) {
  Loaded<bertha::Float32> model(options);
  Reference reference(ModelWriter::tiny(options), options);
  const auto expected = reference.hidden(ids, types);
  Batch batch;
  batch.add(ids, types);
  bertha::Workspace work;
  work.prepare({.executor = &four_threads(), .max_threads = 1});
  const auto output =
      model.encoder.forward(batch, work, [&](std::size_t layer, std::size_t, MatrixView<const float> hidden) {
        expect_near(expected.at(layer), hidden, "layer " + std::to_string(layer));
      });
  const auto alone = numbers(output.hidden);
  work.prepare({.executor = &four_threads(), .max_threads = 4});
  EXPECT_EQ(numbers(model.encoder.forward(batch, work).hidden), alone);
}

TEST(Encoder, ProjectsEmbeddingsOfAnotherSize) {
  std::mt19937 random(9);
  for (const std::size_t embedding_size : {1u, 16u, 20u, 35u, 48u, 100u}) {
    TinyOptions options = wide(36, 3);
    options.embedding_size = embedding_size;
    SCOPED_TRACE(embedding_size);
    const Ids ids = random_ids(random, 50, 17);
    expect_equals_the_reference(options, ids, random_ids(random, ids.size(), 2));
  }
}

TEST(Encoder, ProjectsEmbeddingsOfTheSameSizeWhereTheFileSaysSo) {
  std::mt19937 random(12);
  TinyOptions options = wide(36, 3);
  options.embedding_projection = true;
  const Ids ids = random_ids(random, 50, 17);
  expect_equals_the_reference(options, ids, random_ids(random, ids.size(), 2));
}

TEST(Encoder, RunsSharedWeightsAsOftenAsTheFileSays) {
  std::mt19937 random(11);
  for (const std::vector<std::uint32_t>& layers :
       {std::vector<std::uint32_t>{0, 0, 0}, {0, 0, 1, 1}, {0, 1, 0, 1, 2, 0}}) {
    TinyOptions options = wide(36, 3);
    options.embedding_size = 20;
    options.hidden_act = "gelu_tanh";
    options.layer_weights = layers;
    options.num_hidden_layers = layers.size();
    SCOPED_TRACE(testing::PrintToString(layers));
    const Ids ids = random_ids(random, 50, 17);
    expect_equals_the_reference(options, ids, random_ids(random, ids.size(), 2));
  }
}

/// As the file has it, and with a copy of its weights for each layer.
template <class Precision>
void expect_same_bits_as_copies(const char* precision, bool calibrated = false) {
  TinyOptions options = wide(36, 3);
  options.precision = precision;
  options.calibrated = calibrated;
  options.layer_weights = {0, 0, 0};
  options.num_hidden_layers = 3;
  Loaded<Precision> shared(options);
  ModelWriter copies = ModelWriter::tiny(options);
  const auto stored = copies.tensors;
  copies.config.erase("layer_weights");
  for (const auto& tensor : stored)
    for (const char* layer : {"encoder.layer.1", "encoder.layer.2"})
      if (tensor.name.starts_with("encoder.layer.0")) {
        copies.tensors.push_back(tensor);
        copies.tensors.back().name.replace(0, 15, layer);
      }
  if (calibrated)
    for (const std::string layer : {"encoder.layer.1", "encoder.layer.2"}) {
      copies.config["fine_attention"].push_back(layer + ".attention");
      for (const char* linear : {".attention.query_key_value", ".attention.output", ".intermediate", ".output"})
        copies.config["zero_points"].push_back(layer + linear);
    }
  const AlignedBytes bytes(copies.bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  const bertha::Encoder<Precision> copied(file, file.config());
  Batch batch;
  for (const Ids& ids : several_chunks()) batch.add(ids);
  bertha::Workspace work;
  work.prepare({.executor = &four_threads()});
  const auto expected = numbers(copied.forward(batch, work).hidden);
  EXPECT_EQ(numbers(shared.encoder.forward(batch, work).hidden), expected);
}

TEST(Encoder, GivesTheSameBitsWithSharedWeightsAsWithCopies) {
  expect_same_bits_as_copies<bertha::Float32>("float32");
  expect_same_bits_as_copies<bertha::BFloat16>("bfloat16");
  expect_same_bits_as_copies<bertha::Int8>("float32");
  expect_same_bits_as_copies<bertha::Int8>("int8", true);
}

TEST(Encoder, VisitsSharedLayersOnceAndTakesTheirTensors) {
  TinyOptions options = wide(36, 3);
  options.layer_weights = {0, 0, 1, 0};
  options.num_hidden_layers = 4;
  options.kind = "encoder";
  Loaded<bertha::Float32> model(options);
  expect_error(ErrorCode::unused_tensor, {"the tensors 'tokenizer.vocab.text', 'tokenizer.vocab.offsets'."},
               [&] { model.file.finish(); });
  std::size_t linears = 0;
  model.encoder.for_each_linear([&](const auto&) { ++linears; });
  EXPECT_EQ(linears, 8u);
}

TEST(Encoder, RefusesSharedWeightsThatAreMissingOrOfAnotherSize) {
  TinyOptions options = wide(36, 3);
  options.layer_weights = {0, 1};
  const auto refused = [&](ErrorCode code, const ModelWriter& writer, const std::string& tensor) {
    const AlignedBytes bytes(writer.bytes());
    expect_error(code, {tensor}, [&] {
      auto file = bertha::WeightFile::from_bytes(bytes.span());
      const bertha::Encoder<bertha::Float32> encoder(file, file.config());
      file.finish();
    });
  };
  ModelWriter more = ModelWriter::tiny(options);
  more.config.update({{"num_hidden_layers", 3}, {"layer_weights", {0, 1, 2}}});
  refused(ErrorCode::missing_tensor, more, "encoder.layer.2.attention.query_key_value.weight");
  ModelWriter fewer = ModelWriter::tiny(options);
  fewer.config["layer_weights"] = {0, 0};
  refused(ErrorCode::unused_tensor, fewer, "encoder.layer.1.");
  ModelWriter wider = ModelWriter::tiny(options);
  wider.config["intermediate_size"] = 60;
  refused(ErrorCode::shape, wider, "encoder.layer.0.intermediate.weight");
  ModelWriter projected = ModelWriter::tiny(options);
  projected.config["embedding_projection"] = true;
  refused(ErrorCode::missing_tensor, projected, "embeddings.projection.weight");
}

TEST(Encoder, ProjectsEmbeddingsInInt8TheSameFromEitherFile) {
  TinyOptions options = wide(36, 3);
  options.embedding_size = 20;
  Loaded<bertha::Int8> from_float(options);
  options.precision = "int8";
  Loaded<bertha::Int8> from_int8(options);
  Batch batch;
  for (const Ids& ids : several_chunks()) batch.add(ids);
  bertha::Workspace work;
  work.prepare({.executor = &four_threads()});
  const auto found = numbers(from_float.encoder.forward(batch, work).hidden);
  EXPECT_EQ(numbers(from_int8.encoder.forward(batch, work).hidden), found);
}

TEST(Encoder, CountsPositionsWithoutPaddingTokens) {
  std::mt19937 random(10);
  for (const std::uint32_t padding : {0u, 1u, 16u}) {
    TinyOptions options = wide(36, 3);
    options.position_padding_id = padding;
    SCOPED_TRACE(padding);
    for (const Ids& ids : {Ids{padding}, Ids{2, padding, 5, 6, padding, padding, 7, 3}, Ids{padding, 5, padding},
                           random_ids(random, 200, 17)})
      expect_equals_the_reference(options, ids, Ids(ids.size(), 0));
  }
}

TEST(Encoder, RefusesSequencesThatArePastThePositionTable) {
  TinyOptions options;  // 24 rows
  options.position_padding_id = 1;
  Loaded<bertha::Float32> model(options);
  bertha::Workspace work;
  work.prepare({});
  Batch longest, longer, padded;
  longest.add(Ids(22, 5));
  EXPECT_NO_THROW(model.encoder.forward(longest, work));
  longer.add(Ids(23, 5));
  expect_error(ErrorCode::input, {"length", "23", "22"}, [&] { model.encoder.forward(longer, work); });
  padded.add(Ids(23, 1));  // these would have a row, but a limit that depends on the tokens helps nobody
  expect_error(ErrorCode::input, {"length", "23", "22"}, [&] { model.encoder.forward(padded, work); });
}

TEST(Encoder, RefusesDistanceBiasesThatAreMissingOrOfAnotherSize) {
  TinyOptions options;
  options.distance_bias = true;
  options.position_padding_id = 1;  // of 24 positions two are no token's: distances from -21 to 21
  const auto load = [](const ModelWriter& model) {
    const AlignedBytes bytes(model.bytes());
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    bertha::Encoder<bertha::Float32>(file, file.config());
  };
  const std::string name = "encoder.distance_bias";
  ModelWriter model = ModelWriter::tiny(options);
  EXPECT_NO_THROW(load(model));
  EXPECT_EQ(model.tensor(name).shape, (std::vector<std::size_t>{3, 48}));
  ModelWriter other = model;
  other.tensor(name).shape = {48, 3};
  expect_error(ErrorCode::shape, {name, "[3, 48]", "[48, 3]"}, [&] { load(other); });
  other = model;
  other.config["num_attention_heads"] = 2;
  EXPECT_THROW(load(other), bertha::Error);
  other = model;
  std::erase_if(other.tensors, [&](const auto& tensor) { return tensor.name == name; });
  expect_error(ErrorCode::missing_tensor, {name}, [&] { load(other); });
}

TEST(Encoder, RefusesAnglesThatAreMissingOrOfAnotherSize) {
  TinyOptions options;
  options.modern = true;
  options.num_hidden_layers = 2;
  const auto load = [](const ModelWriter& model) {
    const AlignedBytes bytes(model.bytes());
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    bertha::Encoder<bertha::Float32>(file, file.config());
  };
  EXPECT_NO_THROW(load(ModelWriter::tiny(options)));
  for (const char* name : {"encoder.rotary.0.cos", "encoder.rotary.1.sin"}) {
    ModelWriter model = ModelWriter::tiny(options);
    model.tensor(name).shape = {16, 24};
    expect_error(ErrorCode::shape, {name, "[24, 16]", "[16, 24]"}, [&] { load(model); });
    std::erase_if(model.tensors, [&](const auto& tensor) { return tensor.name == name; });
    expect_error(ErrorCode::missing_tensor, {name}, [&] { load(model); });
  }
}

TEST(Encoder, RefusesWhatIsTooLargeWithBothNumbers) {
  TinyOptions options;
  Loaded<bertha::Float32> model(options);
  bertha::Workspace work;
  work.prepare({});
  const auto expect_refused = [&](const Ids& ids, const Ids& types, std::initializer_list<std::string_view> words) {
    Batch batch;
    batch.add(Ids{2, 3});
    batch.add(ids, types);
    expect_error(ErrorCode::input, words, [&] { model.encoder.forward(batch, work); });
  };
  expect_refused({2, 17}, {}, {"token id", "17", "16"});
  expect_refused({2, 0xFFFFFFFF}, {}, {"4294967295"});
  expect_refused({2, 3}, {0, 2}, {"type", "2", "1"});
  expect_refused(Ids(25, 5), {}, {"length", "25", "24"});
  Batch longest;
  longest.add(Ids(24, 16), Ids(24, 1));
  EXPECT_NO_THROW(model.encoder.forward(longest, work));
}

TEST(Encoder, KeepsTheFileMappedThatItsWeightsLieIn) {
  for (const char* precision : {"float32", "bfloat16", "int8"})
    for (const bool copy : {false, true}) {
      TinyOptions options = wide(36, 3);
      options.precision = precision;
      const bertha_test::TempFile stored(ModelWriter::tiny(options).bytes());
      auto file = std::make_unique<bertha::WeightFile>(bertha::WeightFile::open(stored.path(), {.copy = copy}));
      const bertha::AnyEncoder encoder(*file, file->config());
      Batch batch;
      for (const Ids& ids : several_chunks()) batch.add(ids);
      const auto vectors = [&] {
        bertha::Workspace work;
        work.prepare({.max_threads = 1});
        auto output = encoder.forward(batch, work);
        encoder.pool(output, work);
        return std::pair(numbers(output.hidden), numbers(output.pooled));
      };
      const auto expected = vectors();
      file.reset();
      EXPECT_EQ(vectors(), expected) << precision << copy;
    }
}

TEST(Encoder, RefusesOptionsThatAreNoneOfTheirEnumerators) {
  const AlignedBytes bytes(ModelWriter::tiny().bytes());
  expect_error(ErrorCode::input, {"memory", "fast", "low"}, [&] {
    bertha::WeightFile::from_bytes(bytes.span(), "bytes", {.memory = static_cast<bertha::Memory>(2)});
  });
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  bertha::ModelConfig config = file.config();
  config.precision = static_cast<bertha::PrecisionKind>(4);
  expect_error(ErrorCode::input, {"precision"}, [&] { bertha::AnyEncoder(file, config); });
}

TEST(Encoder, RefusesToPoolWithoutAPooler) {
  TinyOptions options;
  options.pooler = "";
  Loaded<bertha::Float32> model(options);
  bertha::Workspace work;
  work.prepare({});
  Batch batch;
  batch.add(Ids{2, 3});
  auto output = model.encoder.forward(batch, work);
  EXPECT_EQ(output.pooled.data, nullptr);
  expect_error(ErrorCode::unsupported, {"pooler"}, [&] { model.encoder.pool(output, work); });
}

/// Rounding and, where there is such a thing, flush-to-zero of the calling thread.
class CallersEnvironment {
 public:
  CallersEnvironment(int rounding, bool flush) {
    std::fesetround(rounding);
#if defined(__x86_64__)
    if (flush) _mm_setcsr(_mm_getcsr() | 0x8040);
#else
    (void)flush;
#endif
    control_ = control();
  }
  ~CallersEnvironment() { std::fesetenv(FE_DFL_ENV); }
  bool is_as_it_was() const { return control() == control_; }

 private:
  static unsigned control() {
#if defined(__x86_64__)
    return _mm_getcsr() & ~0x3Fu;
#else
    return static_cast<unsigned>(std::fegetround());
#endif
  }
  unsigned control_;
};

TEST(Encoder, ComesToTheSameBitsInAnyFloatEnvironmentAndLeavesIt) {
  for (const char* precision : {"float32", "bfloat16", "int8"}) {
    TinyOptions options = wide(36, 3);
    options.precision = precision;
    const AlignedBytes bytes(ModelWriter::tiny(options).bytes());
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    const bertha::AnyEncoder encoder(file, file.config());
    Batch batch;
    for (const Ids& ids : several_chunks()) batch.add(ids);
    bertha::Workspace work;
    work.prepare({.executor = &four_threads()});
    auto output = encoder.forward(batch, work);
    encoder.pool(output, work);
    const auto hidden = numbers(output.hidden), pooled = numbers(output.pooled);
    for (const int rounding : {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
      const CallersEnvironment environment(rounding, true);
      output = encoder.forward(batch, work);
      EXPECT_TRUE(environment.is_as_it_was());
      encoder.pool(output, work);
      EXPECT_TRUE(environment.is_as_it_was());
      EXPECT_EQ(numbers(output.hidden), hidden) << precision << rounding;
      EXPECT_EQ(numbers(output.pooled), pooled) << precision << rounding;
    }
  }
}

/// Rows of the chunks that `sequences` sequences of `length` tokens are cut into.
std::vector<std::size_t> chunk_rows(const bertha::Encoder<bertha::Float32>& encoder, std::size_t sequences,
                                    std::size_t length, std::size_t threads) {
  Batch batch;
  for (std::size_t s = 0; s < sequences; ++s) batch.add(Ids(length, 5));
  bertha::Workspace work;
  work.prepare({.executor = &four_threads(), .max_threads = threads});
  std::mutex mutex;
  std::vector<std::size_t> rows;
  encoder.forward(batch, work, [&](std::size_t layer, std::size_t, MatrixView<const float> hidden) {
    const std::lock_guard lock(mutex);
    if (layer == 0) rows.push_back(hidden.rows);
  });
  return rows;
}

TEST(Encoder, GivesEachThreadAsManyRowsAsTheOthers) {
  const Loaded<bertha::Float32> model(wide(36, 3));
  using Rows = std::vector<std::size_t>;
  EXPECT_EQ(chunk_rows(model.encoder, 8, 128, 1), Rows(4, 256));
  EXPECT_EQ(chunk_rows(model.encoder, 8, 128, 4), Rows(4, 256));
  EXPECT_EQ(chunk_rows(model.encoder, 4, 128, 4), Rows(4, 128));
  EXPECT_EQ(chunk_rows(model.encoder, 9, 128, 2), Rows(9, 128));  // two threads share the last
  EXPECT_EQ(chunk_rows(model.encoder, 16, 16, 2), Rows(2, 128));
  EXPECT_EQ(chunk_rows(model.encoder, 16, 16, 4), Rows(4, 64));
  EXPECT_EQ(chunk_rows(model.encoder, 4, 16, 4), Rows(1, 64));  // too few rows to be cut: shared
  EXPECT_EQ(chunk_rows(model.encoder, 1, 300, 4), Rows(1, 300));
  EXPECT_EQ(chunk_rows(model.encoder, 3, 300, 1), Rows(3, 300));
}

TEST(Encoder, StopsBeforeTheNextLayer) {
  for (const std::size_t threads : {1u, 4u})
    for (const std::size_t sequences : {1u, 40u}) {
      Loaded<bertha::Float32> model(wide(36, 3));
      Batch batch;
      for (std::size_t s = 0; s < sequences; ++s) batch.add(Ids(40, 5));
      bertha::Workspace work;
      std::stop_source source;
      work.prepare({.executor = &four_threads(), .max_threads = threads, .stop_token = source.get_token()});
      std::atomic<int> at_the_end{0};
      expect_error(ErrorCode::stopped, {"stop"}, [&] {
        model.encoder.forward(batch, work, [&](std::size_t layer, std::size_t, MatrixView<const float>) {
          if (layer == 0) source.request_stop();
          if (layer == 2) ++at_the_end;
        });
      });
      EXPECT_EQ(at_the_end, 0);
      work.prepare({.executor = &four_threads(), .max_threads = threads});
      EXPECT_NO_THROW(model.encoder.forward(batch, work));
    }
}

TEST(Encoder, StopsOnceItsDeadlineHasPassed) {
  Loaded<bertha::Float32> model(wide(36, 3));
  Batch batch;
  batch.add(Ids(40, 5));
  bertha::Workspace work;
  const auto now = std::chrono::steady_clock::now();
  work.prepare({.max_threads = 1, .deadline = now});
  std::size_t layers = 0;
  const auto observer = [&](std::size_t, std::size_t, MatrixView<const float>) { ++layers; };
  expect_error(ErrorCode::stopped, {"deadline"}, [&] { model.encoder.forward(batch, work, observer); });
  EXPECT_EQ(layers, 0u);
  work.prepare({.max_threads = 1, .deadline = now + std::chrono::hours(1)});
  EXPECT_NO_THROW(model.encoder.forward(batch, work, observer));
  EXPECT_EQ(layers, 3u);
}

TEST(Batch, PacksSequencesOneAfterTheOther) {
  Batch batch;
  EXPECT_EQ(batch.sequences(), 0u);
  batch.add(Ids{2, 5, 3});
  batch.add(Ids{2, 3}, Ids{0, 1});
  EXPECT_EQ(batch.sequences(), 2u);
  EXPECT_EQ(batch.tokens(), 5u);
  EXPECT_EQ(batch.length(1), 2u);
  EXPECT_EQ(batch.ids(), (Ids{2, 5, 3, 2, 3}));
  EXPECT_EQ(batch.type_ids(), (Ids{0, 0, 0, 0, 1}));
  EXPECT_EQ(batch.starts(), (std::vector<std::size_t>{0, 3, 5}));
}

TEST(Batch, RefusesNoTokensAndOtherNumbersOfTypesAndStaysAsItWas) {
  Batch batch;
  batch.add(Ids{2, 3});
  expect_error(ErrorCode::input, {"no tokens"}, [&] { batch.add(Ids{}); });
  expect_error(ErrorCode::input, {"2 token ids", "3 type ids"}, [&] { batch.add(Ids{2, 3}, Ids{0, 0, 0}); });
  EXPECT_EQ(batch.sequences(), 1u);
  EXPECT_EQ(batch.tokens(), 2u);
  EXPECT_EQ(batch.type_ids().size(), 2u);
}

TEST(Encoder, TakesAnEmptyBatch) {
  Loaded<bertha::Int8> model(wide(36, 3));
  bertha::Workspace work;
  work.prepare({.executor = &four_threads()});
  const Batch batch;
  auto output = model.encoder.forward(batch, work);
  model.encoder.pool(output, work);
  EXPECT_EQ(output.hidden.rows, 0u);
  EXPECT_EQ(output.pooled.rows, 0u);
}

}  // namespace
