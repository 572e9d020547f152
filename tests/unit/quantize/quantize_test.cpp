// bertha::quantize: what it writes, that it is no further from float32 than plain int8, and what it refuses.
// tests/convert/test_quantize.py holds plain files against the converter's, byte for byte.

#include <dirent.h>
#include <sys/stat.h>

#include <bertha/quantize.hpp>
#include <bertha/runtime/thread_pool.hpp>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

namespace {

using bertha::ErrorCode;
using bertha::PrecisionKind;
using bertha::QuantizeOptions;
using bertha::QuantizeReport;
using bertha::WeightFile;
using bertha_test::expect_error;
using bertha_test::Json;
using bertha_test::ModelWriter;
using bertha_test::TempFile;
using bertha_test::TinyOptions;

const std::vector<std::string> kTexts = {"the cat sat.", "a b c", "cats ab. the c", "b", "abc the cat sat b a c."};

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A folder for one test, and what is in it.
class Folder {
 public:
  Folder() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~Folder() {
    for (const std::string& name : names()) ::unlink((path_ + "/" + name).c_str());
    ::rmdir(path_.c_str());
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    DIR* folder = ::opendir(path_.c_str());
    while (const dirent* entry = ::readdir(folder))
      if (std::string(entry->d_name) != "." && std::string(entry->d_name) != "..") found.emplace_back(entry->d_name);
    ::closedir(folder);
    return found;
  }

