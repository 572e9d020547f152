// Heads: the output layer against a plain loop, and heads of one's own through Model.

#include <bertha/bertha.hpp>
#include <bertha/heads/sentence_embedding.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#if __has_include(<Eigen/Core>)
#include <bertha/eigen.hpp>
#endif

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

namespace {

using bertha::Encoding;
using bertha::ErrorCode;
using bertha::Logits;
using bertha::MatrixView;
using bertha_test::AlignedBytes;
using bertha_test::expect_error;
using bertha_test::ModelWriter;
using bertha_test::TinyOptions;

std::vector<float> random_numbers(std::mt19937& random, std::size_t n) {
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f;
  return values;
}

TEST(OutputLayer, HasTheBitsOfOneFusedMultiplyAddAfterTheOther) {
  std::mt19937 random(7);
  for (const std::size_t labels : {1u, 2u, 15u, 16u, 17u, 33u})
    for (const std::size_t hidden_size : {1u, 16u, 36u, 63u}) {
      ModelWriter writer = ModelWriter::tiny();
      const auto weight = random_numbers(random, labels * hidden_size), bias = random_numbers(random, labels);
      writer.add_rows("scorer.weight", weight, labels);
      writer.add_vector("scorer.bias", bias);
      const AlignedBytes bytes(writer.bytes());
      auto file = bertha::WeightFile::from_bytes(bytes.span());
      const bertha::OutputLayer layer(file, "scorer", labels, hidden_size);
      bertha::Workspace work;
      work.prepare({});
      const std::size_t rows = random() % 9, stride = hidden_size + random() % 5;
      const auto x = random_numbers(random, rows * stride);
      const Logits logits = layer({x.data(), rows, hidden_size, stride}, work);
      ASSERT_EQ(logits.rows, rows);
      ASSERT_EQ(logits.cols, labels);
      ASSERT_EQ(logits.values.size(), rows * labels);
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t l = 0; l < labels; ++l) {
          float sum = 0;
          for (std::size_t k = 0; k < hidden_size; ++k)
            sum = std::fma(x[r * stride + k], weight[l * hidden_size + k], sum);
          ASSERT_EQ(logits.row(r)[l], sum + bias[l]) << labels << ' ' << hidden_size;
        }
    }
}

TEST(OutputLayer, NamesATensorThatIsMissingOrWrong) {
  ModelWriter writer = ModelWriter::tiny();
  const auto make = [&](std::size_t labels, std::size_t size) {
    const AlignedBytes bytes(writer.bytes());
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    const bertha::OutputLayer layer(file, "scorer", labels, size);
  };
  writer.add_rows("scorer.weight", writer.random(2 * 36), 2);
  expect_error(ErrorCode::missing_tensor, {"'scorer.bias'"}, [&] { make(2, 36); });
  writer.add_vector("scorer.bias", writer.random(2));
  expect_error(ErrorCode::shape, {"'scorer.weight'", "[2, 48]", "[3, 48]"}, [&] { make(3, 36); });
  expect_error(ErrorCode::shape, {"'scorer.weight'", "[2, 48]", "[2, 64]"}, [&] { make(2, 50); });
}

TEST(OutputLayer, KeepsTheFileMappedThatItsWeightsLieIn) {
  const bertha_test::TempFile stored(ModelWriter::tiny().bytes());
  auto file = std::make_unique<bertha::WeightFile>(bertha::WeightFile::open(stored.path()));
  const bertha::OutputLayer layer(*file, "head.output", 2, 36);
  std::mt19937 random(8);
  const auto x = random_numbers(random, 36);
  const auto logits = [&] {
    bertha::Workspace work;
    work.prepare({});
    return layer({x.data(), 1, 36, 36}, work).values;
  };
  const auto expected = logits();
  file.reset();
  EXPECT_EQ(logits(), expected);
}

/// The mean of a text's hidden states through a linear layer: a row of logits for a text, from its tokens.
struct MeanScorer {
  using Output = Logits;
  static constexpr bertha::Reads reads = bertha::Reads::tokens;
  static constexpr bertha::Gives gives = bertha::Gives::sequence_rows;

  static MeanScorer load(bertha::WeightFile& file, const bertha::ModelConfig& config) {
    return {bertha::OutputLayer(file, "scorer", file.shape("scorer.weight")[0], config.hidden_size)};
  }
  Output operator()(const bertha::EncoderOutput& output, bertha::Workspace& work) const {
    bertha::AlignedBuffer<float> memory;
    const auto mean = memory.matrix(output.sequences(), output.hidden.cols);
    for (std::size_t s = 0; s < mean.rows; ++s)
      for (std::size_t h = 0; h < mean.cols; ++h) {
        float sum = 0;
        for (std::size_t t = output.starts[s]; t < output.starts[s + 1]; ++t) sum += output.hidden(t, h);
        mean(s, h) = sum / static_cast<float>(output.starts[s + 1] - output.starts[s]);
      }
    return scorer(mean, work);
  }

