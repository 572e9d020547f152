// Heads: the output layer against a plain loop, and heads of one's own through Model.

#include <bertha/bertha.hpp>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

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

}  // namespace
