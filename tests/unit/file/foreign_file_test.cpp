// What users give to bertha by mistake: each is recognised, and the message says how to go on.

#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <bertha/file/model_file.hpp>
#include <fstream>
#include <string>
#include <string_view>

namespace {

using bertha::ErrorCode;
using bertha::WeightFile;
using bertha_test::AlignedBytes;
using bertha_test::ContainerWriter;
using bertha_test::expect_error;
using bertha_test::ModelWriter;
using bertha_test::TempFile;

void expect_recognised(const std::string& bytes, std::string_view as) {
  const TempFile file(bytes);
  const std::string folder = file.path().substr(0, file.path().rfind('/'));
  for (const bool copy : {false, true}) {
    expect_error(ErrorCode::format, {file.path(), as, "python3 tools/convert.py " + folder + " OUT"},
                 [&] { WeightFile::open(file.path(), {.copy = copy}); });
  }
  const AlignedBytes aligned(bytes);
  expect_error(ErrorCode::format, {"mine: ", as, "python3 tools/convert.py FOLDER OUT"},
               [&] { WeightFile::from_bytes(aligned.span(), "mine"); });
}

TEST(ForeignFile, IsACheckpointsWeights) {
  ContainerWriter file;
  file.add("bert.pooler.dense.bias", "F32", {4}, std::vector<float>(4, 1.0f));
  file.tensors[0].bytes.resize(16);
  std::string header = file.header({{"format", "pt"}}).dump();
  header.resize((header.size() + 7) / 8 * 8, ' ');  // as the reference writer does
  expect_recognised(ContainerWriter::pack_as_is(header, file.data()), "Hugging Face checkpoint's weights");
  header = file.header({{"format", "pt"}}).dump();
  header.erase(1, header.find("\"bert") - 1);  // and without metadata
  expect_recognised(ContainerWriter::pack_as_is(header, file.data()), "Hugging Face checkpoint's weights");
  expect_recognised("PK\3\4 and an archive", "PyTorch");
  expect_recognised("\x80\2\x8a\nl\xfc\x9c", "PyTorch");
  expect_recognised("\x89HDF\r\n\x1a\n", "TensorFlow");
}

TEST(ForeignFile, IsACheckpointsConfiguration) {
  expect_recognised("{\n  \"architectures\": [\n    \"BertForSequenceClassification\"\n  ]\n}\n", "config.json");
}

TEST(ForeignFile, IsAModelOfAnotherProgram) {
  expect_recognised(std::string("GGUF\3\0\0\0", 8), "GGUF");
  expect_recognised("\x08\x07\x12\x07pytorch", "ONNX");
  expect_recognised("\x08\x0A:\xC8\x03", "ONNX");
}

TEST(ForeignFile, IsNoModelFileAndNothingElse) {
  const AlignedBytes good(ModelWriter::tiny().bytes());
  EXPECT_NO_THROW(WeightFile::from_bytes(good.span()));
  for (const char* bytes : {"\x08\x07\x13", "\x08\x40\x12", "\x08", "PK", "text"}) {
    const AlignedBytes aligned(bytes);
    const std::string message =
        expect_error(ErrorCode::format, {"mine"}, [&] { WeightFile::from_bytes(aligned.span(), "mine"); });
    EXPECT_EQ(message.find("tools/convert.py"), message.npos) << message;
  }
}

TEST(ForeignFile, IsACheckpointsFolder) {
  const TempFile name("");
  const std::string folder = name.path() + ".folder", config = folder + "/config.json";
  ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0);
  expect_error(ErrorCode::file, {folder, "directory"}, [&] { WeightFile::open(folder); });
  std::ofstream(config) << "{}";
  expect_error(ErrorCode::file, {"Hugging Face", "python3 tools/convert.py " + folder + " OUT"},
               [&] { WeightFile::open(folder); });
  ::unlink(config.c_str());
  ::rmdir(folder.c_str());
}

TEST(FolderOf, IsWhatIsBeforeTheName) {
  EXPECT_EQ(bertha::detail::folder_of("a/b/model.safetensors"), "a/b");
  EXPECT_EQ(bertha::detail::folder_of("model.safetensors"), ".");
  EXPECT_EQ(bertha::detail::folder_of("/model.safetensors"), "/");
}

}  // namespace
