// The container, undamaged and with every damage that a header can have.

#include <gtest/gtest.h>

#include "../../support/container_writer.hpp"
#include "../../support/expect_error.hpp"

#include <bertha/file/safetensors.hpp>
#include <cstring>
#include <limits>
#include <string>

namespace {

using bertha::DType;
using bertha::ErrorCode;
using bertha::parse_safetensors;
using bertha::Safetensors;
using bertha_test::AlignedBytes;
using bertha_test::ContainerWriter;
using bertha_test::expect_error;
using bertha_test::Json;

const Json kMetadata = {{"format", "1"}, {"note", "\xc3\xa9"}};

/// Three tensors: 64, 128 and 192 bytes.
ContainerWriter three() {
  ContainerWriter file;
  file.add("first", "U8", {64}, std::vector<std::uint8_t>(64, 1));
  file.add("second", "F32", {2, 16}, std::vector<float>(32, 2.0f));
  file.add("third", "BF16", {1, 3, 16, 2}, std::vector<std::uint16_t>(96, 3));
  return file;
}

Safetensors parse(const std::string& bytes) {
  const AlignedBytes aligned(bytes);
  return parse_safetensors(aligned.span(), "x.safetensors");
}

void expect_refused(const std::string& bytes, std::initializer_list<std::string_view> words,
                    const std::string& what = "") {
  expect_error(
      ErrorCode::format, {"x.safetensors"}, [&] { parse(bytes); }, what);
  expect_error(
      ErrorCode::format, words, [&] { parse(bytes); }, what);
}

/// The file of three tensors after `change` to its header.
template <class Change>
std::string changed(const Change& change) {
  const ContainerWriter file = three();
  Json header = file.header(kMetadata);
  change(header);
  return ContainerWriter::pack(header.dump(), file.data());
}

TEST(Safetensors, FindsTensorsAndMetadata) {
  const ContainerWriter file = three();
  const std::string header = file.header(kMetadata).dump();
  const Safetensors parsed = parse(ContainerWriter::pack(header, file.data()));
  const std::size_t begin = (8 + header.size() + 63) / 64 * 64;
  ASSERT_EQ(parsed.tensors.size(), 3u);
  EXPECT_EQ(parsed.tensors[0].name, "first");
  EXPECT_EQ(parsed.tensors[0].offset, begin);
  EXPECT_EQ(parsed.tensors[1].dtype, DType::f32);
  EXPECT_EQ(parsed.tensors[1].shape, (std::vector<std::size_t>{2, 16}));
  EXPECT_EQ(parsed.tensors[1].offset, begin + 64);
  EXPECT_EQ(parsed.tensors[1].size, 128u);
  EXPECT_EQ(parsed.tensors[2].dtype, DType::bf16);
  EXPECT_EQ(parsed.tensors[2].offset, begin + 192);
  EXPECT_EQ(parsed.metadata.at("note"), "\xc3\xa9");
}

TEST(Safetensors, RefusesAFileThatEndsAnywhereBeforeItsEnd) {
  const ContainerWriter file = three();
  const std::string bytes = ContainerWriter::pack(file.header(kMetadata).dump(), file.data());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    expect_refused(bytes.substr(0, size), {"x.safetensors"}, "first " + std::to_string(size) + " bytes");
  }
  expect_refused(std::string(7, '\0'), {"too short for a header"});
  expect_refused(std::string(8, '\0'), {"multiple of 64"});
  expect_refused(bytes + std::string(64, '\0'), {"tensors end at byte"});
}

TEST(Safetensors, RefusesAHeaderLengthThatIsWrong) {
  const ContainerWriter file = three();
  const std::string good = ContainerWriter::pack(file.header(kMetadata).dump(), file.data());
  const auto with_length = [&](std::uint64_t length) {
    std::string bytes = good;
    std::memcpy(bytes.data(), &length, 8);
    return bytes;
  };
  std::uint64_t length = 0;
  std::memcpy(&length, good.data(), 8);
  expect_refused(with_length(good.size() - 8 + 64), {"header should end"});
  expect_refused(with_length(length + 1), {"multiple of 64"});
  expect_refused(with_length(length + 64), {"byte"});  // of the first tensor, which is no JSON
  expect_refused(with_length(length - 64), {"byte"});
  expect_refused(with_length(0), {"multiple of 64"});
  expect_refused(with_length(16777216 + 56), {"at most 16777216"});
  for (const std::uint64_t huge :
       {std::uint64_t{1} << 40, std::uint64_t{1} << 63, std::numeric_limits<std::uint64_t>::max(),
        std::numeric_limits<std::uint64_t>::max() - 7}) {
    expect_refused(with_length(huge), {"at most 16777216"});
  }
}

TEST(Safetensors, RefusesAHeaderThatIsNotFilledUpTo64Bytes) {
  const ContainerWriter file = three();
  std::string header = file.header(kMetadata).dump();
  header.resize((8 + header.size() + 63) / 64 * 64 - 8 + 8, ' ');  // filled up to 8 bytes, as the reference writer does
  expect_refused(ContainerWriter::pack_as_is(header, file.data()), {"multiple of 64"});
}