 private:
  std::string path_ = "/tmp/bertha-quantize-XXXXXX";
};

TinyOptions options_of(const std::string& head = "sequence-classification") {
  TinyOptions options;
  options.head = head;
  if (head == "question-answering") options.labels = {"start", "end"};
  options.num_hidden_layers = 2;
  return options;
}

/// One of the inputs of each layer is far larger than the others, as in trained models.
ModelWriter with_outliers(const TinyOptions& options) {
  ModelWriter writer = ModelWriter::tiny(options);
  for (auto& tensor : writer.tensors)
    if (tensor.name.ends_with("norm.weight")) {
      float gamma;
      std::memcpy(&gamma, tensor.bytes.data() + 20, sizeof gamma);
      gamma *= 40;
      std::memcpy(tensor.bytes.data() + 20, &gamma, sizeof gamma);
    }
  return writer;
}

/// A classifier with two recorded cases.
ModelWriter with_self_test() {
  ModelWriter writer = with_outliers(options_of());
  const Json offsets = Json::array({{0, 0}, {0, 1}, {0, 0}});
  for (const char* text : {"a", "b"})
    writer.selftest.push_back({{"text", text},
                               {"text_pair", nullptr},
                               {"ids", {2, text[0] == 'a' ? 5 : 6, 3}},
                               {"type_ids", {0, 0, 0}},
                               {"offsets", offsets},
                               {"logits", {{0.125, -1e-7}}},
                               {"logits_bytes", nullptr},
                               {"answer", nullptr}});
  return writer;
}

TEST(Quantize, WritesTheWeightsThatLoadingInInt8Makes) {
  for (const char* head : {"sequence-classification", "token-classification", "question-answering"}) {
    TinyOptions options = options_of(head);
    options.embedding_size = 20;
    const TempFile in(ModelWriter::tiny(options).bytes());
    const Folder folder;
    bertha::quantize(in.path(), folder.file("out"), {.plain = true});
    options.precision = "int8";
    ModelWriter expected = ModelWriter::tiny(options);
    const auto file = WeightFile::open(folder.file("out"));
    file.check_crcs();
    ASSERT_EQ(file.tensors().size(), expected.tensors.size());
    const std::string bytes = read(folder.file("out"));
    for (std::size_t i = 0; i < expected.tensors.size(); ++i) {
      const auto& tensor = file.tensors()[i];
      EXPECT_EQ(tensor.name, expected.tensors[i].name);
      EXPECT_EQ(tensor.shape, expected.tensors[i].shape);
      EXPECT_EQ(bytes.substr(tensor.offset, tensor.size), expected.tensors[i].bytes) << tensor.name;
    }
    EXPECT_EQ(file.config().precision, PrecisionKind::int8);
    EXPECT_NE(bytes.find("\"format\":\"1\""), bytes.npos);
    EXPECT_EQ(folder.names(), std::vector<std::string>{"out"});
  }
}

TEST(Quantize, GainsWhereInputsHaveOutliersAndReportsIt) {
  const TempFile in(with_outliers(options_of("token-classification")).bytes());
  const Folder folder;
  const QuantizeReport report = bertha::quantize(in.path(), folder.file("out"), {.texts = kTexts});
  EXPECT_EQ(report.texts, 5u);
  EXPECT_EQ(report.labels, report.tokens);  // a label for each token
  EXPECT_EQ(report.bytes, read(folder.file("out")).size());
  ASSERT_EQ(report.layers.size(), 8u);
  std::size_t smoothed = 0, shifted = 0;
  for (const auto& layer : report.layers) {
    EXPECT_LE(layer.error, layer.plain_error) << layer.name;
    EXPECT_GT(layer.error, 0);
    smoothed += layer.smoothing;
    shifted += layer.zero_point;
  }
  EXPECT_GT(smoothed, 0u);
  EXPECT_GT(shifted, 0u);
  EXPECT_EQ(report.plain.hidden.size(), 3u);
  EXPECT_LT(report.calibrated.logits, 0.65 * report.plain.logits);
  const auto file = WeightFile::open(folder.file("out"));
  EXPECT_EQ(file.config().zero_points.size(), shifted);
  ASSERT_EQ(report.attention.size(), 2u);
  std::vector<std::string> fine;
  for (const auto& one : report.attention) {
    EXPECT_GT(one.error, 0);
    if (one.fine) {
      EXPECT_LT(one.error, one.plain_error) << one.name;
      fine.push_back(one.name);
    } else {
      EXPECT_EQ(one.error, one.plain_error) << one.name;
    }
  }
  EXPECT_EQ(file.config().fine_attention, fine);
  std::size_t vectors = 0;
  for (const auto& tensor : file.tensors()) vectors += tensor.name.ends_with(".smoothing");
  EXPECT_EQ(vectors, smoothed);
  EXPECT_NE(read(folder.file("out")).find("\"format\":\"2\""), std::string::npos);
}

TEST(Quantize, RoundsRelativeKeysAndQueriesAsTheConverterDoes) {
  TinyOptions options = options_of("token-classification");
  options.disentangled = true;
  ModelWriter writer = with_outliers(options);
  writer.format = "2";
  const TempFile in(writer.bytes());
  options.precision = "int8";
  ModelWriter expected = ModelWriter::tiny(options);
  const Folder folder;
  for (const bool plain : {true, false}) {
    const QuantizeReport report = bertha::quantize(in.path(), folder.file("out"), {.texts = kTexts, .plain = plain});
    const auto file = WeightFile::open(folder.file("out"));
    const std::string bytes = read(folder.file("out"));
    std::size_t found = 0;
    for (const auto& tensor : file.tensors()) {
      if (!tensor.name.starts_with("encoder.relative_")) continue;
      ++found;
      EXPECT_EQ(bytes.substr(tensor.offset, tensor.size), expected.tensor(tensor.name).bytes) << tensor.name;
    }
    EXPECT_EQ(found, 5u);  // rows of distances, and two tables with scales
    bertha::Model<bertha::TokenClassification>::load(folder.file("out"));
    if (!plain) {
      EXPECT_LT(report.calibrated.logits, 0.8 * report.plain.logits);
    }
  }
}

TEST(Quantize, GivesAttentionFineProbabilitiesWhereTheyGain) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += i % 7 == 0 ? " the" : i % 3 == 0 ? " cat" : " sat";
  TinyOptions options = options_of();
  options.max_position_embeddings = 128;
  for (const float scores : {0.003f, 1.0f}) {  // all alike: 8 bits are near enough for probabilities near the largest
    ModelWriter writer = ModelWriter::tiny(options);
    for (auto& tensor : writer.tensors) {
      if (!tensor.name.ends_with("query_key_value.weight")) continue;
      for (std::size_t i = 0; i < tensor.bytes.size(); i += sizeof(float)) {
        float weight;
        std::memcpy(&weight, tensor.bytes.data() + i, sizeof weight);
        weight *= std::sqrt(scores);
        std::memcpy(tensor.bytes.data() + i, &weight, sizeof weight);
      }
    }
    const TempFile in(writer.bytes());
    const Folder folder;
    const QuantizeReport report = bertha::quantize(in.path(), folder.file("out"), {.texts = {text}});
    for (const auto& one : report.attention) {
      EXPECT_EQ(one.fine, scores > 0.1f) << one.name << ' ' << one.plain_error;
      if (one.fine)
        EXPECT_LT(one.error, 0.9 * one.plain_error) << one.name;
      else
        EXPECT_EQ(one.error, one.plain_error) << one.name;
    }
    EXPECT_EQ(WeightFile::open(folder.file("out")).config().fine_attention.size(), scores > 0.1f ? 2u : 0u);
  }
}

