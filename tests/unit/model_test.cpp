// Model: the files that it refuses, precisions, verify, and calls from threads, executors and small batches.

#include <bertha/bertha.hpp>
#include <cfenv>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "../support/expect_error.hpp"
#include "../support/model_writer.hpp"

namespace {

using bertha::Encoding;
using bertha::ErrorCode;
using bertha::LoadOptions;
using bertha::Logits;
using bertha::PrecisionKind;
using bertha_test::AlignedBytes;
using bertha_test::expect_error;
using bertha_test::Json;
using bertha_test::ModelWriter;
using bertha_test::TempFile;
using bertha_test::TensorData;
using bertha_test::TinyOptions;
using Classifier = bertha::Model<bertha::SequenceClassification>;
using Tagger = bertha::Model<bertha::TokenClassification>;
using Asker = bertha::Model<bertha::QuestionAnswering>;

constexpr const char* kHeads[] = {"sequence-classification", "token-classification", "question-answering"};

ModelWriter tiny(const std::string& head, const std::string& precision = "float32") {
  TinyOptions options;
  options.head = head;
  options.precision = precision;
  if (head == "question-answering") options.labels = {"start", "end"};
  if (head != "sequence-classification") options.pooler = "";
  return ModelWriter::tiny(options);
}
ModelWriter tiny() { return tiny(kHeads[0]); }

void load(const std::string& head, const ModelWriter& writer, const LoadOptions& options = {}) {
  const AlignedBytes bytes(writer.bytes());
  if (head == kHeads[0]) Classifier::load(bytes.span(), options);
  if (head == kHeads[1]) Tagger::load(bytes.span(), options);
  if (head == kHeads[2]) Asker::load(bytes.span(), options);
}

/// f(head, a file's parts, index of a tensor) for every tensor, head and precision.
template <class F>
void for_every_tensor(const F& f) {
  for (const std::string head : kHeads)
    for (const char* precision : {"float32", "bfloat16", "int8"}) {
      const ModelWriter good = tiny(head, precision);
      ASSERT_NO_THROW(load(head, good)) << head << ' ' << precision;
      for (std::size_t i = 0; i < good.tensors.size(); ++i) {
        ModelWriter writer = good;
        f(head, writer, i);
      }
    }
}

std::vector<Encoding> encodings(const bertha::Tokenizer& tokenizer) {
  std::vector<Encoding> result;
  for (const char* text : {"the cat sat.", "", "a b c", "abc bca the cats sat a b c.", "unknown", "the", "cat cat cat"})
    result.push_back(tokenizer.encode(text));
  return result;
}

template <class Model>
std::string bits(const Model& model, const bertha::CallOptions& call = {}) {
  const auto inputs = encodings(model.tokenizer());
  return bertha::detail::to_hex(model.run(inputs, call).values);
}

template <class Model = Classifier>
std::string bits(const ModelWriter& writer, const LoadOptions& options = {}) {
  const AlignedBytes bytes(writer.bytes());
  return bits(Model::load(bytes.span(), options));
}

TEST(ModelFiles, WithoutATensorAreRefusedByItsName) {
  for_every_tensor([](const std::string& head, ModelWriter& writer, std::size_t i) {
    const std::string name = "'" + writer.tensors[i].name + "'";
    writer.tensors.erase(writer.tensors.begin() + static_cast<std::ptrdiff_t>(i));
    expect_error(
        ErrorCode::missing_tensor, {name}, [&] { load(head, writer); }, head + name);
  });
}

TEST(ModelFiles, WithARenamedTensorAreRefusedByItsName) {
  for_every_tensor([](const std::string& head, ModelWriter& writer, std::size_t i) {
    const std::string name = "'" + writer.tensors[i].name + "'";
    writer.tensors[i].name += "x";
    expect_error(
        ErrorCode::missing_tensor, {name}, [&] { load(head, writer); }, head + name);
  });
}

TEST(ModelFiles, WithATransposedTensorAreRefusedByItsName) {
  std::size_t transposed = 0;
  for_every_tensor([&](const std::string& head, ModelWriter& writer, std::size_t i) {
    TensorData& tensor = writer.tensors[i];
    const std::vector<std::size_t> reversed(tensor.shape.rbegin(), tensor.shape.rend());
    if (reversed == tensor.shape) return;
    tensor.shape = reversed;
    ++transposed;
    expect_error(
        ErrorCode::shape, {"'" + tensor.name + "'"}, [&] { load(head, writer); }, head + tensor.name);
  });
  EXPECT_GE(transposed, 9u * 7u);
}

TEST(ModelFiles, WithATensorOfAnotherTypeAreRefusedByItsName) {
  const auto other = [](const std::string& dtype) -> std::vector<std::string> {
    if (dtype == "F32") return {"I32", "U32"};
    if (dtype == "I32" || dtype == "U32") return {"F32"};
    return {dtype == "I8" ? "U8" : "I8"};
  };
  for_every_tensor([&](const std::string& head, ModelWriter& writer, std::size_t i) {
    for (const std::string& dtype : other(writer.tensors[i].dtype)) {
      ModelWriter wrong = writer;
      wrong.tensors[i].dtype = dtype;
      if (writer.tensors[i].dtype == "BF16") wrong.tensors[i].shape.back() *= 2;  // no other type has two bytes
      expect_error(
          ErrorCode::shape, {"'" + writer.tensors[i].name + "'", dtype}, [&] { load(head, wrong); },
          head + writer.tensors[i].name);
    }
  });
}

TEST(ModelFiles, WithATensorOfAnotherShapeAreRefusedByItsName) {
  for_every_tensor([](const std::string& head, ModelWriter& writer, std::size_t i) {
    const std::string name = "'" + writer.tensors[i].name + "'";
    ModelWriter deeper = writer;
    deeper.tensors[i].shape.push_back(1);
    expect_error(
        ErrorCode::shape, {name}, [&] { load(head, deeper); }, head + name + " with another dimension");
    TensorData& tensor = writer.tensors[i];
    const std::size_t row = tensor.bytes.size() / tensor.shape[0];
    tensor.shape[0] += 64;
    tensor.bytes.resize(tensor.bytes.size() + 64 * row);
    expect_error(
        ErrorCode::shape, {name}, [&] { load(head, writer); }, head + name + " with more rows");
  });
}

TEST(ModelFiles, WithATensorThatNothingUsesAreRefused) {
  for (const std::string head : kHeads) {
    ModelWriter writer = tiny(head);
    writer.add_rows("scorer.weight", writer.random(36), 1);
    expect_error(ErrorCode::unused_tensor, {"'scorer.weight'"}, [&] { load(head, writer); });
  }
}

TEST(ModelFiles, OfAnotherHeadAreRefusedByBothNames) {
  for (const std::string has : kHeads)
    for (const std::string wanted : kHeads)
      if (has != wanted)
        expect_error(ErrorCode::unsupported, {"'" + has + "'", "'" + wanted + "'"}, [&] { load(wanted, tiny(has)); });
}

TEST(ModelFiles, WhoseVocabularyOrWordTableIsShorterThanTheySayAreRefused) {
  ModelWriter writer = tiny();
  writer.tokenizer["vocab_size"] = 18;
  expect_error(ErrorCode::shape, {"'tokenizer.vocab.text'"}, [&] { load(kHeads[0], writer); });
  writer = tiny();
  writer.config["vocab_size"] = 18;
  expect_error(ErrorCode::shape, {"'embeddings.word.weight'", "[18, 48]", "[17, 48]"},
               [&] { load(kHeads[0], writer); });
  writer = tiny();
  writer.config["vocab_size"] = 40;
  writer.tokenizer["vocab_size"] = 40;
  expect_error(ErrorCode::shape, {}, [&] { load(kHeads[0], writer); });
}

TEST(ModelFiles, OfATokenizerAloneAreNoModels) {
  TinyOptions options;
  options.kind = "tokenizer";
  expect_error(ErrorCode::unsupported, {"tokenizer only"}, [&] { load(kHeads[0], ModelWriter::tiny(options)); });
}

TEST(ModelFiles, AreReadFromAlignedBytesAndCopiedFromAnyOthers) {
  const std::string file = tiny().bytes();
  const AlignedBytes shifted(" " + file);
  const auto misaligned = shifted.span().subspan(1);
  expect_error(ErrorCode::input, {"64", "'copy'"}, [&] { Classifier::load(misaligned); });
  const AlignedBytes aligned(file);
  const std::string expected = bits(Classifier::load(aligned.span()));
  EXPECT_EQ(expected, bits(Classifier::load(misaligned, {.copy = true})));

  auto gone = std::make_unique<AlignedBytes>(file);
  const auto model = Classifier::load(gone->span(), {.copy = true});
  gone.reset();
  EXPECT_EQ(expected, bits(model));
}

TEST(Model, RefusesATextWithATokenThatHasNoRowInTheWordTable) {
  TinyOptions options;
  options.vocabulary.push_back("rare");
  ModelWriter writer = ModelWriter::tiny(options);
  auto& table = writer.tensor("embeddings.word.weight");
  table.bytes.resize(table.bytes.size() / 18 * 17);
  table.shape[0] = 17;
  writer.config["vocab_size"] = 17;
  const AlignedBytes bytes(writer.bytes());
  const auto model = Classifier::load(bytes.span());
  const std::vector<Encoding> encodings = {model.tokenizer().encode("the cat"), model.tokenizer().encode("a rare cat")};
  EXPECT_NO_THROW(model.run(std::span(encodings).first(1)));
  for (const bool each : {false, true}) {
    expect_error(ErrorCode::input, {"\"rare\"", "id 17", "17;"}, [&] {
      each ? model.run_each(encodings, {}, [](std::size_t, bertha::MatrixView<const float>) {})
           : void(model.run(encodings));
    });
  }
}

TEST(Model, OutlivesTheFileAndTheModelThatItIsACopyOf) {
  const std::string expected = bits(tiny());
  std::optional<Classifier> copy;
  {
    const TempFile file(tiny().bytes());
    const Classifier model = Classifier::load(file.path());
    copy = model;
    EXPECT_EQ(&copy->encoder(), &model.encoder());
  }
  EXPECT_EQ(bits(*copy), expected);
}

TEST(Model, RunsAFloat32FileInInt8WithTheBitsOfAnInt8File) {
  EXPECT_EQ(bits(tiny(), {.precision = PrecisionKind::int8}), bits(tiny(kHeads[0], "int8")));
  EXPECT_NE(bits(tiny()), bits(tiny(kHeads[0], "int8")));
}

/// The sizes are odd, so that a pair of k is half a weight and half filling, and there is a projection.
TEST(Model, RunsAFloat32FileInBFloat16WithTheBitsOfABFloat16File) {
  for (const std::size_t hidden_size : {36u, 27u, 33u}) {
    TinyOptions options;
    options.hidden_size = hidden_size;
    options.embedding_size = 21;
    options.intermediate_size = 41;
    const ModelWriter float32 = ModelWriter::tiny(options);
    options.precision = "bfloat16";
    const ModelWriter bfloat16 = ModelWriter::tiny(options);
    EXPECT_EQ(bits(float32, {.precision = PrecisionKind::bfloat16}), bits(bfloat16));
    EXPECT_NE(bits(float32), bits(bfloat16));
  }
}

/// Calls f(from, to, row) for every number of a table or a linear layer: where it is in a file whose elements are
/// Element, and where in one of float32.
template <class Element, class F>
void for_every_number(const TensorData& float32, const F& f) {
  const bool table = float32.shape.size() == 2;
  const std::size_t rows = table ? float32.shape[0] : float32.shape[0] * bertha::kernels::kLanes;
  const TinyOptions sizes;
  const std::size_t inputs = table ? sizes.hidden_size : float32.shape[1];
  const bertha::kernels::PanelLayout<Element> from(rows, inputs);
  const bertha::kernels::PanelLayout<float> to(rows, inputs);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t i = 0; i < inputs; ++i) {
      if (table)
        f(row * from.depth() + i, row * bertha::kernels::padded(inputs) + i, row);
      else
        f(from.at(row, i), to.at(row, i), row);
    }
}