TEST(Safetensors, AcceptsAHeaderOf16MegabytesAndNoLonger) {
  const ContainerWriter file = three();
  std::string header = file.header(kMetadata).dump();
  header.resize(16777216 - 8, ' ');
  EXPECT_EQ(parse(ContainerWriter::pack_as_is(header, file.data())).tensors.size(), 3u);
  header.resize(16777216 + 56, ' ');
  expect_refused(ContainerWriter::pack_as_is(header, file.data()), {"at most 16777216"});
}

TEST(Safetensors, RefusesHolesOverlapsAndRangesOutsideOfTheFile) {
  const auto with_range = [](const char* name, Json range) {
    return changed([&](Json& header) { header[name]["data_offsets"] = std::move(range); });
  };
  expect_refused(with_range("second", {128, 256}), {"'second'", "hole or overlap, from 64", "[128, 256]"});
  expect_refused(with_range("second", {0, 128}), {"'second'", "hole or overlap"});
  expect_refused(with_range("second", {63, 191}), {"'second'", "hole or overlap"});
  expect_refused(with_range("first", {64, 128}), {"'first'", "hole or overlap, from 0"});
  expect_refused(with_range("third", {192, 448}), {"'third'", "192 bytes long"});
  expect_refused(with_range("third", {192, 320}), {"'third'", "192 bytes long"});
  expect_refused(with_range("second", {64, 32}), {"'second'"});
  expect_refused(with_range("second", {64, std::numeric_limits<std::uint64_t>::max()}), {"'second'"});
  expect_refused(with_range("second", {-64, 64}), {"two integers"});
  expect_refused(with_range("second", {64.0, 192.0}), {"two integers"});
  expect_refused(with_range("second", {64}), {"two integers"});
  expect_refused(with_range("second", {64, 192, 192}), {"two integers"});
  expect_refused(with_range("second", {"64", "192"}), {"two integers"});
  expect_refused(with_range("second", 64), {"list"});
  expect_refused(changed([](Json& header) {
                   header["third"]["shape"] = {4, 3, 16, 2};
                   header["third"]["data_offsets"] = {192, 960};
                 }),
                 {"'third'", "within the file's 384 bytes"});
}

TEST(Safetensors, RefusesTensorsInAnotherOrderThanTheirBytes) {
  expect_refused(changed([](Json& header) {
                   header["first"]["data_offsets"] = {192 + 128, 384};
                   header["second"]["data_offsets"] = {192, 192 + 128};
                   header["third"]["data_offsets"] = {0, 192};
                 }),
                 {"'first'", "from 0"});
}

TEST(Safetensors, RefusesAShapeThatIsNotTheBytes) {
  const auto with_shape = [](Json shape) {
    return changed([&](Json& header) { header["second"]["shape"] = std::move(shape); });
  };
  expect_refused(with_shape({2, 17}), {"'second'", "136 bytes long"});
  expect_refused(with_shape(Json::array()), {"'second'", "4 bytes long"});
  expect_refused(with_shape({2, -16}), {"'second'", "integers"});
  expect_refused(with_shape({2.0, 16}), {"'second'", "integers"});
  expect_refused(with_shape({"2", 16}), {"'second'", "integers"});
  expect_refused(with_shape("2x16"), {"'second'", "list"});
  const std::uint64_t half = std::uint64_t{1} << 32;
  expect_refused(with_shape({half, half}), {"'second'", "fits 64 bits"});
  expect_refused(with_shape({half, half, 0}), {"'second'", "fits 64 bits"});
  expect_refused(with_shape({std::numeric_limits<std::uint64_t>::max()}), {"'second'", "fits 64 bits"});
  expect_refused(with_shape({std::uint64_t{1} << 62, 2, 16}), {"'second'", "fits 64 bits"});
}

TEST(Safetensors, TakesShapesOf8AxesAndNoMore) {
  const auto with_axes = [](std::size_t ones) {
    return changed([&](Json& header) {
      Json& shape = header["second"]["shape"];
      for (std::size_t i = 0; i < ones; ++i) shape.insert(shape.begin(), 1);
    });
  };
  EXPECT_EQ(parse(with_axes(6)).tensors[1].shape.size(), 8u);
  expect_refused(with_axes(7), {"'second'", "at most 8 integers"});
}

TEST(Safetensors, RefusesATensorThatIsNoMultipleOf64Bytes) {
  ContainerWriter file;
  file.tensors.push_back({"odd", "F32", {17}, std::string(68, 'x')});
  expect_refused(ContainerWriter::pack(file.header(kMetadata).dump(), file.data()), {"'odd'", "multiple of 64"});
}

TEST(Safetensors, RefusesElementTypesThatItDoesNotHave) {
  for (const char* type : {"F16", "I64", "BOOL", "f32", "F8_E4M3", ""}) {
    expect_error(ErrorCode::unsupported, {"'second'", "'dtype'", "U8, I8, U32, I32, BF16, F32, F64"},
                 [&] { parse(changed([&](Json& header) { header["second"]["dtype"] = type; })); });
  }
  expect_refused(changed([](Json& header) { header["second"]["dtype"] = 4; }), {"'dtype'", "string"});
}