  bertha::OutputLayer scorer;
};

/// The pooled vectors themselves: an output that is not `Logits`.
struct Embedder {
  using Output = std::vector<std::vector<float>>;
  static constexpr bertha::Reads reads = bertha::Reads::pooled;
  static constexpr bertha::Gives gives = bertha::Gives::sequence_rows;
  static Embedder load(bertha::WeightFile&, const bertha::ModelConfig&) { return {}; }
  Output operator()(const bertha::EncoderOutput& output, bertha::Workspace&) const {
    Output vectors;
    for (std::size_t s = 0; s < output.pooled.rows; ++s)
      vectors.emplace_back(output.pooled.row(s), output.pooled.row(s) + output.pooled.cols);
    return vectors;
  }
};

ModelWriter custom(std::size_t scorer_rows) {
  TinyOptions options;
  options.head = "custom";
  ModelWriter writer = ModelWriter::tiny(options);
  if (scorer_rows > 0) {
    writer.add_rows("scorer.weight", writer.random(scorer_rows * 36), scorer_rows);
    writer.add_vector("scorer.bias", writer.random(scorer_rows));
  }
  return writer;
}

std::vector<Encoding> encodings(const bertha::Tokenizer& tokenizer) {
  return {tokenizer.encode("the cat sat."), tokenizer.encode("a"), tokenizer.encode("abc the cats")};
}

TEST(CustomHead, ReadsHiddenStatesAndGivesAnyNumberOfRows) {
  ModelWriter writer = custom(3);
  for (const std::string part : {"pooler.dense.weight", "pooler.dense.bias"})
    std::erase_if(writer.tensors, [&](const auto& tensor) { return tensor.name == part; });
  writer.config["pooler"] = nullptr;
  const AlignedBytes bytes(writer.bytes());
  const auto model = bertha::Model<MeanScorer>::load(bytes.span());
  const auto texts = encodings(model.tokenizer());
  const Logits together = model.run(texts);
  EXPECT_EQ(together.rows, 3u);
  EXPECT_EQ(together.cols, 3u);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto row = together.row(i);
    EXPECT_EQ(model.run(std::span(&texts[i], 1)).values, std::vector<float>(row.begin(), row.end()));
  }
}

/// Encodings of 3 to 8 tokens, in no order of their lengths.
std::vector<Encoding> many(const bertha::Tokenizer& tokenizer) {
  std::vector<Encoding> all;
  for (const char* text : {"a", "the cat sat.", "", "abc the cats", "b c", "cat"})
    all.push_back(tokenizer.encode(text));
  return all;
}