TEST(Quantize, ReportsWhatTheFileThenDoes) {
  const TempFile in(with_outliers(options_of()).bytes());
  const Folder folder;
  const QuantizeReport report = bertha::quantize(in.path(), folder.file("out"), {.texts = kTexts});
  using Classifier = bertha::Model<bertha::SequenceClassification>;
  const auto exact = Classifier::load(in.path()), quantised = Classifier::load(folder.file("out"));
  double sum = 0;
  for (const std::string& text : kTexts) {
    const auto encoding = exact.tokenizer().encode(text);
    const auto a = exact.run(std::span(&encoding, 1)), b = quantised.run(std::span(&encoding, 1));
    for (std::size_t i = 0; i < 2; ++i) sum += std::pow(static_cast<double>(a.values[i] - b.values[i]), 2);
  }
  EXPECT_NEAR(report.calibrated.logits, std::sqrt(sum / 10), 1e-3 * report.calibrated.logits);
}

TEST(Quantize, WritesTheSameBytesOnAnyNumberOfThreads) {
  const TempFile in(with_outliers(options_of("question-answering")).bytes());
  const Folder folder;
  bertha::detail::ThreadPool& pool = *new bertha::detail::ThreadPool(4);  // serves as long as the process
  std::vector<std::string> files;
  for (const std::size_t threads : {1u, 4u, 3u}) {
    bertha::quantize(in.path(), folder.file("out"),
                     {.texts = kTexts, .call = {.executor = &pool, .max_threads = threads}});
    files.push_back(read(folder.file("out")));
  }
  EXPECT_EQ(files[0], files[1]);
  EXPECT_EQ(files[0], files[2]);
}

TEST(Quantize, CarriesTheSelfTestOverWithItsInt8Logits) {
  for (const bool plain : {false, true}) {
    const TempFile in(with_self_test().bytes());
    const Folder folder;
    bertha::quantize(in.path(), folder.file("out"), {.texts = kTexts, .plain = plain});
    const auto model = bertha::Model<bertha::SequenceClassification>::load(folder.file("out"), {.verify = true});
    ASSERT_EQ(model.file().self_test().size(), 2u);
    EXPECT_EQ(model.file().self_test()[0].logits_bytes.size(), 16u);
    EXPECT_NE(model.file().self_test()[0].logits_bytes, model.file().self_test()[1].logits_bytes);
    EXPECT_NE(read(folder.file("out")).find("[[0.125,-1e-07]]"), std::string::npos);  // as it was written
  }
}

TEST(Quantize, WritesTheSameFileOnEveryLevelAndMachine) {
  const TempFile in(with_self_test().bytes());
  const Folder folder;
  bertha::quantize(in.path(), folder.file("out"), {.texts = kTexts});
  const std::string bytes = read(folder.file("out"));
  EXPECT_EQ(bertha::crc32(std::as_bytes(std::span(bytes))), 3724516512u);
}

TEST(Quantize, TakesModelsWithoutAHead) {
  TinyOptions options = options_of();
  options.kind = "encoder";
  options.pooler = "";
  const TempFile in(ModelWriter::tiny(options).bytes());
  const Folder folder;
  const QuantizeReport report = bertha::quantize(in.path(), folder.file("out"), {.texts = kTexts});
  EXPECT_EQ(report.labels, 0u);
  EXPECT_GT(report.plain.hidden.back(), 0);
  EXPECT_FALSE(WeightFile::open(folder.file("out")).config().pooler);
}

TEST(Quantize, CalibratesSharedLayersOnceByAllTheirRuns) {
  TinyOptions options = options_of("token-classification");
  options.num_hidden_layers = 6;
  options.layer_weights = {0, 0, 0, 1, 1, 1};
  ModelWriter writer = with_outliers(options);
  writer.format = "2";
  const TempFile in(writer.bytes());
  const Folder folder;
  const QuantizeReport report = bertha::quantize(in.path(), folder.file("out"), {.texts = kTexts});
  ASSERT_EQ(report.layers.size(), 2 * 4u);
  ASSERT_EQ(report.calibrated.hidden.size(), 7u);
  for (std::size_t layer = 0; layer <= 6; ++layer)
    EXPECT_LT(report.calibrated.hidden[layer], 0.8 * report.plain.hidden[layer]) << layer;
  EXPECT_LT(report.calibrated.logits, 0.5 * report.plain.logits);
  EXPECT_EQ(WeightFile::open(folder.file("out")).config().layer_weights, options.layer_weights);
  bertha::Model<bertha::TokenClassification>::load(folder.file("out"));
}