TEST(Safetensors, RefusesEntriesWithMissingOrUnknownKeys) {
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    expect_refused(changed([&](Json& header) { header["second"].erase(key); }), {"'second'", key, "missing"});
  }
  expect_refused(changed([](Json& header) { header["second"]["strides"] = {16, 1}; }), {"strides", "unknown"});
  expect_refused(changed([](Json& header) { header["second"] = nullptr; }), {"'second'", "object"});
}

TEST(Safetensors, RefusesNamesThatAreNoPrintableAscii) {
  for (const std::string& name :
       {std::string(), std::string(257, 'n'), std::string("tab\t"), std::string("\xc3\xa9"), std::string("\x7f")}) {
    ContainerWriter file = three();
    file.tensors[1].name = name;
    expect_refused(ContainerWriter::pack(file.header(kMetadata).dump(), file.data()), {"tensor name"});
  }
  ContainerWriter file = three();
  file.tensors[1].name = std::string(256, '~');
  EXPECT_EQ(parse(ContainerWriter::pack(file.header(kMetadata).dump(), file.data())).tensors[1].name.size(), 256u);
}

TEST(Safetensors, RefusesTensorsNamedTwice) {
  ContainerWriter file = three();
  std::string header = file.header(kMetadata).dump();
  header.replace(header.find("\"third\""), 7, "\"first\"");
  expect_refused(ContainerWriter::pack(header, file.data()), {"\"first\"", "twice"});
}

TEST(Safetensors, RefusesAHeaderThatIsNoObject) {
  expect_refused(ContainerWriter::pack("[]", ""), {"object"});
  expect_refused(ContainerWriter::pack("", ""), {"JSON"});
  expect_refused(ContainerWriter::pack("{\"a\":\xff}", ""), {"byte"});
  expect_refused(ContainerWriter::pack("{\"\xff\":1}", ""), {"byte"});
}

TEST(Safetensors, RefusesMetadataThatIsNotStrings) {
  expect_refused(changed([](Json& header) { header.erase("__metadata__"); }), {"__metadata__", "no bertha model"});
  expect_refused(changed([](Json& header) { header["__metadata__"] = "text"; }), {"__metadata__", "object"});
  expect_refused(changed([](Json& header) { header["__metadata__"]["format"] = 1; }), {"\"format\"", "string"});
}

TEST(Safetensors, TakesMetadataOf64KeysAndNoMore) {
  const auto with_keys = [](std::size_t keys) {
    return changed([&](Json& header) {
      Json& metadata = header["__metadata__"];
      for (std::size_t i = metadata.size(); i < keys; ++i) metadata["key " + std::to_string(i)] = "";
    });
  };
  EXPECT_EQ(parse(with_keys(64)).metadata.size(), 64u);
  expect_refused(with_keys(65), {"__metadata__", "65 keys", "at most 64"});
}

TEST(Safetensors, RefusesNewerFormatsAndNamesTheRelease) {
  const auto with_format = [](const std::string& format, const std::string& source) {
    return changed([&](Json& header) {
      header["__metadata__"]["format"] = format;
      header["__metadata__"]["source"] = source;
      header["second"]["dtype"] = "F6";  // what a newer format may bring must not hide what is wrong
    });
  };
  const auto expect = [&](const std::string& format, const std::string& source, std::string_view release) {
    expect_error(ErrorCode::unsupported,
                 {"x.safetensors", "format " + format, "format " + std::to_string(BERTHA_FORMAT_VERSION) + " and older",
                  release},
                 [&] { parse(with_format(format, source)); });
  };
  const std::string next = std::to_string(BERTHA_FORMAT_VERSION + 1);
  expect(next, R"({"converter":"0.4.0"})", "bertha 0.4.0 or newer");
  expect("999999999", R"({"converter":"1.0.0","other":[]})", "bertha 1.0.0 or newer");
  expect(next, R"({"converter":4})", "a newer release");
  expect(next, R"([])", "a newer release");
}

TEST(Safetensors, RefusesFormatNumbersThatAreNone) {
  for (const char* format : {"", "0", "01", "-1", "1.0", " 1", "one", "1000000000"}) {
    expect_refused(changed([&](Json& header) { header["__metadata__"]["format"] = format; }), {"format number"},
                   format);
  }
  expect_refused(changed([](Json& header) { header["__metadata__"].erase("format"); }), {"no 'format'"});
}

TEST(DType, HasSafetensorsNamesAndSizes) {
  EXPECT_EQ(name(DType::u8), "U8");
  EXPECT_EQ(name(DType::bf16), "BF16");
  EXPECT_EQ(name(DType::f32), "F32");
  EXPECT_EQ(name(DType::f64), "F64");
  EXPECT_EQ(bertha::element_size(DType::i8), 1u);
  EXPECT_EQ(bertha::element_size(DType::bf16), 2u);
  EXPECT_EQ(bertha::element_size(DType::u32), 4u);
  EXPECT_EQ(bertha::element_size(DType::i32), 4u);
  EXPECT_EQ(bertha::element_size(DType::f64), 8u);
}

}  // namespace
