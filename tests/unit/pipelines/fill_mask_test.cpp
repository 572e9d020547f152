// FillMask and its head: the word table as a decoder against a plain loop, which tokens are looked at, and bad input.

#include <bertha/pipelines/fill_mask.hpp>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

namespace {

using bertha::ErrorCode;
using bertha::FillMask;
using bertha::Logits;
using bertha_test::AlignedBytes;
using bertha_test::expect_error;
using bertha_test::ModelWriter;
using Strings = std::vector<std::string>;

struct Loaded {
  explicit Loaded(const ModelWriter& writer, const bertha::LoadOptions& options = {})
      : bytes(writer.bytes()), fill(FillMask::load(bytes.span(), options)) {}
  AlignedBytes bytes;
  FillMask fill;
};

ModelWriter masked(const std::string& precision = "float32") {
  return ModelWriter::tiny({.precision = precision, .head = "masked-lm", .embedding_size = 20});
}

std::vector<std::uint32_t> tokens_of(const std::vector<bertha::MaskFilling>& fillings) {
  std::vector<std::uint32_t> tokens;
  for (const auto& filling : fillings) tokens.push_back(filling.token);
  return tokens;
}

/// A number of a table, as float32.
float number(const bertha::EmbeddingTable& table, std::size_t row, std::size_t size, std::size_t column) {
  using bertha::kernels::round_up;
  if (table.dtype() == bertha::DType::i8)
    return static_cast<float>(table.quantised()[row * round_up(size, 64) + column]) * table.scale()[row];
  if (table.dtype() == bertha::DType::bf16) return bertha::widened(table.rounded()[row * round_up(size, 32) + column]);
  return table.values()[row * round_up(size, 16) + column];
}

TEST(TableProduct, HasTheBitsOfALinearLayerInFloat32) {
  std::mt19937 random(7);
  for (const std::string precision : {"float32", "bfloat16", "int8"})
    for (const auto& [count, size] :
         std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}, {17, 36}, {300, 20}, {129, 64}, {130, 1024}}) {
      ModelWriter writer = ModelWriter::tiny({.precision = precision});
      writer.add_table("decoder", writer.random(count * size), count, precision);
      writer.add_vector("decoder.bias", writer.random(count));
      const AlignedBytes bytes(writer.bytes());
      auto file = bertha::WeightFile::from_bytes(bytes.span());
      const bertha::PrecisionKind kind = file.config().precision;
      const bertha::EmbeddingTable table(file, "decoder", count, size, kind);
      const auto bias = bertha::take_bias(file, "decoder", count, true);
      const bertha::TableProduct product(table, count, size, bias);
      for (const std::size_t rows : {0u, 1u, 16u, 35u}) {
        std::vector<float> x(rows * size);
        for (float& value : x) value = static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f;
        for (const std::size_t threads : {1u, 2u}) {
          bertha::Workspace work;
          work.prepare({.max_threads = threads});
          const Logits logits = product({x.data(), rows, size, size}, work.team());
          ASSERT_EQ(logits.rows, rows);
          ASSERT_EQ(logits.cols, count);
          ASSERT_EQ(logits.values.size(), rows * count);
          for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t v = 0; v < count; ++v) {
              float sum = 0;
              for (std::size_t k = 0; k < size;) {
                float part = 0;
                for (const std::size_t end = std::min(size, k + bertha::kernels::kPartF32); k < end; ++k)
                  part = std::fma(number(table, v, size, k), x[r * size + k], part);
                sum = k <= bertha::kernels::kPartF32 ? part : sum + part;
              }
              ASSERT_EQ(logits.row(r)[v], sum + bias.data()[v]) << precision << ' ' << count << ' ' << size;
            }
        }
      }
    }
}

TEST(MaskedLm, GivesRowsForTheChosenTokensOnlyAndBorrowsTheWordTable) {
  for (const std::string precision : {"float32", "bfloat16", "int8"}) {
    const Loaded model(masked(precision));  // Model::load refuses tensors that nobody takes, or that two take
    const auto& run = model.fill.model();
    const std::vector encodings = {run.tokenizer().encode("the cat sat."), run.tokenizer().encode("a b")};
    const std::vector<std::vector<std::uint32_t>> chosen = {{1, 3}, {0}};
    const Logits some = run.run(encodings, {}, chosen), all = run.run(encodings);
    ASSERT_EQ(some.rows, 3u);
    ASSERT_EQ(some.cols, 17u);
    ASSERT_EQ(all.rows, encodings[0].size() + encodings[1].size());
    const std::size_t of_all[] = {1, 3, encodings[0].size()};
    for (std::size_t r = 0; r < 3; ++r)
      for (std::size_t v = 0; v < 17; ++v) EXPECT_EQ(some.row(r)[v], all.row(of_all[r])[v]);
  }
}