TEST(Quantize, SamplesTheRowsOfAllRunsOfALayer) {
  bertha::ModelConfig config;
  config.num_hidden_layers = 12;
  EXPECT_EQ(bertha::detail::runs_of(config, "encoder.layer.1.output"), 1u);
  config.layer_weights = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2};
  EXPECT_EQ(bertha::detail::runs_of(config, "encoder.layer.1.output"), 10u);
  EXPECT_EQ(bertha::detail::runs_of(config, "encoder.layer.2.output"), 1u);
  EXPECT_EQ(bertha::detail::runs_of(config, "embeddings.projection"), 1u);
}

TEST(Quantize, KeepsTheFormatThatTheFileNeedsAnyhow) {
  ModelWriter writer = ModelWriter::tiny(options_of());
  writer.make_unigram(TinyOptions().vocabulary);
  writer.tokenizer.erase("normalizer");
  std::erase_if(writer.tensors, [](const auto& tensor) { return tensor.name.starts_with("tokenizer.charsmap"); });
  writer.format = "2";
  const TempFile in(writer.bytes());
  const Folder folder;
  bertha::quantize(in.path(), folder.file("out"), {.plain = true});
  EXPECT_NE(read(folder.file("out")).find("\"format\":\"2\""), std::string::npos);
}

TEST(Quantize, LeavesOutTextsThatTheVocabularyLacks) {
  const TempFile in(ModelWriter::tiny(options_of()).bytes());
  const Folder folder;
  const std::vector<std::string> foreign = {"zzz yyy", "the cat sat", "\xd0\x96 \xd0\x96"};
  EXPECT_EQ(bertha::quantize(in.path(), folder.file("out"), {.texts = foreign}).texts, 1u);
  EXPECT_EQ(bertha::quantize(in.path(), folder.file("out"), {.texts = {"zzz", "yyy"}}).texts, 2u);
}

TEST(Quantize, RefusesWhatItCannotDoAndWritesNothing) {
  const TempFile in(ModelWriter::tiny(options_of()).bytes());
  const Folder folder;
  const std::string out = folder.file("out");
  const auto refused = [&](ErrorCode code, std::initializer_list<std::string_view> words, const std::string& from,
                           const std::string& to, const QuantizeOptions& options) {
    expect_error(code, words, [&] { bertha::quantize(from, to, options); });
    EXPECT_TRUE(folder.names().empty());
  };
  refused(ErrorCode::file, {in.path(), "is the file that is read"}, in.path(), in.path(), {.plain = true});
  refused(ErrorCode::file, {"/dev/null", "is no regular file; no file was written there"}, in.path(), "/dev/null",
          {.plain = true});
  refused(ErrorCode::file, {"no such/out", "can't be written"}, in.path(), folder.file("no such/out"), {.plain = true});
  refused(ErrorCode::file, {"no such"}, folder.file("no such"), out, {.plain = true});
  refused(ErrorCode::input, {"no text to calibrate"}, in.path(), out, {});
  refused(ErrorCode::input, {"calibration text 2", "UTF-8"}, in.path(), out, {.texts = {"a", "\xff"}});
  for (const char* precision : {"int8", "bfloat16"}) {
    TinyOptions options = options_of();
    options.precision = precision;
    const TempFile other(ModelWriter::tiny(options).bytes());
    refused(ErrorCode::unsupported, {other.path(), precision, "expected float32"}, other.path(), out,
            {.texts = kTexts});
  }
  TinyOptions options = options_of();
  options.kind = "tokenizer";
  const TempFile tokenizer(ModelWriter::tiny(options).bytes());
  refused(ErrorCode::unsupported, {"tokenizer only"}, tokenizer.path(), out, {.texts = kTexts});
  std::stop_source source;
  source.request_stop();
  refused(ErrorCode::stopped, {}, in.path(), out, {.texts = kTexts, .call = {.stop_token = source.get_token()}});
}

TEST(Quantize, KeepsAFileThatItCannotReplace) {
  const TempFile in(ModelWriter::tiny(options_of()).bytes());
  const Folder folder;
  std::ofstream(folder.file("out")) << "old";
  expect_error(ErrorCode::input, {"no text"}, [&] { bertha::quantize(in.path(), folder.file("out")); });
  EXPECT_EQ(read(folder.file("out")), "old");
  bertha::quantize(in.path(), folder.file("out"), {.plain = true});
  EXPECT_NE(read(folder.file("out")), "old");
  EXPECT_EQ(folder.names().size(), 1u);
}

}  // namespace