/// Every bfloat16 number as the float32 number that it is, in a float32 file.
TEST(Model, RunsABFloat16FileInOtherPrecisionsWithTheBitsOfItsWidenedWeights) {
  const ModelWriter bfloat16 = tiny(kHeads[0], "bfloat16");
  ModelWriter widened = tiny();
  for (TensorData& tensor : widened.tensors) {
    const auto source = std::find_if(bfloat16.tensors.begin(), bfloat16.tensors.end(),
                                     [&](const TensorData& other) { return other.name == tensor.name; });
    if (source->dtype != "BF16") continue;
    for_every_number<bertha::bf16>(tensor, [&](std::size_t from, std::size_t to, std::size_t) {
      std::memset(tensor.bytes.data() + to * 4, 0, 2);
      std::memcpy(tensor.bytes.data() + to * 4 + 2, source->bytes.data() + from * 2, 2);
    });
  }
  EXPECT_NE(bits(widened), bits(tiny()));
  for (const auto precision : {PrecisionKind::float32, PrecisionKind::float32_strict, PrecisionKind::int8})
    EXPECT_EQ(bits(bfloat16, {.precision = precision}), bits(widened, {.precision = precision}));
}

/// Every number of an int8 tensor times its scale, in a float32 file.
TEST(Model, RunsAnInt8FileInFloat32WithTheBitsOfItsDequantisedWeights) {
  const ModelWriter int8 = tiny(kHeads[0], "int8");
  ModelWriter dequantised = tiny();
  for (TensorData& tensor : dequantised.tensors) {
    const auto source = std::find_if(int8.tensors.begin(), int8.tensors.end(),
                                     [&](const TensorData& other) { return other.name == tensor.name; });
    if (source->dtype != "I8") continue;
    const std::string prefix = tensor.name.substr(0, tensor.name.rfind('.'));
    ModelWriter scales = int8;
    const std::string& scale_bytes = scales.tensor(prefix + ".scale").bytes;
    for_every_number<std::int8_t>(tensor, [&](std::size_t from, std::size_t to, std::size_t row) {
      float scale;
      std::memcpy(&scale, scale_bytes.data() + row * 4, 4);
      const float value = static_cast<float>(static_cast<signed char>(source->bytes[from])) * scale;
      std::memcpy(tensor.bytes.data() + to * 4, &value, 4);
    });
  }
  EXPECT_EQ(bits(int8, {.precision = PrecisionKind::float32}), bits(dequantised));
  EXPECT_EQ(bits(int8, {.precision = PrecisionKind::float32_strict}), bits(dequantised));
}

