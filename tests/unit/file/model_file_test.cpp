// Whole files: opened, taken apart, and damaged in every way that the file layer must catch.

#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <bertha/file/model_file.hpp>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using bertha::DType;
using bertha::ErrorCode;
using bertha::TensorInfo;
using bertha::WeightFile;
using bertha_test::AlignedBytes;
using bertha_test::expect_error;
using bertha_test::ModelWriter;
using bertha_test::TempFile;
using bertha_test::TensorData;

template <class T>
std::span<const std::byte> take_as(WeightFile& file, const TensorInfo& t) {
  const auto& s = t.shape;
  switch (s.size()) {
    case 0: return std::as_bytes(file.take<T>(t.name, {}));
    case 1: return std::as_bytes(file.take<T>(t.name, {s[0]}));
    case 2: return std::as_bytes(file.take<T>(t.name, {s[0], s[1]}));
    case 3: return std::as_bytes(file.take<T>(t.name, {s[0], s[1], s[2]}));
    default: return std::as_bytes(file.take<T>(t.name, {s[0], s[1], s[2], s[3]}));
  }
}

/// Takes the tensor that `t` describes.
std::span<const std::byte> take(WeightFile& file, const TensorInfo& t) {
  switch (t.dtype) {
    case DType::u8: return take_as<std::uint8_t>(file, t);
    case DType::i8: return take_as<std::int8_t>(file, t);
    case DType::u32: return take_as<std::uint32_t>(file, t);
    case DType::i32: return take_as<std::int32_t>(file, t);
    case DType::bf16: return take_as<bertha::bf16>(file, t);
    case DType::f32: return take_as<float>(file, t);
    case DType::f64: return take_as<double>(file, t);
  }
  return {};
}

/// What a model does that wants just the tensors `wanted`.
void take_all(WeightFile& file, const std::vector<TensorInfo>& wanted) {
  for (const TensorInfo& tensor : wanted) take(file, tensor);
  file.finish();
}

std::vector<TensorInfo> tensors_of(const ModelWriter& model) {
  const AlignedBytes bytes(model.bytes());
  return WeightFile::from_bytes(bytes.span()).tensors();
}

ModelWriter tiny_of(const std::string& precision) {
  bertha_test::TinyOptions options;
  options.precision = precision;
  return ModelWriter::tiny(options);
}

/// Calls act(model, tensor index, message) on a copy of a tiny file of each precision for each of its tensors.
void for_each_tensor(const std::function<void(ModelWriter&, std::size_t, const std::string&)>& act) {
  for (const char* precision : {"float32", "bfloat16", "int8"}) {
    const ModelWriter model = tiny_of(precision);
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
      ModelWriter copy = model;
      act(copy, i, std::string(precision) + ": " + model.tensors[i].name);
    }
  }
}

/// Loads `model` as something that wants the tensors of the undamaged file, and expects it to be refused.
void expect_refused(ErrorCode code, const ModelWriter& model, const std::string& name, const std::string& what) {
  static const std::map<std::string, std::vector<TensorInfo>> wanted = {{"float32", tensors_of(tiny_of("float32"))},
                                                                        {"bfloat16", tensors_of(tiny_of("bfloat16"))},
                                                                        {"int8", tensors_of(tiny_of("int8"))}};
  const AlignedBytes bytes(model.bytes());
  WeightFile file = WeightFile::from_bytes(bytes.span(), "tiny");
  file.check_crcs();
  expect_error(
      code, {"tiny", "'" + name + "'"}, [&] { take_all(file, wanted.at(what.substr(0, what.find(':')))); }, what);
}

