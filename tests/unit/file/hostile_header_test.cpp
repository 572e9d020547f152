// Headers that are made to cost: whatever is in one, it is read or refused with at most 20 bytes of memory for each of
// its bytes, in a time that grows as that of an honest header, and with a message that a person can read. Memory is
// counted by this program's own operator new; time is a ratio of CPU time, against a file with as many bytes of
// tensors.

#include <gtest/gtest.h>

#include "../../support/cpu_seconds.hpp"
#include "../../support/model_writer.hpp"

#include <malloc.h>
#include <algorithm>
#include <bertha/file/model_file.hpp>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace {

std::size_t live_bytes = 0;
std::size_t peak_bytes = 0;

void* counted(std::size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  live_bytes += malloc_usable_size(memory);
  peak_bytes = std::max(peak_bytes, live_bytes);
  return memory;
}
void release(void* memory) {
  live_bytes -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }

namespace {

using bertha::WeightFile;
using bertha_test::AlignedBytes;
using bertha_test::ContainerWriter;
using bertha_test::Json;
using bertha_test::ModelWriter;

constexpr std::size_t kSize = 120'000;  // bytes of each header, about

/// `begin`, then what `item` makes of 0, 1, 2, ... until there are kSize bytes, with commas between, then `end`.
std::string repeated(std::string text, const std::function<std::string(std::size_t)>& item, const std::string& end) {
  text += item(0);
  for (std::size_t i = 1; text.size() < kSize; ++i) text += "," + item(i);
  return text + end;
}
std::string repeated(std::string begin, const std::string& item, const std::string& end) {
  return repeated(
      std::move(begin), [&](std::size_t) { return item; }, end);
}

std::string quoted(std::size_t i) { return '"' + std::to_string(i) + '"'; }

/// A tiny tokenizer's file whose metadata `key` is `text`, which needs no escapes but for quotes.
std::string with_part(const std::string& key, const std::string& text) {
  ModelWriter model = ModelWriter::tiny({.kind = key == "config" ? "model" : "tokenizer"});
  model.metadata[key] = text;
  return model.bytes();
}

std::string replaced(Json part, const std::string& key, const std::string& text) {
  part[key] = "HERE";
  std::string whole = part.dump();
  return whole.replace(whole.find("\"HERE\""), 6, text);
}

/// A right file of as many tensors without elements as there is room for.
std::string many_tensors() {
  ModelWriter model = ModelWriter::tiny({.kind = "tokenizer"});
  for (std::size_t i = 0; i < kSize / 80; ++i) model.tensors.push_back({"t" + std::to_string(i), "U8", {0}, {}});
  return model.bytes();
}

Json shared_layers(Json config) {
  config["num_hidden_layers"] = kSize / 2;
  config["layer_weights"] = std::vector<int>(kSize / 2);
  return config;
}

/// One at a time, and none twice: they are large.
std::vector<std::pair<const char*, std::function<std::string()>>> hostile_files() {
  const auto pack = [](const std::string& header) { return ContainerWriter::pack(header, ""); };
  const auto tiny = [] { return ModelWriter::tiny(); };
  const std::string run(kSize, 'x');
  return {
      {"empty objects",
       [=] {
         return pack(repeated(
             "{", [](std::size_t i) { return quoted(i) + ":{}"; }, "}"));
       }},
      {"numbers", [=] { return pack(repeated(R"({"a":[)", "0", "]}")); }},
      {"empty lists", [=] { return pack(repeated(R"({"a":[)", "[]", "]}")); }},
      {"nesting", [=] { return pack(repeated(R"({"a":[)", "[[[[[[[[[[[[[]]]]]]]]]]]]]", "]}")); }},
      {"nesting too deep", [=] { return pack("{\"a\":" + std::string(kSize, '[')); }},
      {"commas", [=] { return pack("[" + std::string(kSize, ',')); }},
      {"a string", [=] { return pack("{\"a\":\"" + run + "\"}"); }},
      {"a string of commas", [=] { return pack("{\"a\":\"" + std::string(kSize, ',') + "\"}"); }},
      {"a string without end", [=] { return pack("{\"a\":\"" + run); }},
      {"a string with a control character", [=] { return pack("{\"a\":\"" + run + "\n\"}"); }},
      {"a word", [=] { return pack("{\"a\":" + run + "}"); }},
      {"a number", [=] { return pack("{\"a\":" + std::string(kSize, '1') + "}"); }},
      {"digits after the point", [=] { return pack("{\"a\":0." + std::string(kSize, '1') + "}"); }},
      {"escapes", [=] { return pack(repeated("{\"a\":[\"", R"(\u00e9\n\\)", "\"]}")); }},
      {"empty strings", [=] { return pack(repeated(R"({"a":[)", "\"\"", "]}")); }},
      {"a key", [=] { return pack("{\"" + run + "\":1}"); }},
      {"keys of one beginning",
       [=] {
         const std::string begin(1000, 'x');
         return pack(repeated(
             "{", [&](std::size_t i) { return '"' + begin + std::to_string(i) + "\":0"; }, "}"));
       }},
      {"a key given twice at the end",
       [=] {
         return pack(repeated(
             "{", [](std::size_t i) { return quoted(i) + ":0"; }, ",\"7\":0}"));
       }},
      {"objects with a key", [=] { return pack(repeated(R"({"a":[)", R"({"":0})", "]}")); }},
      {"metadata",
       [=] {
         return pack(repeated(
             "{\"__metadata__\":{", [](std::size_t i) { return quoted(i) + ":\"\""; }, "}}"));
       }},
      {"tensors", many_tensors},
      {"a shape",
       [=] {
         return pack(repeated(R"({"__metadata__":{"format":"1","crc32":""},"a":{"dtype":"U8","shape":[)", "0",
                              R"(],"data_offsets":[0,0]}})"));
       }},
      {"fields of a tensor",
       [=] {
         return pack(repeated(R"({"__metadata__":{"format":"1","crc32":""},"a":{)",
                              [](std::size_t i) { return quoted(i) + ":0"; }, "}}"));
       }},
      {"hashes",
       [=] {
         const std::string hashes = repeated(
             "{", [](std::size_t i) { return quoted(i) + ":\"\""; }, "}");
         return with_part("source", replaced(tiny().source, "sha256", hashes));
       }},
      {"labels", [=] { return with_part("config", replaced(tiny().config, "labels", repeated("[", "\"\"", "]"))); }},
      {"layers that share their weights", [=] { return with_part("config", shared_layers(tiny().config).dump()); }},
      {"zero points of layers that share their weights",
       [=] {
         Json config = shared_layers(tiny().config);
         config.erase("float32_split");
         config["precision"] = "int8";
         return with_part("config", replaced(config, "zero_points", repeated("[", R"("encoder.layer.0.output")", "]")));
       }},
      {"fields of the configuration",
       [=] {
         return with_part("config", repeated(
                                        "{", [](std::size_t i) { return quoted(i) + ":0"; }, "}"));
       }},
      {"a template",
       [=] {
         const std::string pieces = repeated("[", R"({"special":0,"type_id":0})", "]");
         return with_part("tokenizer", replaced(tiny().tokenizer, "single", pieces));
       }},
      {"added tokens",
       [=] {
         const auto token = [](std::size_t i) {
           return R"({"single_word":true,"lstrip":true,"rstrip":true,"normalized":true,"special":true,"id":)" +
                  std::to_string(i) + ",\"content\":" + quoted(i) + '}';
         };
         return with_part("tokenizer", replaced(tiny().tokenizer, "added_tokens", repeated("[", token, "]")));
       }},
      {"a self-test of numbers", [=] { return with_part("selftest", repeated("[", "0", "]")); }},
      {"a self-test of ids",
       [=] { return with_part("selftest", repeated(R"([{"text":"","text_pair":null,"ids":[)", "0", "]}]")); }},
      {"logits of a self-test",
       [=] {
         ModelWriter model = ModelWriter::tiny({.head = "custom"});
         model.metadata["selftest"] = repeated(
             R"([{"text":"","text_pair":null,"ids":[],"type_ids":[],"offsets":[],"logits_bytes":null,"answer":null,"logits":[[)",
             "0", "]]}]");
         return model.bytes();
       }},
      {"labels that are none",
       [=] { return with_part("config", replaced(tiny().config, "labels", repeated("[", "0", "]"))); }},
      {"cases of a self-test",
       [=] {
         const char* item = R"({"text":"","text_pair":null,"ids":[],"type_ids":[],"offsets":[],"logits":null,)"
                            R"("logits_bytes":null,"answer":null})";
         return with_part("selftest", repeated("[", item, "]"));
       }},
      {"checksums",
       [=] {
         return with_part("crc32", repeated(
                                       "{", [](std::size_t i) { return quoted(i) + ":0"; }, "}"));
       }},
  };
}

/// The message of the Error, or nothing where the file is read.
std::string load(const AlignedBytes& bytes) {
  try {
    WeightFile::from_bytes(bytes.span(), "f");
    return {};
  } catch (const bertha::Error& error) {
    return error.what();
  }
}

TEST(HostileHeader, TakesLittleMemoryAndAShortMessage) {
  std::size_t read = 0;
  for (const auto& [what, make] : hostile_files()) {
    const std::string file = make();
    ASSERT_GT(file.size(), kSize / 2) << what;
    const AlignedBytes bytes(file);
    const std::size_t before = live_bytes;
    peak_bytes = live_bytes;
    const std::string message = load(bytes);
    EXPECT_LE(static_cast<double>(peak_bytes - before) / static_cast<double>(file.size()), 20.0) << what;
    EXPECT_LT(message.size(), 600u) << what;
    read += message.empty();
    RecordProperty(what, message.substr(0, 80));
  }
  EXPECT_GE(read, 4u);  // tensors, hashes, added tokens, cases, layers: they are many, and right
}

double seconds(const AlignedBytes& bytes) {
  return bertha_test::cpu_seconds([&] { load(bytes); });
}

TEST(HostileHeader, TakesNoLongerThanTwentyHonestOnesOfItsSize) {
  const AlignedBytes honest(many_tensors());
  const double per_byte = seconds(honest) / static_cast<double>(honest.span().size());
  for (const auto& [what, make] : hostile_files()) {
    const AlignedBytes bytes(make());
    EXPECT_LT(seconds(bytes) / static_cast<double>(bytes.span().size()), 20 * per_byte) << what;
  }
}

}  // namespace
