// A float32 file, edited, made into int8. Whatever the edits are, bertha::Error is all that may come out of it, and
// what is written can be read.
//
// Input: whether to calibrate, then what edited_file reads.

#include <bertha/quantize.hpp>

#include "../support/container_writer.hpp"
#include "edited_file.hpp"
#include "input.hpp"

#include <filesystem>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bertha_fuzz::Input input(data, size);
  bertha::QuantizeOptions options = {.texts = {"the cat sat", "A ab abc. \xC3\xA9", ""}, .plain = input.flag()};
  options.call.max_threads = 1;
  std::string file;
  try {
    file = bertha_fuzz::edited_file(input);
  } catch (const nlohmann::json::exception&) {
    return 0;  // no JSON for what the edits made
  }
  const bertha_test::TempFile from(file);
  const std::string to = from.path() + ".int8";
  try {
    bertha::quantize(from.path(), to, options);
    bertha::WeightFile::open(to).check_crcs();
    bertha_fuzz::require(std::filesystem::remove(to), "the file is there");
  } catch (const bertha::Error& error) {
    bertha_fuzz::require(!std::string_view(error.what()).empty(), "an error says what is wrong");
    bertha_fuzz::require(!std::filesystem::exists(to), "an error leaves no file");
  }
  return 0;
}