TEST(WeightFile, HandsOutEveryTensorOnceAndNothingIsLeft) {
  for (const char* precision : {"float32", "bfloat16", "int8"}) {
    for (const char* head : {"sequence-classification", "token-classification", "question-answering", "custom"}) {
      bertha_test::TinyOptions options{.precision = precision, .head = head};
      if (options.head == "question-answering") options.labels = {"start", "end"};
      const ModelWriter model = ModelWriter::tiny(options);
      const TempFile path(model.bytes());
      for (const bool copy : {false, true}) {
        WeightFile file = WeightFile::open(path.path(), {.copy = copy});
        file.check_crcs();
        ASSERT_EQ(file.tensors().size(), model.tensors.size());
        for (std::size_t i = 0; i < model.tensors.size(); ++i) {
          const TensorData& written = model.tensors[i];
          EXPECT_TRUE(file.has(written.name));
          EXPECT_EQ(name(file.dtype(written.name)), written.dtype);
          EXPECT_EQ(file.shape(written.name), written.shape);
          const auto bytes = take(file, file.tensors()[i]);
          EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64, 0u);
          EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), written.bytes);
        }
        EXPECT_NO_THROW(file.finish());
      }
    }
  }
}

TEST(WeightFile, ReadsFilesWithoutHeadAndWithoutWeights) {
  for (const char* kind : {"encoder", "tokenizer"}) {
    const AlignedBytes bytes(ModelWriter::tiny({.kind = kind}).bytes());
    const WeightFile file = WeightFile::from_bytes(bytes.span());
    EXPECT_EQ(file.config().has_encoder, std::string("encoder") == kind);
    EXPECT_EQ(to_string(file.config().head), "none");
    EXPECT_EQ(file.tokenizer().vocab_size, 17u);
    EXPECT_EQ(file.has("embeddings.norm.bias"), file.config().has_encoder);
  }
}

TEST(WeightFile, TellsNameSourceAndSelfTest) {
  ModelWriter model = ModelWriter::tiny();
  model.selftest.push_back({{"text", "a"},
                            {"text_pair", nullptr},
                            {"ids", {2, 5, 3}},
                            {"type_ids", {0, 0, 0}},
                            {"offsets", {{0, 0}, {0, 1}, {0, 0}}},
                            {"logits", nullptr},
                            {"logits_bytes", nullptr},
                            {"answer", nullptr}});
  const TempFile path(model.bytes());
  const WeightFile file = WeightFile::open(path.path());
  EXPECT_EQ(file.name(), path.path());
  EXPECT_EQ(file.source(), model.source.dump());
  ASSERT_EQ(file.self_test().size(), 1u);
  EXPECT_EQ(file.self_test()[0].text, "a");
}

TEST(WeightFile, SpansOutliveItWhenItsBytesAreKeptAlive) {
  const ModelWriter model = ModelWriter::tiny();
  std::shared_ptr<const void> alive;
  std::span<const float> taken;
  {
    const TempFile path(model.bytes());
    WeightFile first = WeightFile::open(path.path());
    WeightFile file = std::move(first);
    taken = file.take<float>("embeddings.norm.bias", {48});
    alive = file.keep_alive();
  }
  std::string bytes(taken.size_bytes(), '\0');
  std::memcpy(bytes.data(), taken.data(), bytes.size());
  ModelWriter again = model;
  EXPECT_EQ(bytes, again.tensor("embeddings.norm.bias").bytes);
  EXPECT_NE(alive, nullptr);
}

TEST(WeightFile, TakesBytesAtAnyAddressOnlyAsACopy) {
  const std::string bytes = ModelWriter::tiny().bytes();
  const AlignedBytes shifted(" " + bytes);
  const auto view = shifted.span().subspan(1);
  expect_error(ErrorCode::input, {"mine", "multiple of 64"}, [&] { WeightFile::from_bytes(view, "mine"); });
  WeightFile copy = WeightFile::from_bytes(view, "mine", {.copy = true});
  EXPECT_NE(copy.keep_alive(), nullptr);
  EXPECT_NO_THROW(copy.check_crcs());
  const AlignedBytes aligned(bytes);
  EXPECT_EQ(WeightFile::from_bytes(aligned.span()).keep_alive(), nullptr);
}