TEST(CustomHead, GoesThroughPacksInTheOrderOfTheCaller) {
  const AlignedBytes bytes(custom(2).bytes());
  const auto scorer = bertha::Model<MeanScorer>::load(bytes.span());
  const auto texts = many(scorer.tokenizer());
  std::vector<float> expected;
  for (const Encoding& text : texts) {
    const Logits alone = scorer.run(std::span(&text, 1));
    expected.insert(expected.end(), alone.values.begin(), alone.values.end());
  }
  for (const std::size_t limit : {std::size_t{1}, std::size_t{9}, std::size_t{16'384}}) {
    const Logits together = scorer.run(texts, {.max_batch_tokens = limit});
    EXPECT_EQ(together.rows, texts.size());
    EXPECT_EQ(together.cols, 2u);
    EXPECT_EQ(together.values, expected);
    std::vector<float> each(expected.size());
    scorer.run_each(texts, {.max_batch_tokens = limit}, [&](std::size_t i, MatrixView<const float> logits) {
      ASSERT_EQ(logits.rows, 1u);
      std::copy(logits.data, logits.data + 2, each.begin() + static_cast<std::ptrdiff_t>(2 * i));
    });
    EXPECT_EQ(each, expected);
  }
  const AlignedBytes without(custom(0).bytes());
  const auto embedder = bertha::Model<Embedder>::load(without.span());
  EXPECT_EQ(embedder.run(texts, {.max_batch_tokens = 1}), embedder.run(texts));
}

/// Gives a row for each sequence, and says that it is for each token.
struct Liar : MeanScorer {
  static constexpr bertha::Gives gives = bertha::Gives::token_rows;
  static Liar load(bertha::WeightFile& file, const bertha::ModelConfig& config) {
    return {MeanScorer::load(file, config)};
  }
};

TEST(CustomHead, IsRefusedUnlessItGivesTheRowsThatItSays) {
  const AlignedBytes bytes(custom(2).bytes());
  const auto model = bertha::Model<Liar>::load(bytes.span());
  std::size_t visits = 0;
  expect_error(ErrorCode::unsupported, {"3 rows", "token", "gives"}, [&] {
    model.run_each(encodings(model.tokenizer()), {}, [&](std::size_t, MatrixView<const float>) { ++visits; });
  });
  EXPECT_EQ(visits, 0u);
  expect_error(ErrorCode::unsupported, {"3 rows"}, [&] { model.run(encodings(model.tokenizer())); });
}

/// A row of logits for each token that is chosen. Counts the rows that it was given, and the most of one call.
struct TokenScorer {
  using Output = Logits;
  static constexpr bertha::Reads reads = bertha::Reads::tokens;
  static constexpr bertha::Gives gives = bertha::Gives::chosen_rows;

  static TokenScorer load(bertha::WeightFile& file, const bertha::ModelConfig& config) {
    return {MeanScorer::load(file, config).scorer};
  }
  Output operator()(const bertha::EncoderOutput& output, bertha::Workspace& work) const {
    EXPECT_EQ(output.starts.back(), output.hidden.rows);
    seen += output.hidden.rows;
    most = std::max(most, output.hidden.rows);
    return scorer(output.hidden, work);
  }

  bertha::OutputLayer scorer;
  static inline std::size_t seen = 0, most = 0;
};

TEST(CustomHead, IsShownTheChosenTokensOnlyAndGivesThemInTheOrderOfTheCaller) {
  const AlignedBytes bytes(custom(3).bytes());
  const auto model = bertha::Model<TokenScorer>::load(bytes.span());
  const auto texts = many(model.tokenizer());
  const Logits all = model.run(texts);
  std::vector<std::size_t> starts = {0};
  for (const Encoding& text : texts) starts.push_back(starts.back() + text.size());
  ASSERT_EQ(all.rows, starts.back());
  const std::vector<std::vector<std::uint32_t>> chosen = {{2, 0}, {}, {1}, {3, 3, 1, 4}, {0}, {}};
  std::vector<float> expected;
  for (std::size_t i = 0; i < chosen.size(); ++i)
    for (const std::uint32_t position : chosen[i]) {
      const auto row = all.row(starts[i] + position);
      expected.insert(expected.end(), row.begin(), row.end());
    }
  for (const std::size_t limit : {std::size_t{1}, std::size_t{9}, std::size_t{16'384}}) {
    TokenScorer::seen = 0;
    const Logits some = model.run(texts, {.max_batch_tokens = limit}, chosen);
    EXPECT_EQ(TokenScorer::seen, 8u);
    EXPECT_EQ(some.rows, 8u);
    EXPECT_EQ(some.cols, 3u);
    EXPECT_EQ(some.values, expected);
    std::vector<std::vector<float>> each(texts.size());
    model.run_each(
        texts, {.max_batch_tokens = limit},
        [&](std::size_t i, MatrixView<const float> logits) {
          EXPECT_EQ(logits.rows, chosen[i].size());
          each[i].assign(logits.data, logits.data + logits.rows * logits.cols);
        },
        chosen);
    std::vector<float> joined;
    for (const auto& rows : each) joined.insert(joined.end(), rows.begin(), rows.end());
    EXPECT_EQ(joined, expected);
  }
}

TEST(CustomHead, IsGivenFewChosenTokensAtATime) {
  const AlignedBytes bytes(custom(3).bytes());
  const auto model = bertha::Model<TokenScorer>::load(bytes.span());
  std::vector<Encoding> texts(100, model.tokenizer().encode("the cat sat."));
  TokenScorer::seen = TokenScorer::most = 0;
  model.run(texts);
  EXPECT_EQ(TokenScorer::seen, 100 * texts[0].size());
  EXPECT_LE(TokenScorer::most, 64u);
  EXPECT_GT(TokenScorer::most, 64 - texts[0].size());
}

TEST(CustomHead, IsGivenManyChosenTokensOfATextInParts) {
  const AlignedBytes bytes(custom(3).bytes());
  const auto model = bertha::Model<TokenScorer>::load(bytes.span());
  const std::vector<Encoding> texts(5, model.tokenizer().encode("the cat sat."));
  const Logits all = model.run(texts);
  for (const std::size_t many : {63u, 64u, 65u, 128u, 129u, 300u}) {
    std::vector<std::vector<std::uint32_t>> chosen = {{1}, {}, {}, {0, 2}, {}};
    std::vector<float> expected(all.row(1).begin(), all.row(1).end());
    const auto expect = [&](std::size_t text, std::size_t position) {
      const auto row = all.row(text * texts[0].size() + position);
      expected.insert(expected.end(), row.begin(), row.end());
    };
    for (std::size_t i = 0; i < many; ++i) {
      chosen[2].push_back(static_cast<std::uint32_t>(i % texts[0].size()));
      expect(2, chosen[2].back());
    }
    expect(3, 0);
    expect(3, 2);
    for (const std::size_t limit : {std::size_t{1}, std::size_t{16'384}}) {
      TokenScorer::seen = TokenScorer::most = 0;
      EXPECT_EQ(model.run(texts, {.max_batch_tokens = limit}, chosen).values, expected) << many;
      EXPECT_EQ(TokenScorer::seen, many + 3);
      EXPECT_LE(TokenScorer::most, 64u);
      std::size_t visits = 0;
      model.run_each(
          texts, {.max_batch_tokens = limit},
          [&](std::size_t i, MatrixView<const float> logits) {
            ++visits;
            EXPECT_EQ(logits.rows, chosen[i].size());
          },
          chosen);
      EXPECT_EQ(visits, 5u);
    }
  }
}

TEST(CustomHead, IsGivenNoTokensThatATextLacks) {
  const AlignedBytes bytes(custom(3).bytes());
  const auto model = bertha::Model<TokenScorer>::load(bytes.span());
  const auto texts = many(model.tokenizer());
  std::vector<std::vector<std::uint32_t>> chosen(texts.size());
  chosen[4] = {1, static_cast<std::uint32_t>(texts[4].size())};
  try {
    model.run(texts, {}, chosen);
    ADD_FAILURE();
  } catch (const bertha::Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::input);
    EXPECT_EQ(error.item(), 4u);
  }
  chosen.pop_back();
  expect_error(ErrorCode::input, {"5 texts", "6"}, [&] { model.run(texts, {}, chosen); });
}

TEST(CustomHead, MayHaveAnOutputOfItsOwnType) {
  const AlignedBytes bytes(custom(0).bytes());
  const auto model = bertha::Model<Embedder>::load(bytes.span(), {.verify = true});
  const auto vectors = model.run(encodings(model.tokenizer()));
  ASSERT_EQ(vectors.size(), 3u);
  EXPECT_EQ(vectors[0].size(), 36u);
  EXPECT_NE(vectors[0], vectors[1]);
  for (const float value : vectors[2]) EXPECT_LE(std::fabs(value), 1.0f);  // tanh
}

TEST(CustomHead, LeavesNoTensorBehind) {
  const AlignedBytes bytes(custom(2).bytes());
  expect_error(ErrorCode::unused_tensor, {"'scorer.weight'", "'scorer.bias'"},
               [&] { bertha::Model<Embedder>::load(bytes.span()); });
}

/// A self-test of a custom head holds as many logits as it likes; they are compared like any other's.
TEST(CustomHead, IsVerifiedByItsRecordedLogits) {
  ModelWriter writer = custom(2);
  const AlignedBytes bytes(writer.bytes());
  const auto model = bertha::Model<MeanScorer>::load(bytes.span());
  const Encoding encoding = model.tokenizer().encode("the cat");
  std::vector<float> logits = model.run(std::span(&encoding, 1)).values;
  for (const float wrong : {0.0f, 0.01f}) {
    logits[1] += wrong;
    writer.selftest = bertha_test::Json::array({{{"text", "the cat"},
                                                 {"text_pair", nullptr},
                                                 {"ids", encoding.ids},
                                                 {"type_ids", encoding.type_ids},
                                                 {"offsets", {{0, 0}, {0, 3}, {4, 7}, {0, 0}}},
                                                 {"logits", {logits}},
                                                 {"logits_bytes", nullptr},
                                                 {"answer", nullptr}}});
    const AlignedBytes recorded(writer.bytes());
    const auto load = [&] { bertha::Model<MeanScorer>::load(recorded.span(), {.verify = true}); };
    if (wrong == 0)
      EXPECT_NO_THROW(load());
    else
      expect_error(ErrorCode::self_test, {"case 0", "logit 1"}, load);
  }
}

/// Hidden states of three sequences, 1, 4 and 3 tokens long; 36 numbers each, 40 apart.
struct Hidden {
  std::vector<float> values;
  std::vector<std::size_t> starts = {0, 1, 5, 8};

  Hidden() {
    std::mt19937 random(9);
    values = random_numbers(random, 8 * 40);
  }
  MatrixView<const float> rows() const { return {values.data(), 8, 36, 40}; }
  float at(std::size_t s, std::size_t token, std::size_t h) const { return values[(starts[s] + token) * 40 + h]; }
};

/// What `mode` makes of column h of sequence s from its token number `first` on, as config.hpp describes it.
float pooled(const Hidden& hidden, bertha::PoolingMode mode, std::size_t s, std::size_t h, std::size_t first) {
  const std::size_t n = hidden.starts[s + 1] - hidden.starts[s];
  float sum = 0, largest = hidden.at(s, first, h);
  std::size_t weights = 0;
  for (std::size_t t = first; t < n; ++t) {
    const float x = hidden.at(s, t, h);
    const volatile float product = x * static_cast<float>(t + 1);
    sum += mode == bertha::PoolingMode::weighted_mean ? product : x;
    largest = std::max(largest, x);
    weights += t + 1;
  }
  switch (mode) {
    case bertha::PoolingMode::first: return hidden.at(s, first, h);
    case bertha::PoolingMode::last: return hidden.at(s, n - 1, h);
    case bertha::PoolingMode::max: return largest;
    case bertha::PoolingMode::mean: return sum / static_cast<float>(n - first);
    case bertha::PoolingMode::mean_sqrt_len: return sum / std::sqrt(static_cast<float>(n - first));
    case bertha::PoolingMode::weighted_mean: return sum / static_cast<float>(weights);
  }
  return 0;
}

constexpr bertha::PoolingMode kModes[] = {bertha::PoolingMode::first,         bertha::PoolingMode::mean,
                                          bertha::PoolingMode::max,           bertha::PoolingMode::last,
                                          bertha::PoolingMode::mean_sqrt_len, bertha::PoolingMode::weighted_mean};

TEST(Pooler, HasTheBitsOfEachModeInTheWrittenOrder) {
  const Hidden hidden;
  const bertha::Pooler pooler({std::begin(kModes), std::end(kModes)}, 36);
  EXPECT_EQ(pooler.size(), 6u * 36);
  for (const std::size_t threads : {1u, 3u})
    for (const std::size_t skipped : {0u, 1u, 2u, 9u}) {
      bertha::Workspace work;
      work.prepare({.max_threads = threads});
      const auto found = pooler(hidden.rows(), hidden.starts, work, skipped);
      ASSERT_EQ(found.rows, 3u);
      ASSERT_EQ(found.cols, 6u * 36);
      for (std::size_t s = 0; s < 3; ++s) {
        const std::size_t first = std::min(skipped, hidden.starts[s + 1] - hidden.starts[s] - 1);  // one is left
        for (std::size_t m = 0; m < 6; ++m)
          for (std::size_t h = 0; h < 36; ++h)
            EXPECT_EQ(found(s, m * 36 + h), pooled(hidden, kModes[m], s, h, first)) << to_string(kModes[m]) << skipped;
      }
    }
}

TEST(Pooler, KeepsNan) {
  Hidden hidden;
  hidden.values[2 * 40 + 5] = std::numeric_limits<float>::quiet_NaN();
  bertha::Workspace work;
  work.prepare({});
  const bertha::Pooler pooler({bertha::PoolingMode::max, bertha::PoolingMode::mean}, 36);
  const auto found = pooler(hidden.rows(), hidden.starts, work);
  for (std::size_t h = 0; h < 72; ++h) EXPECT_EQ(std::isnan(found(1, h)), h % 36 == 5) << h;
}

/// Mean and first, then a linear layer without bias, a norm, and another linear layer.
bertha::PoolerConfig layered() {
  return {{bertha::PoolingMode::mean, bertha::PoolingMode::first},
          {{"pooler.0", {}, 20, bertha::Activation::relu, false},
           {"pooler.1", 1e-5f, 0, {}, true},
           {"pooler.2", {}, 5, bertha::Activation::none, true}}};
}

ModelWriter with_layers(std::vector<float>& wide, std::vector<float>& gamma, std::vector<float>& narrow) {
  ModelWriter writer = ModelWriter::tiny();
  wide = writer.random(20 * 72), gamma = writer.random(20), narrow = writer.random(5 * 20);
  writer.add_linear("pooler.0", wide, std::vector<float>(20), "float32");
  writer.tensors.pop_back();  // its bias
  writer.add_vector("pooler.1.weight", gamma);
  writer.add_vector("pooler.1.bias", std::vector<float>(20, 0.25f));
  writer.add_linear("pooler.2", narrow, std::vector<float>(5, -1.0f), "float32");
  return writer;
}

TEST(Pooler, PutsTheVectorThroughItsLayersInTheirOrder) {
  std::vector<float> wide, gamma, narrow;
  const AlignedBytes bytes(with_layers(wide, gamma, narrow).bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  EXPECT_EQ(layered().size(36), 5u);
  const bertha::Pooler pooler(file, layered(), 36);
  EXPECT_EQ(pooler.size(), 5u);
  const Hidden hidden;
  bertha::Workspace work;
  work.prepare({});
  const auto found = pooler(hidden.rows(), hidden.starts, work);
  ASSERT_EQ(found.rows, 3u);
  ASSERT_EQ(found.cols, 5u);
  for (std::size_t s = 0; s < 3; ++s) {
    std::vector<double> x(20);
    double mean = 0, variance = 0;
    for (std::size_t n = 0; n < 20; ++n) {
      for (std::size_t h = 0; h < 36; ++h) {
        x[n] += static_cast<double>(wide[n * 72 + h]) * pooled(hidden, bertha::PoolingMode::mean, s, h, 0);
        x[n] += static_cast<double>(wide[n * 72 + 36 + h]) * hidden.at(s, 0, h);
      }
      x[n] = std::max(0.0, x[n]);
      mean += x[n] / 20;
    }
    for (const double number : x) variance += (number - mean) * (number - mean) / 20;
    for (std::size_t l = 0; l < 5; ++l) {
      double expected = -1;
      for (std::size_t n = 0; n < 20; ++n)
        expected += narrow[l * 20 + n] * (gamma[n] * (x[n] - mean) / std::sqrt(variance + 1e-5) + 0.25);
      EXPECT_NEAR(found(s, l), expected, 1e-4);
    }
  }
}

TEST(Pooler, IsWhatTheFileSaysForAHeadThatReadsItsVectors) {
  ModelWriter writer = ModelWriter::tiny();
  for (const std::string part : {"pooler.dense.weight", "pooler.dense.bias", "head.output.weight"})
    std::erase_if(writer.tensors, [&](const auto& tensor) { return tensor.name == part; });
  writer.config["pooler"] = nullptr;
  writer.config["pooling"] = {{"modes", {"max", "mean"}}, {"layers", bertha_test::Json::array()}};
  writer.add_rows("head.output.weight", writer.random(2 * 72), 2);
  const AlignedBytes bytes(writer.bytes());
  const auto model = bertha::Model<bertha::SequenceClassification>::load(bytes.span());
  const auto texts = many(model.tokenizer());
  const Logits together = model.run(texts);
  ASSERT_EQ(together.rows, texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto row = together.row(i);
    EXPECT_EQ(model.run(std::span(&texts[i], 1)).values, std::vector<float>(row.begin(), row.end()));
  }
}

using EmbeddingModel = bertha::Model<bertha::SentenceEmbedding>;

/// The vectors that a choice gives of some texts, in one call.
Logits chosen(const EmbeddingModel& model, const std::vector<Encoding>& texts, const bertha::EmbeddingChoice& choice,
              const bertha::CallOptions& options = {}) {
  const auto head = model.head().with(choice);
  std::vector<std::vector<float>> rows(texts.size());
  Logits all;
  model.run_packs(head, texts, {}, options, [&](std::span<const std::size_t> pack, const Logits& logits) {
    std::size_t row = 0;
    for (const std::size_t i : pack)
      for (std::size_t n = rows_of(head.gives, texts[i], {}, i); n > 0; --n, ++row)
        rows[i].insert(rows[i].end(), logits.row(row).begin(), logits.row(row).end());
    all.rows += logits.rows;
    all.cols = logits.cols;
  });
  for (const auto& row : rows) all.values.insert(all.values.end(), row.begin(), row.end());
  return all;
}

double length_of(std::span<const float> row) {
  double sum = 0;
  for (const float number : row) sum += static_cast<double>(number) * number;
  return std::sqrt(sum);
}

TEST(SentenceEmbedding, GivesTheSameBitsAloneInAnyBatchInAnyOrderAndAtAnyNumberOfThreads) {
  for (const std::string precision : {"float32", "int8"}) {
    TinyOptions options;
    options.head = "embedding";
    options.pooler = "";
    options.precision = precision;
    const AlignedBytes bytes(ModelWriter::tiny(options).bytes());
    const auto model = EmbeddingModel::load(bytes.span());
    auto texts = many(model.tokenizer());
    while (texts.size() < 64) texts.push_back(texts[texts.size() * 7 % 6]);
    const Logits together = model.run(texts);
    EXPECT_EQ(together.cols, 20u);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      EXPECT_NEAR(length_of(together.row(i)), 1, 1e-6);
      const auto row = together.row(i);
      EXPECT_EQ(model.run(std::span(&texts[i], 1)).values, std::vector<float>(row.begin(), row.end()));
    }
    for (const std::size_t threads : {1u, 2u})
      for (const std::size_t limit : {std::size_t{20}, std::size_t{16'384}})
        EXPECT_EQ(chosen(model, texts, {.normalize = true}, {.max_threads = threads, .max_batch_tokens = limit}).values,
                  together.values);
  }
}

TEST(SentenceEmbedding, GivesWhatACallChooses) {
  TinyOptions options;
  options.kind = "encoder";
  options.pooler = "";
  const AlignedBytes bytes(ModelWriter::tiny(options).bytes());
  const auto model = EmbeddingModel::load(bytes.span(), {.verify = true});
  const auto texts = many(model.tokenizer());
  const Logits tokens = model.run(texts);
  EXPECT_EQ(tokens.cols, 36u);
  EXPECT_EQ(chosen(model, texts, {.tokens = true}).values, tokens.values);
  std::size_t row = 0;
  const Logits mean = chosen(model, texts, {.pooling = bertha::PoolingMode::mean});
  const Logits without = chosen(model, texts, {.pooling = bertha::PoolingMode::last, .skipped = 2});
  const Logits first = chosen(model, texts, {.pooling = bertha::PoolingMode::first});
  const Logits second = chosen(model, texts, {.pooling = bertha::PoolingMode::first, .skipped = 1});
  EXPECT_EQ(model.head().with({.pooling = bertha::PoolingMode::first}).reads, bertha::Reads::first_tokens);
  const Logits shorter =
      chosen(model, texts, {.pooling = bertha::PoolingMode::mean, .dimensions = 7, .normalize = true});
  ASSERT_EQ(shorter.cols, 7u);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const float length = static_cast<float>(length_of({mean.row(i).data(), 7}));
    for (std::size_t h = 0; h < 36; ++h) {
      float sum = 0;
      for (std::size_t t = 0; t < texts[i].size(); ++t) sum += tokens.row(row + t)[h];
      EXPECT_EQ(first.row(i)[h], tokens.row(row)[h]);
      EXPECT_EQ(second.row(i)[h], tokens.row(row + 1)[h]);
      EXPECT_EQ(mean.row(i)[h], sum / static_cast<float>(texts[i].size()));
      EXPECT_EQ(without.row(i)[h], tokens.row(row + texts[i].size() - 1)[h]);
      if (h < 7) {
        EXPECT_NEAR(shorter.row(i)[h], mean.row(i)[h] / length, 1e-6);
      }
    }
    row += texts[i].size();
  }
}

TEST(SentenceEmbedding, RefusesWhatTheFileCantGive) {
  TinyOptions options;
  options.kind = "encoder";
  options.pooler = "";
  const AlignedBytes plain(ModelWriter::tiny(options).bytes());
  options.kind = "model";
  options.head = "embedding";
  const AlignedBytes whole(ModelWriter::tiny(options).bytes());
  const auto encoder = EmbeddingModel::load(plain.span()), model = EmbeddingModel::load(whole.span());
  const auto refused = [&](const EmbeddingModel& of, std::initializer_list<std::string_view> words,
                           const bertha::EmbeddingChoice& choice) {
    expect_error(ErrorCode::input, words, [&] { of.head().with(choice); });
  };
  refused(encoder, {"pooling", "--pooling"}, {});
  refused(encoder, {"37 dimensions", "36"}, {.pooling = bertha::PoolingMode::max, .dimensions = 37});
  refused(encoder, {"37 dimensions", "36"}, {.tokens = true, .dimensions = 37});
  refused(encoder, {"'max'", "each token"}, {.tokens = true, .pooling = bertha::PoolingMode::max});
  refused(model, {"21 dimensions", "20"}, {.dimensions = 21});
  refused(model, {"'first'", "layers"}, {.pooling = bertha::PoolingMode::first});
  refused(encoder, {"pooling is 6", "none of"}, {.pooling = static_cast<bertha::PoolingMode>(6)});
  refused(encoder, {"pooling is 255", "none of"}, {.tokens = true, .pooling = static_cast<bertha::PoolingMode>(255)});
  const AlignedBytes classifier(ModelWriter::tiny().bytes());
  expect_error(ErrorCode::unsupported, {"'sequence-classification'", "'embedding'"},
               [&] { EmbeddingModel::load(classifier.span()); });
}

TEST(Similarity, IsTheOneOfItsName) {
  const std::vector<float> a = {3, 0, -4}, b = {0, 5, -12}, zero(3);
  EXPECT_FLOAT_EQ(bertha::similarity(bertha::Similarity::cosine, a, b), 48.0f / (5 * 13));
  EXPECT_EQ(bertha::similarity(bertha::Similarity::dot, a, b), 48);
  EXPECT_FLOAT_EQ(bertha::similarity(bertha::Similarity::euclidean, a, b), -std::sqrt(9.0f + 25 + 64));
  EXPECT_EQ(bertha::similarity(bertha::Similarity::manhattan, a, b), -16);
  EXPECT_EQ(bertha::similarity(bertha::Similarity::cosine, a, a), 1);
  EXPECT_EQ(bertha::similarity(bertha::Similarity::cosine, a, zero), 0);
  EXPECT_EQ(bertha::similarity(bertha::Similarity::euclidean, a, a), 0);
  expect_error(ErrorCode::input, {"vectors of 3 and 2 elements"},
               [&] { bertha::similarity(bertha::Similarity::dot, a, std::span(b).first(2)); });
  expect_error(ErrorCode::input, {"similarity is 4", "none of"},
               [&] { bertha::similarity(static_cast<bertha::Similarity>(4), a, b); });
}

#if __has_include(<Eigen/Core>)

TEST(EigenMatrices, SeeTheNumbersWhereTheyLie) {
  std::vector<float> numbers = {1, 2, 3, 0, 4, 5, 6, 0};  // rows of 3 that lie 4 apart
  bertha::MatrixMap map = bertha::as_matrix(bertha::MatrixView<float>{numbers.data(), 2, 3, 4});
  EXPECT_EQ(map.data(), numbers.data());
  EXPECT_EQ(map.rows(), 2);
  EXPECT_EQ(map.cols(), 3);
  EXPECT_EQ(map(1, 2), 6);
  map(1, 0) = 7;
  EXPECT_EQ(numbers[4], 7);
  const bertha::ConstMatrixMap read = bertha::as_matrix(bertha::MatrixView<const float>{numbers.data(), 2, 3, 4});
  EXPECT_EQ(read.sum(), 1 + 2 + 3 + 7 + 5 + 6);

  const bertha::Logits logits{2, 2, {1, 2, 3, 4}};
  EXPECT_EQ(bertha::as_matrix(logits)(1, 0), 3);
  const bertha::EmbeddingResult tokens{2, 3, {1, 2, 3, 4, 5, 6}, {}};
  EXPECT_EQ(bertha::as_matrix(tokens)(1, 1), 5);
  EXPECT_EQ(bertha::as_row(tokens).data(), tokens.values.data());
  EXPECT_EQ(bertha::as_row(tokens).size(), 6);
}

TEST(EigenMatrices, AreReadAndWrittenWhereTheyLie) {
  bertha::RowMatrix matrix(2, 3);
  matrix << 1, 2, 3, 4, 5, 6;
  const bertha::MatrixView<float> view = bertha::as_view(matrix);
  EXPECT_EQ(view.rows, 2u);
  EXPECT_EQ(view.cols, 3u);
  EXPECT_EQ(view(1, 0), 4);
  view(1, 0) = 9;
  EXPECT_EQ(matrix(1, 0), 9);
  EXPECT_EQ(bertha::as_view(std::as_const(matrix)).row(1)[0], 9);
}

TEST(EigenMatrices, AreMadeOfVectorsOfOneSize) {
  std::vector<bertha::EmbeddingResult> vectors(3);
  EXPECT_EQ(bertha::to_matrix({}).rows(), 0);
  for (std::size_t i = 0; i < vectors.size(); ++i)
    vectors[i] = {1, 2, {static_cast<float>(i), static_cast<float>(i) + 0.5f}, {}};
  const bertha::RowMatrix matrix = bertha::to_matrix(vectors);
  EXPECT_EQ(matrix.rows(), 3);
  EXPECT_EQ(matrix.cols(), 2);
  EXPECT_EQ(matrix(2, 1), 2.5f);
  vectors[1].values.push_back(0);
  expect_error(ErrorCode::input, {"vector 1 has 3 elements, the first 2"}, [&] { bertha::to_matrix(vectors); });
}

#endif

}  // namespace