TEST(MaskedLm, TakesATableOfItsOwnWhereTheFileSaysSo) {
  ModelWriter writer = masked();
  writer.config["masked_lm"]["tied"] = false;
  const auto load = [&] { Loaded model(writer); };
  expect_error(ErrorCode::missing_tensor, {"'head.output.weight'"}, load);
  writer.add_rows("head.output.weight", writer.random(17 * 20), 17);
  load();
  writer.config["masked_lm"]["tied"] = true;
  expect_error(ErrorCode::unused_tensor, {"'head.output.weight'"}, load);
}

/// What a file of finer numbers becomes when it runs in a coarser precision is what a file of these has.
TEST(MaskedLm, RunsInAnotherPrecisionAsTheEncoderDoes) {
  const auto first = [](const Loaded& model) { return model.fill.run("the [MASK]")[0][0].score; };
  const Loaded exact(masked()), coarse(masked(), {.precision = bertha::PrecisionKind::int8}), stored(masked("int8")),
      widened(masked("int8"), {.precision = bertha::PrecisionKind::float32});
  EXPECT_NE(first(exact), first(coarse));
  EXPECT_EQ(first(coarse), first(stored));
  EXPECT_NEAR(first(widened), first(exact), 0.05);
}

TEST(FillMask, HasTheBestTokensOfTheWholeVocabularyOrOfTargets) {
  const Loaded model(masked());
  const auto all = model.fill.run("the [MASK] sat", {.top_k = 17});
  ASSERT_EQ(all.size(), 1u);
  ASSERT_EQ(all[0].size(), 17u);
  double sum = 0;
  for (std::size_t i = 0; i < 17; ++i) {
    sum += static_cast<double>(all[0][i].score);
    EXPECT_LE(all[0][i].score, all[0][i == 0 ? 0 : i - 1].score);
  }
  EXPECT_NEAR(sum, 1, 1e-6);
  EXPECT_EQ(model.fill.run("the [MASK] sat")[0].size(), 5u);
  EXPECT_EQ(model.fill("the [MASK] sat").token, all[0][0].token);
  EXPECT_EQ(all.info.n_tokens, 5u);

  const auto some = model.fill.run("the [MASK] sat", {.targets = Strings{"cat", "sat", "cat", "b"}});
  ASSERT_EQ(some[0].size(), 3u) << "as many as there are different targets";
  for (const auto& filling : some[0])
    for (const auto& other : all[0]) {
      if (other.token != filling.token) continue;
      EXPECT_EQ(other.score, filling.score) << "shares of all tokens";
    }
  EXPECT_EQ(model.fill.run("the [MASK] sat", {.top_k = 2, .targets = Strings{"cat", "sat", "b"}})[0].size(), 2u);
}

TEST(FillMask, FillsHundredsOfMasksAsItFillsOne) {
  ModelWriter writer = ModelWriter::tiny({.head = "masked-lm", .max_position_embeddings = 400});
  const Loaded model(writer);
  std::string text;
  for (int i = 0; i < 300; ++i) text += i % 2 == 0 ? "[MASK] " : "cat [MASK] ";
  const auto found = model.fill.run(text, {.top_k = 17, .truncation = true}, {.max_threads = 2});
  const auto& run = model.fill.model();
  const std::vector encodings = {
      run.tokenizer().encode(text, {.truncation = bertha::Truncation::longest_first, .max_length = run.max_length()})};
  const Logits logits = run.run(encodings);
  std::size_t mask = 0;
  for (std::size_t i = 0; i < encodings[0].size(); ++i) {
    if (encodings[0].ids[i] != 4) continue;
    std::vector<float> scores(logits.row(i).begin(), logits.row(i).end());
    bertha::kernels::table().softmax(scores.data(), scores.size());
    ASSERT_LT(mask, found.size());
    for (const auto& filling : found[mask]) EXPECT_EQ(filling.score, scores[filling.token]);
    ++mask;
  }
  EXPECT_EQ(found.size(), mask);
  EXPECT_GT(mask, 2 * 64u);
}

TEST(FillMask, TakesTheFirstTokenOfATargetThatIsNone) {
  const Loaded model(masked());
  const auto& tokenizer = model.fill.model().tokenizer();
  const Strings targets = {"cat", "cats", "CAT", "q", "  "};
  const auto found = bertha::target_tokens(tokenizer, targets);
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(found[0].id, 13u);
  EXPECT_TRUE(found[0].is_whole);
  EXPECT_EQ(found[1].id, 13u);
  EXPECT_FALSE(found[1].is_whole);
  EXPECT_EQ(found[2].id, 13u);
  EXPECT_EQ(found[3].id, 1u) << "the unknown token";
  EXPECT_EQ(found[4].id, std::nullopt);
  EXPECT_EQ(tokens_of(model.fill.run("[MASK]", {.targets = Strings{"cats", "  ", "CAT"}})[0]),
            (std::vector<std::uint32_t>{13}));
}