TEST(WeightFile, NamesATensorThatIsMissing) {
  for_each_tensor([](ModelWriter& model, std::size_t i, const std::string& what) {
    const std::string name = model.tensors[i].name;
    model.tensors.erase(model.tensors.begin() + static_cast<std::ptrdiff_t>(i));
    expect_refused(ErrorCode::missing_tensor, model, name, what + " dropped");
  });
}

TEST(WeightFile, NamesATensorThatHasAnotherName) {
  for_each_tensor([](ModelWriter& model, std::size_t i, const std::string& what) {
    const std::string name = model.tensors[i].name;
    model.tensors[i].name += "x";
    expect_refused(ErrorCode::missing_tensor, model, name, what + " renamed");
  });
}

TEST(WeightFile, NamesATensorOfAnotherShapeAndBothShapes) {
  for_each_tensor([](ModelWriter& model, std::size_t i, const std::string& what) {
    TensorData& tensor = model.tensors[i];
    const auto shape = tensor.shape;
    tensor.shape.push_back(1);
    expect_refused(ErrorCode::shape, model, tensor.name, what + " with one axis more");
    tensor.shape = shape;
    std::rotate(tensor.shape.begin(), tensor.shape.begin() + 1, tensor.shape.end());
    if (tensor.shape != shape) expect_refused(ErrorCode::shape, model, tensor.name, what + " transposed");
    tensor.shape = shape;
    tensor.shape[0] *= 2;
    tensor.bytes += tensor.bytes;
    expect_refused(ErrorCode::shape, model, tensor.name, what + " twice as long");
  });
  const AlignedBytes bytes(ModelWriter::tiny().bytes());
  WeightFile file = WeightFile::from_bytes(bytes.span(), "tiny");
  expect_error(ErrorCode::shape, {"tiny", "'embeddings.word.weight'", "is F32 [17, 48]", "asks for F32 [48, 17]"}, [&] {
    file.take<float>("embeddings.word.weight", {48, 17});
  });
}

TEST(WeightFile, NamesATensorOfAnotherTypeAndBothTypes) {
  for_each_tensor([](ModelWriter& model, std::size_t i, const std::string& what) {
    TensorData& tensor = model.tensors[i];
    const std::pair<const char*, const char*> others[] = {{"F32", "I32"}, {"I32", "U32"}, {"U32", "F32"},
                                                          {"I8", "U8"},   {"U8", "I8"},   {"BF16", "I8"}};
    for (const auto& [type, other] : others) {
      if (tensor.dtype != type) continue;
      if (tensor.dtype == "BF16") tensor.shape.back() *= 2;  // no other type has two bytes
      tensor.dtype = other;
      break;
    }
    expect_refused(ErrorCode::shape, model, tensor.name, what + " as " + tensor.dtype);
  });
  const AlignedBytes bytes(ModelWriter::tiny().bytes());
  WeightFile file = WeightFile::from_bytes(bytes.span(), "tiny");
  expect_error(ErrorCode::shape, {"is F32 [48]", "asks for BF16 [48]"},
               [&] { file.take<bertha::bf16>("embeddings.norm.bias", {48}); });
}

TEST(WeightFile, NamesTensorsThatNothingTook) {
  const AlignedBytes bytes(ModelWriter::tiny().bytes());
  WeightFile file = WeightFile::from_bytes(bytes.span(), "tiny");
  const std::vector<TensorInfo> all = file.tensors();
  const std::string many =
      expect_error(ErrorCode::unused_tensor, {"tiny", "'" + all[4].name + "'", "and 18 more"}, [&] { file.finish(); });
  EXPECT_EQ(many.find(all[5].name), many.npos);
  for (std::size_t i = 0; i + 2 < all.size(); ++i) take(file, all[i]);
  const std::string two =
      expect_error(ErrorCode::unused_tensor, {"'head.output.weight', 'head.output.bias'"}, [&] { file.finish(); });
  EXPECT_EQ(two.find("more"), two.npos);
}