// What a process uses is chosen once, so this is done in a child, and first of all tests.
TEST(ModelDeathTest, IsNotLoadedWithKernelsThatComputeSomethingElse) {
  EXPECT_EXIT(
      {
        static bertha::kernels::Table wrong = bertha::kernels::preferred_table();
        wrong.softmax.run = wrong.sigmoid.run;
        const bool chosen = &bertha::kernels::table(&wrong) == &wrong;
        int refused = 0;
        for (const std::string head : kHeads)
          for (const char* precision : {"float32", "bfloat16", "int8"}) try {
              load(head, tiny(head, precision));
            } catch (const bertha::Error& error) {
              refused += error.code() == ErrorCode::self_test;
            }
        std::exit(chosen && refused == 9 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Model, HasTheSameBitsWhenItsPrecisionIsFixedAtCompileTime) {
  using Float32Model = bertha::Model<bertha::SequenceClassification, bertha::Encoder<bertha::Float32>>;
  using BFloat16Model = bertha::Model<bertha::SequenceClassification, bertha::Encoder<bertha::BFloat16>>;
  using Int8Model = bertha::Model<bertha::SequenceClassification, bertha::Encoder<bertha::Int8>>;
  for (const char* precision : {"float32", "bfloat16", "int8"}) {
    const ModelWriter writer = tiny(kHeads[0], precision);
    EXPECT_EQ(bits<Float32Model>(writer), bits(writer, {.precision = PrecisionKind::float32}));
    EXPECT_EQ(bits<BFloat16Model>(writer), bits(writer, {.precision = PrecisionKind::bfloat16}));
    EXPECT_EQ(bits<Int8Model>(writer), bits(writer, {.precision = PrecisionKind::int8}));
  }
}

TEST(Model, RefusesAnotherPrecisionThanTheOneFixedAtCompileTime) {
  using Int8Model = bertha::Model<bertha::SequenceClassification, bertha::Encoder<bertha::Int8>>;
  const AlignedBytes bytes(tiny().bytes());
  expect_error(ErrorCode::unsupported, {"float32", "int8"},
               [&] { Int8Model::load(bytes.span(), {.precision = PrecisionKind::float32}); });
  EXPECT_EQ(Int8Model::load(bytes.span()).config().precision, PrecisionKind::int8);
  // The strict form of float32 is what that encoder computes anyhow.
  using Float32Model = bertha::Model<bertha::SequenceClassification, bertha::Encoder<bertha::Float32>>;
  const auto strict = Float32Model::load(bytes.span(), {.precision = PrecisionKind::float32_strict});
  EXPECT_EQ(strict.config().precision, PrecisionKind::float32_strict);
  expect_error(ErrorCode::unsupported, {"float32_strict", "int8"},
               [&] { Int8Model::load(bytes.span(), {.precision = PrecisionKind::float32_strict}); });
}

TEST(Model, ConvertsWeightsWithoutTheRoundingModeOfTheCaller) {
  for (const auto& [stored, run] :
       {std::pair{"float32", PrecisionKind::int8}, std::pair{"float32", PrecisionKind::bfloat16},
        std::pair{"bfloat16", PrecisionKind::int8}, std::pair{"int8", PrecisionKind::float32},
        std::pair{"int8", PrecisionKind::bfloat16}}) {
    const AlignedBytes bytes(tiny(kHeads[0], stored).bytes());
    const std::string expected = bits(Classifier::load(bytes.span(), {.precision = run}));
    for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
      std::fesetround(mode);
      const Classifier model = Classifier::load(bytes.span(), {.precision = run});
      std::fesetround(FE_TONEAREST);
      EXPECT_EQ(bits(model), expected) << stored;
    }
  }
}

TEST(Model, ReadsComputesAndSaysTheSameWhereNumbersHaveACommaAndLettersAreTurkish) {
  const auto all = [] {
    ModelWriter writer = tiny(kHeads[0]);
    std::string said = bits(writer);
    writer.config["layer_norm_eps"] = -1.5;
    try {
      bits(writer);
    } catch (const bertha::Error& error) {
      said += error.what();
    }
    return said;
  };
  const std::string expected = all();
  EXPECT_NE(expected.find("-1.500000"), expected.npos);
#if defined(BERTHA_TEST_LOCALES)
  setenv("LOCPATH", BERTHA_TEST_LOCALES, 1);
#endif
  if (std::setlocale(LC_ALL, "tr_TR.UTF-8") == nullptr) GTEST_SKIP() << "there is no Turkish locale";
  const std::string found = all(), number = std::to_string(1.5);
  std::setlocale(LC_ALL, "C");
  EXPECT_EQ(number, "1,500000");  // so the locale is one of commas
  EXPECT_EQ(found, expected);
}

TEST(Model, GivesTheSameBitsToThreadsThatShareIt) {
  for (const char* precision : {"float32", "bfloat16", "int8"}) {
    const AlignedBytes bytes(tiny(kHeads[1], precision).bytes());
    const Tagger model = Tagger::load(bytes.span());
    const std::string expected = bits(model);
    const auto few = encodings(model.tokenizer());
    std::vector<Encoding> many;  // several chunks, which threads take whole; a few texts, they share
    for (int i = 0; i < 20; ++i) many.insert(many.end(), few.begin(), few.end());
    const std::string of_many = bertha::detail::to_hex(model.run(many).values);
    std::vector<int> wrong(16);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < wrong.size(); ++t)
      threads.emplace_back([&, t] {
        for (std::size_t i = 0; i < 5; ++i) {
          const bertha::CallOptions call = {.max_threads = (t + i) % 4};
          wrong[t] += bits(model, call) != expected;
          wrong[t] += bertha::detail::to_hex(model.run(many, call).values) != of_many;
        }
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, std::vector<int>(wrong.size()));
  }
}

/// Runs tasks one after the other, the last one first.
class InlineExecutor final : public bertha::Executor {
 public:
  std::size_t concurrency() const noexcept override { return 4; }
  void run(std::size_t tasks, bertha::TaskRef task) override {
    largest = std::max(largest, tasks);
    while (tasks > 0) task(--tasks);
  }
  std::size_t largest = 0;
};

/// A thread for every task.
class ThreadsExecutor final : public bertha::Executor {
 public:
  std::size_t concurrency() const noexcept override { return 3; }
  void run(std::size_t tasks, bertha::TaskRef task) override {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < tasks; ++i) threads.emplace_back([=] { task(i); });
    for (std::thread& thread : threads) thread.join();
  }
};

/// Two threads, until there are none any more.
class ThrowingExecutor final : public bertha::Executor {
 public:
  explicit ThrowingExecutor(std::size_t good_runs) : left_(good_runs) {}
  std::size_t concurrency() const noexcept override { return 2; }
  void run(std::size_t tasks, bertha::TaskRef task) override {
    if (left_ == 0) throw std::runtime_error("no threads today");
    --left_;
    while (tasks > 0) task(--tasks);
  }

 private:
  std::size_t left_;
};

/// Asks the call to stop at its n-th run of tasks.
class StoppingExecutor final : public bertha::Executor {
 public:
  StoppingExecutor(std::stop_source& source, std::size_t at) : source_(source), at_(at) {}
  std::size_t concurrency() const noexcept override { return 2; }
  void run(std::size_t tasks, bertha::TaskRef task) override {
    if (++runs == at_) source_.request_stop();
    while (tasks > 0) task(--tasks);
  }
  std::size_t runs = 0;

 private:
  std::stop_source& source_;
  std::size_t at_;
};

TEST(Model, GivesTheSameBitsOnAnExecutorOfTheCaller) {
  const AlignedBytes bytes(tiny().bytes());
  const Classifier model = Classifier::load(bytes.span());
  const std::string expected = bits(model, {.max_threads = 1});
  InlineExecutor in_line;
  EXPECT_EQ(bits(model, {.executor = &in_line}), expected);
  EXPECT_EQ(in_line.largest, 4u);
  in_line.largest = 0;
  EXPECT_EQ(bits(model, {.executor = &in_line, .max_threads = 2}), expected);
  EXPECT_EQ(in_line.largest, 2u);
  ThreadsExecutor threads;
  EXPECT_EQ(bits(model, {.executor = &threads}), expected);
}

TEST(Model, PassesOnWhatAnExecutorThrowsAndIsAsGoodAsBefore) {
  const AlignedBytes bytes(tiny().bytes());
  const Classifier model = Classifier::load(bytes.span());
  const std::string expected = bits(model);
  for (const std::size_t good_runs : {0u, 1u, 2u, 5u, 8u}) {
    ThrowingExecutor throwing(good_runs);
    EXPECT_THROW(bits(model, {.executor = &throwing}), std::runtime_error) << good_runs;
    EXPECT_EQ(bits(model), expected);
  }
}

TEST(Model, StopsWhenTheStopTokenIsSet) {
  const AlignedBytes bytes(tiny().bytes());
  const Classifier model = Classifier::load(bytes.span());
  std::stop_source source;
  EXPECT_NO_THROW(bits(model, {.stop_token = source.get_token()}));
  source.request_stop();
  expect_error(ErrorCode::stopped, {"stop"}, [&] { bits(model, {.stop_token = source.get_token()}); });
  EXPECT_NO_THROW(bits(model));
}

TEST(Model, StopsInMidCallBeforeTheNextLayer) {
  TinyOptions options;
  options.num_hidden_layers = 4;
  const AlignedBytes bytes(ModelWriter::tiny(options).bytes());
  const Classifier model = Classifier::load(bytes.span());
  const std::string expected = bits(model);
  std::stop_source never;
  StoppingExecutor counting(never, 0);
  EXPECT_EQ(bits(model, {.executor = &counting, .stop_token = never.get_token()}), expected);
  for (std::size_t at = 1; at < counting.runs / 2; ++at) {
    std::stop_source source;
    StoppingExecutor stopping(source, at);
    expect_error(ErrorCode::stopped, {"stop"},
                 [&] { bits(model, {.executor = &stopping, .stop_token = source.get_token()}); });
    EXPECT_LE(stopping.runs, at + counting.runs / 4);  // a layer at most
    EXPECT_EQ(bits(model), expected);
  }
}

TEST(Model, VisitsEveryEncodingOnceWhateverGoesThroughTogether) {
  const auto visited = [](const auto& model, std::size_t max_batch_tokens) {
    const auto inputs = encodings(model.tokenizer());
    std::vector<std::string> all(inputs.size());
    model.run_each(inputs, {.max_batch_tokens = max_batch_tokens},
                   [&](std::size_t i, bertha::MatrixView<const float> logits) {
                     EXPECT_EQ(all.at(i), "");
                     all[i] = std::to_string(logits.rows) + ":";
                     for (std::size_t r = 0; r < logits.rows; ++r)
                       all[i] += bertha::detail::to_hex({logits.row(r), logits.cols});
                   });
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bertha::Logits alone = model.run(std::span(&inputs[i], 1));
      EXPECT_EQ(all[i], std::to_string(alone.rows) + ":" + bertha::detail::to_hex(alone.values));
    }
    return all;
  };
  const AlignedBytes pooled(tiny().bytes()), tokens(tiny(kHeads[1]).bytes());
  const auto classifier = Classifier::load(pooled.span());
  const auto tagger = Tagger::load(tokens.span());
  for (const std::size_t limit : {std::size_t{0}, std::size_t{1}, std::size_t{10}, std::size_t{17}}) {
    EXPECT_EQ(visited(classifier, limit), visited(classifier, 16'384));
    EXPECT_EQ(visited(tagger, limit), visited(tagger, 16'384));
  }
}

/// An encoder that notes how many tokens and sequences, and the longest of these, went through it at a time.
class NotingEncoder {
 public:
  struct Pack {
    std::size_t tokens, sequences, longest;
  };
  static inline std::vector<Pack> packs;

  NotingEncoder(bertha::WeightFile& file, const bertha::ModelConfig& config) : encoder_(file, config) {}
  bertha::EncoderOutput forward(const bertha::Batch& batch, bertha::Workspace& work) const {
    packs.push_back({batch.tokens(), batch.sequences(), 0});
    for (std::size_t s = 0; s < batch.sequences(); ++s)
      packs.back().longest = std::max(packs.back().longest, batch.length(s));
    return encoder_.forward(batch, work);
  }
  void pool(bertha::EncoderOutput& output, bertha::Workspace& work) const { encoder_.pool(output, work); }

 private:
  bertha::AnyEncoder encoder_;
};

TEST(Model, CutsALongCallIntoEvenPacksOfLikeLengths) {
  const AlignedBytes bytes(tiny().bytes());
  const auto model = bertha::Model<bertha::SequenceClassification, NotingEncoder>::load(bytes.span());
  const auto few = encodings(model.tokenizer());
  std::vector<Encoding> many;
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < 10'000; ++i) {
    many.push_back(few[i % few.size()]);
    tokens += many.back().size();
  }
  NotingEncoder::packs.clear();
  std::vector<int> visits(many.size());
  model.run_each(many, {}, [&](std::size_t i, bertha::MatrixView<const float>) { ++visits[i]; });
  EXPECT_EQ(visits, std::vector<int>(many.size(), 1));
  const std::vector<NotingEncoder::Pack> packs = NotingEncoder::packs;
  ASSERT_EQ(packs.size(), (tokens + 16'383) / 16'384);
  ASSERT_GT(packs.size(), 3u);
  std::size_t sequences = 0;
  for (std::size_t p = 0; p < packs.size(); ++p) {
    EXPECT_LE(packs[p].tokens, 16'384u);
    EXPECT_NEAR(static_cast<double>(packs[p].tokens), static_cast<double>(tokens / packs.size()), 24);
    EXPECT_LE(packs[p].longest, packs[p == 0 ? 0 : p - 1].longest);
    sequences += packs[p].sequences;
  }
  EXPECT_EQ(sequences, many.size());
}

TEST(Model, RunsNoMoreThanAPackAtATimeByTheOtherDoorToo) {
  const AlignedBytes bytes(tiny().bytes());
  const auto model = bertha::Model<bertha::SequenceClassification, NotingEncoder>::load(bytes.span());
  const auto few = encodings(model.tokenizer());
  NotingEncoder::packs.clear();
  const std::string whole = bertha::detail::to_hex(model.run(few).values);
  EXPECT_EQ(NotingEncoder::packs.size(), 1u);
  NotingEncoder::packs.clear();
  EXPECT_EQ(bertha::detail::to_hex(model.run(few, {.max_batch_tokens = 16}).values), whole);
  EXPECT_GT(NotingEncoder::packs.size(), 2u);
  for (const auto& pack : NotingEncoder::packs) EXPECT_TRUE(pack.tokens <= 16 || pack.sequences == 1);
}

TEST(Model, LetsASequenceThroughThatIsLongerThanAPack) {
  const AlignedBytes bytes(tiny().bytes());
  const auto model = bertha::Model<bertha::SequenceClassification, NotingEncoder>::load(bytes.span());
  const auto few = encodings(model.tokenizer());
  for (const std::size_t limit : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
    NotingEncoder::packs.clear();
    model.run_each(few, {.max_batch_tokens = limit}, [](std::size_t, bertha::MatrixView<const float>) {});
    EXPECT_EQ(NotingEncoder::packs.size(), few.size());
    for (const auto& pack : NotingEncoder::packs) EXPECT_EQ(pack.sequences, 1u);
  }
}

TEST(Model, TakesAnotherTokenizerOfItsVocabulary) {
  ModelWriter cased = tiny();
  cased.tokenizer["lowercase"] = false;
  const AlignedBytes bytes(tiny().bytes()), other(cased.bytes());
  const bertha::Tokenizer tokenizer = Classifier::load(other.span()).tokenizer();
  const auto own = bertha::TextClassifier::load(bytes.span());
  const auto given = bertha::TextClassifier::load(bytes.span(), {.tokenizer = tokenizer});
  EXPECT_EQ(own.run("THE cat").info.n_unknown, 0u);
  EXPECT_EQ(given.run("THE cat").info.n_unknown, 1u);
  EXPECT_EQ(own("the cat").score, given("the cat").score);

  TinyOptions options;
  options.vocabulary[6] = "z";
  const AlignedBytes strange(ModelWriter::tiny(options).bytes());
  expect_error(ErrorCode::vocabulary, {"token 6 is \"z\", but \"b\"", "given"},
               [&] { Classifier::load(strange.span(), {.tokenizer = tokenizer}); });
  options.vocabulary[6] = "";  // an id without a token
  const AlignedBytes fewer(ModelWriter::tiny(options).bytes());
  EXPECT_NO_THROW(Classifier::load(fewer.span(), {.tokenizer = tokenizer}));
}

TEST(Model, TakesNoEncodingsAtAll) {
  const AlignedBytes pooled(tiny().bytes()), tokens(tiny(kHeads[1], "int8").bytes());
  InlineExecutor executor;
  const Logits no_texts = Classifier::load(pooled.span()).run({}, {.executor = &executor});
  EXPECT_EQ(no_texts.rows, 0u);
  EXPECT_TRUE(no_texts.values.empty());
  EXPECT_EQ(Tagger::load(tokens.span()).run({}, {.executor = &executor}).rows, 0u);
}

TEST(Model, RefusesToPoolWithoutAPooler) {
  TinyOptions options;
  options.pooler = "";
  const AlignedBytes bytes(ModelWriter::tiny(options).bytes());
  expect_error(ErrorCode::unsupported, {"pooler"}, [&] { bits(Classifier::load(bytes.span())); });
}

/// A case of a self-test as this build computes it.
Json recorded(ModelWriter writer, const char* text, const char* text_pair) {
  const AlignedBytes bytes(writer.bytes());
  const Classifier model = Classifier::load(bytes.span());
  const Encoding encoding = text_pair ? model.tokenizer().encode(text, text_pair) : model.tokenizer().encode(text);
  const Logits logits = model.run(std::span(&encoding, 1));
  Json offsets = Json::array();
  for (const bertha::Span span : encoding.offsets) offsets.push_back({span.start, span.end});
  return {{"text", text},
          {"text_pair", text_pair ? Json(text_pair) : Json(nullptr)},
          {"ids", encoding.ids},
          {"type_ids", encoding.type_ids},
          {"offsets", offsets},
          {"logits", Json::array({logits.values})},
          {"logits_bytes", nullptr},
          {"answer", nullptr}};
}

ModelWriter self_testing(const std::string& precision = "float32") {
  ModelWriter writer = tiny(kHeads[0], precision);
  const Json alone = recorded(writer, "the cat sat.", nullptr), pair = recorded(writer, "a b", "the cats");
  writer.selftest = {alone, pair};
  return writer;
}

/// An int8 file with the bits of its logits.
ModelWriter self_testing_bits() {
  ModelWriter writer = self_testing("int8");
  for (Json& one : writer.selftest) {
    one["logits_bytes"] = bertha::detail::to_hex(one["logits"][0].get<std::vector<float>>());
    one["logits"][0] = {0, 0};  // of the original checkpoint: not for comparing
  }
  return writer;
}

void verify(const ModelWriter& writer, LoadOptions options = {}) {
  options.verify = true;
  load(kHeads[0], writer, options);
}

TEST(ModelVerify, AcceptsWhatThisBuildReproduces) {
  EXPECT_NO_THROW(verify(self_testing()));
  EXPECT_NO_THROW(verify(self_testing(), {.precision = PrecisionKind::float32_strict}));
  EXPECT_NO_THROW(verify(self_testing(), {.precision = PrecisionKind::int8}));
  EXPECT_NO_THROW(verify(self_testing(), {.precision = PrecisionKind::bfloat16}));
  EXPECT_NO_THROW(verify(self_testing("bfloat16")));
  EXPECT_NO_THROW(verify(self_testing("bfloat16"), {.precision = PrecisionKind::float32}));
  EXPECT_NO_THROW(verify(self_testing("int8")));
}

TEST(ModelVerify, HoldsAModelOfFixedPrecisionToThatPrecision) {
  using Float32Model = bertha::Model<bertha::SequenceClassification, bertha::Encoder<bertha::Float32>>;
  using Int8Model = bertha::Model<bertha::SequenceClassification, bertha::Encoder<bertha::Int8>>;
  const AlignedBytes float32(self_testing().bytes()), int8(self_testing_bits().bytes());
  EXPECT_NO_THROW(Float32Model::load(float32.span(), {.verify = true}));
  EXPECT_NO_THROW(Int8Model::load(float32.span(), {.verify = true}));
  EXPECT_NO_THROW(Int8Model::load(int8.span(), {.verify = true}));
  EXPECT_NO_THROW(Float32Model::load(int8.span(), {.verify = true}));
}

TEST(ModelVerify, FindsAFlippedBitInEveryTensor) {
  const ModelWriter good = self_testing();
  const std::string file = good.bytes();
  std::size_t end = file.size();
  for (std::size_t i = good.tensors.size(); i-- > 0;) {
    std::string flipped = file;
    flipped[end - 1] ^= 1;  // of the padding, perhaps: no result changes, but the file did
    end -= good.tensors[i].bytes.size();
    const AlignedBytes bytes(flipped);
    if (good.tensors[i].name == "tokenizer.vocab.offsets" || good.tensors[i].name == "tokenizer.vocab.text") {
      EXPECT_THROW(Classifier::load(bytes.span(), {.verify = true}), bertha::Error);
      continue;
    }
    EXPECT_NO_THROW(Classifier::load(bytes.span())) << good.tensors[i].name;
    expect_error(ErrorCode::format, {"'" + good.tensors[i].name + "'", "CRC"},
                 [&] { Classifier::load(bytes.span(), {.verify = true}); });
  }
}

TEST(ModelVerify, NamesTheCaseAndTheStageThatDiffer) {
  const auto expect_failure = [](std::string_view stage, const auto& change) {
    ModelWriter writer = self_testing();
    change(writer.selftest[1]);
    EXPECT_NO_THROW(load(kHeads[0], writer));
    expect_error(ErrorCode::self_test, {"case 1", stage}, [&] { verify(writer); });
  };
  expect_failure("token ids", [](Json& one) { one["ids"][1] = 6; });
  expect_failure("type ids", [](Json& one) { one["type_ids"][1] = 1; });
  expect_failure("offsets of token 5", [](Json& one) { one["offsets"][5] = {4, 6}; });
  expect_failure("logit 1", [](Json& one) {
    const float logit = one["logits"][0][1].get<float>();
    one["logits"][0][1] = logit + 2.2e-4f * std::max(1.0f, std::fabs(logit));
  });
}

TEST(ModelVerify, AllowsTheLogitsWhatFloat32Promises) {
  ModelWriter writer = self_testing();
  Json& logit = writer.selftest[0]["logits"][0][0];
  logit = logit.get<float>() + 1.8e-4f * std::max(1.0f, std::fabs(logit.get<float>()));
  EXPECT_NO_THROW(verify(writer));
}

TEST(ModelVerify, HoldsABFloat16FileToASixteenthOfTheLargestLogitOfItsCaseOrOfOne) {
  const auto moved = [](float by) {
    ModelWriter writer = self_testing("bfloat16");
    std::vector<float> logits = writer.selftest[1]["logits"][0].get<std::vector<float>>();
    const float largest = std::max({1.0f, std::fabs(logits[0]), std::fabs(logits[1])});
    const std::size_t smaller = std::fabs(logits[0]) < std::fabs(logits[1]) ? 0 : 1;
    writer.selftest[1]["logits"][0][smaller] = logits[smaller] + by * largest;
    return writer;
  };
  EXPECT_NO_THROW(verify(moved(0.06f)));
  expect_error(ErrorCode::self_test, {"case 1", "logit "}, [&] { verify(moved(0.065f)); });
  EXPECT_NO_THROW(verify(moved(0.065f), {.precision = PrecisionKind::float32}));
}

TEST(ModelVerify, HoldsAnInt8FileToTheBitsOfItsLogits) {
  ModelWriter writer = self_testing_bits();
  EXPECT_NO_THROW(verify(writer));
  EXPECT_NO_THROW(verify(writer, {.precision = PrecisionKind::float32}));
  std::string digits = writer.selftest[1]["logits_bytes"].get<std::string>();
  digits[0] = digits[0] == '0' ? '1' : '0';
  writer.selftest[1]["logits_bytes"] = digits;
  expect_error(ErrorCode::self_test, {"case 1", "bits of the logits"}, [&] { verify(writer); });
}

}  // namespace