TEST(FillMask, DecodesTheTextWithTheToken) {
  const Loaded model(masked());
  const auto only = [&](const std::string& text, const std::string& target) {
    return model.fill.run(text, {.targets = Strings{target}});
  };
  const auto one = only("The [MASK][PAD] sat.", "cat");
  EXPECT_EQ(one[0][0].token_str, "cat");
  EXPECT_EQ(one[0][0].sequence, "the cat sat.") << "without special tokens and padding";
  const auto two = only("The [MASK] [MASK]", "##s");
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0][0].token_str, "##s");
  EXPECT_EQ(two[0][0].sequence, "[CLS] thes [MASK] [SEP]");
  EXPECT_EQ(two[1][0].sequence, "[CLS] the [MASK]s [SEP]");
  EXPECT_EQ(only("a [MASK] b", "[PAD]")[0][0].sequence, "a b") << "a padding token goes, whoever put it there";
  EXPECT_EQ(model.fill.mask_token(), "[MASK]");
}

TEST(FillMask, CleansSpacesWhereTheFileSaysSo) {
  ModelWriter writer = masked();
  writer.tokenizer["decoder_cleanup"] = false;
  const bertha::FillMaskOptions options = {.targets = Strings{"."}};
  EXPECT_EQ(Loaded(writer).fill.run("a [MASK]", options)[0][0].sequence, "a .");
  writer.tokenizer["clean_up_tokenization_spaces"] = true;
  EXPECT_EQ(Loaded(writer).fill.run("a [MASK]", options)[0][0].sequence, "a.");
}

TEST(FillMask, CutsTextsOnlyWhereItMay) {
  const Loaded model(masked());
  std::string text = "[MASK]";
  for (int i = 0; i < 40; ++i) text += " cat";
  expect_error(ErrorCode::input, {"43 tokens", "allow truncation"}, [&] { model.fill(text); });
  const auto cut = model.fill.run(text, {.truncation = true, .max_length = 6});
  EXPECT_TRUE(cut.info.truncated);
  EXPECT_EQ(cut.info.n_tokens, 6u);
  expect_error(ErrorCode::input, {"no mask", "not cut"},
               [&] { model.fill.run("a b c [MASK]", {.truncation = true, .max_length = 4}); });
  expect_error(ErrorCode::input, {"max_length"}, [&] { model.fill.run(text, {.max_length = 6}); });
}

TEST(FillMask, SaysWhatIsWrongAndGoesOnWithTheOthers) {
  const Loaded model(masked());
  const auto refused = [&](const bertha::FillMaskOptions& options, std::initializer_list<std::string_view> says) {
    expect_error(ErrorCode::input, says, [&] { model.fill.run("[MASK]", options); });
  };
  refused({.top_k = 0}, {"top_k is 0", "1 to 17"});
  refused({.top_k = 18}, {"top_k is 18", "1 to 17"});
  refused({.targets = Strings{}}, {"no targets"});
  refused({.targets = Strings{" ", ""}}, {"none of the targets"});
  refused({.targets = Strings{"\xff"}}, {"target", "UTF-8"});
  EXPECT_EQ(model.fill.run("[MASK]", {.top_k = 18, .targets = Strings{"a"}})[0].size(), 1u);
  const Strings texts = {"a [MASK]", "no mask", "\xff", "[MASK] b"};
  Strings errors;
  const auto visit = [&](std::size_t i, const bertha::Outcome<bertha::FillMaskResult>& outcome) {
    EXPECT_EQ(outcome.has_value(), i % 3 == 0);
    if (!outcome) errors.push_back(outcome.error().what());
  };
  EXPECT_EQ(model.fill.run_stream(texts, visit), 4u);
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_NE(errors[0].find("the text has no mask; expected \"[MASK]\""), std::string::npos) << errors[0];
  const AlignedBytes classifier(ModelWriter::tiny().bytes());
  expect_error(ErrorCode::unsupported, {"sequence-classification", "masked-lm"},
               [&] { FillMask::load(classifier.span()); });
  ModelWriter added = masked();
  added.tokenizer["added_tokens"].push_back({{"id", 17},
                                             {"content", "new"},
                                             {"single_word", false},
                                             {"lstrip", false},
                                             {"rstrip", false},
                                             {"normalized", false},
                                             {"special", false}});
  const Loaded larger(added);
  expect_error(ErrorCode::input, {"\"new\"", "17", "below 17"},
               [&] { larger.fill.run("[MASK]", {.targets = Strings{"new"}}); });
}

}  // namespace