TEST(WeightFile, LendsATensorThatAnotherPartTakes) {
  const AlignedBytes bytes(ModelWriter::tiny().bytes());
  WeightFile file = WeightFile::from_bytes(bytes.span(), "tiny");
  const auto lent = file.borrow<float>("embeddings.norm.bias", {48});
  EXPECT_EQ(file.take<float>("embeddings.norm.bias", {48}).data(), lent.data());
  EXPECT_EQ(file.borrow<float>("embeddings.norm.bias", {48}).data(), lent.data());
  expect_error(ErrorCode::shape, {"'embeddings.norm.bias'", "[48]", "[64]"},
               [&] { file.borrow<float>("embeddings.norm.bias", {64}); });
  expect_error(ErrorCode::missing_tensor, {"'nothing'"}, [&] { file.borrow<float>("nothing", {1}); });
}

TEST(WeightFile, RefusesToHandOutATensorTwice) {
  const AlignedBytes bytes(ModelWriter::tiny().bytes());
  WeightFile file = WeightFile::from_bytes(bytes.span(), "tiny");
  file.take<float>("embeddings.norm.bias", {48});
  expect_error(ErrorCode::unsupported, {"'embeddings.norm.bias'", "taken twice"},
               [&] { file.take<float>("embeddings.norm.bias", {48}); });
  expect_error(ErrorCode::missing_tensor, {"'nothing'"}, [&] { file.take<float>("nothing", {1}); });
  expect_error(ErrorCode::missing_tensor, {"'nothing'"}, [&] { file.dtype("nothing"); });
  expect_error(ErrorCode::missing_tensor, {"'nothing'"}, [&] { file.shape("nothing"); });
  EXPECT_FALSE(file.has("nothing"));
}

TEST(WeightFile, FindsAFlippedBitInAnyTensor) {
  for_each_tensor([](ModelWriter& model, std::size_t i, const std::string& what) {
    std::string bytes = model.bytes();
    const std::size_t begin = tensors_of(model)[i].offset;
    const std::size_t last = begin + model.tensors[i].bytes.size() - 1;
    for (const std::size_t at : {begin, begin + 33, last}) {
      bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
      const AlignedBytes aligned(bytes);
      const WeightFile file = WeightFile::from_bytes(aligned.span(), "tiny");
      expect_error(
          ErrorCode::format, {"tiny", "'" + model.tensors[i].name + "'", "CRC-32"}, [&] { file.check_crcs(); }, what);
      bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    }
  });
}

TEST(WeightFile, RefusesChecksumsThatAreNotThoseOfItsTensors) {
  const auto expect = [](const char* crcs, std::initializer_list<std::string_view> words) {
    ModelWriter model = ModelWriter::tiny({.kind = "tokenizer"});
    model.metadata["crc32"] = crcs;
    const AlignedBytes bytes(model.bytes());
    expect_error(
        ErrorCode::format, words, [&] { WeightFile::from_bytes(bytes.span(), "tiny"); }, crcs);
  };
  expect(R"({})", {"tiny: crc32", "2 tensors"});
  expect(R"([1,2])", {"tiny: crc32", "2 tensors"});
  expect(R"({"tokenizer.vocab.text":1})", {"2 tensors"});
  expect(R"({"tokenizer.vocab.text":1,"tokenizer.vocab.text":1})", {"twice"});
  expect(R"({"tokenizer.vocab.text":1,"tokenizer.vocab.offset":1})", {"\"tokenizer.vocab.offset\"", "no tensor"});
  expect(R"({"tokenizer.vocab.text":1,"tokenizer.vocab.offsets":4294967296})",
         {"'tokenizer.vocab.offsets'", "below 2^32"});
  expect(R"({"tokenizer.vocab.text":1,"tokenizer.vocab.offsets":-1})", {"below 2^32"});
  expect(R"({"tokenizer.vocab.text":1,"tokenizer.vocab.offsets":"1"})", {"below 2^32"});
}

TEST(WeightFile, RefusesAFileCutAnywhere) {
  const std::string bytes = ModelWriter::tiny().bytes();
  for (std::size_t i = 1; i < 200; ++i) {
    const std::size_t size = bytes.size() * i / 200;
    const AlignedBytes aligned(bytes.substr(0, size));
    expect_error(
        ErrorCode::format, {"cut"}, [&] { WeightFile::from_bytes(aligned.span(), "cut"); }, std::to_string(size));
    const TempFile file(bytes.substr(0, size));
    expect_error(
        ErrorCode::format, {file.path()}, [&] { WeightFile::open(file.path()); }, std::to_string(size));
  }
}

TEST(WeightFile, RefusesWhatIsNoFileOfBytes) {
  const TempFile empty("");
  const std::string fifo = empty.path() + ".fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (const bool copy : {false, true}) {
    for (const std::string& path :
         {empty.path(), fifo, std::string("/"), std::string("/no/such/file"), std::string("/dev/zero")}) {
      expect_error(ErrorCode::file, {"'" + path + "'"}, [&] { WeightFile::open(path, {.copy = copy}); });
    }
  }
  ::unlink(fifo.c_str());
  expect_error(ErrorCode::format, {"nothing"}, [] { WeightFile::from_bytes({}, "nothing"); });
}

TEST(WeightFile, RefusesMetadataThatItDoesNotKnow) {
  ModelWriter model = ModelWriter::tiny();
  model.metadata["licence"] = "MIT";
  const AlignedBytes bytes(model.bytes());
  expect_error(ErrorCode::format, {"\"licence\"", "unknown"}, [&] { WeightFile::from_bytes(bytes.span()); });
}

TEST(WeightFile, NamesThePartWhoseJsonIsDamaged) {
  for (const char* part : {"source", "config", "tokenizer", "selftest", "crc32"}) {
    for (const char* text : {"", "{", "[]]", "{\"a\":1,\"a\":2}", "\xef\xbb\xbf{}"}) {
      ModelWriter model = ModelWriter::tiny();
      model.metadata[part] = text;
      const AlignedBytes bytes(model.bytes());
      expect_error(
          ErrorCode::format, {std::string("tiny: ") + part}, [&] { WeightFile::from_bytes(bytes.span(), "tiny"); },
          text);
    }
  }
}

TEST(WeightFile, EndsInAnErrorOrALoadedFileWhateverBytesChange) {
  const std::string good = tiny_of("int8").bytes();
  std::uint64_t header = 0;
  std::memcpy(&header, good.data(), 8);
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  std::size_t loaded = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = good;
    for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
      // Most go to the header, where they can do harm, and many of them keep it near to JSON.
      const std::size_t at = below(10) == 0 ? below(bytes.size()) : below(10) == 0 ? below(8) : 8 + below(header);
      const char* likely = "0123456789{}[]\",:-.eE\\ \0\xff";
      const char value = below(2) == 0 ? static_cast<char>(random()) : likely[below(26)];
      switch (below(4)) {
        case 0: bytes.erase(at, 1 + below(3)); break;
        case 1: bytes.insert(at, 1, value); break;
        default: bytes[std::min(at, bytes.size() - 1)] = value; break;
      }
    }
    const AlignedBytes aligned(bytes);
    try {
      WeightFile file = WeightFile::from_bytes(aligned.span());
      const std::vector<TensorInfo> all = file.tensors();
      for (const TensorInfo& tensor : all) {
        if (tensor.shape.size() > 4) continue;
        EXPECT_EQ(take(file, tensor).size(), tensor.size);
      }
      ++loaded;
      file.check_crcs();
    } catch (const bertha::Error& error) {
      EXPECT_FALSE(std::string(error.what()).empty());
      ++refused;
    }
  }
  EXPECT_GT(loaded, 50u);
  EXPECT_GT(refused, 4000u);
}

TEST(Join, PutsADotBetweenLayerAndPart) {
  EXPECT_EQ(bertha::join("encoder.layer.0", "intermediate"), "encoder.layer.0.intermediate");
}

}  // namespace
