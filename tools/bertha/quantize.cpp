// quantize: an int8 file of a float32 file, calibrated on texts, and what that changes.

#include <algorithm>
#include <bertha/quantize.hpp>
#include <string_view>

#include "calibration_text.hpp"
#include "commands.hpp"
#include "for_people.hpp"
#include "json_line.hpp"

namespace program {
namespace {

using nlohmann::ordered_json;

/// The lines of a text that are not blank, as those of standard input are read.
std::vector<std::string> lines_of(std::string_view text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  std::vector<std::string> lines;
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  while (!text.empty()) {
    const std::size_t end = std::min(text.size(), text.find('\n'));
    std::string line(text.substr(0, end));
    if (line.ends_with('\r')) line.pop_back();
    if (!is_blank(line)) lines.push_back(std::move(line));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return lines;
}

std::vector<std::string> lines_of_file(const std::string& path) {
  const bertha::MappedFile file(path, bertha::MappedFile::Mode::copy);
  return lines_of({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
}

/// Two errors beside each other, of int8 as it is and of the file, where that is another thing.
void add_errors(ordered_json& json, double plain, double calibrated, bool is_plain) {
  json["int8"] = plain;
  if (!is_plain) json["calibrated"] = calibrated;
}

ordered_json facts(const QuantizeArguments& arguments, const bertha::QuantizeReport& report) {
  const bool plain = arguments.plain;
  ordered_json json = {{"file", arguments.out},   {"bytes", report.bytes},
                       {"texts", report.texts},   {"tokens", report.tokens},
                       {"labels", report.labels}, {"labels_changed", ordered_json::object()}};
  json["labels_changed"]["int8"] = report.plain.labels_changed;
  if (!plain) json["labels_changed"]["calibrated"] = report.calibrated.labels_changed;
  add_errors(json["rms_error_of_logits"], report.plain.logits, report.calibrated.logits, plain);
  json["rms_error_of_hidden_states"] = ordered_json::array();
  for (std::size_t layer = 0; layer < report.plain.hidden.size(); ++layer) {
    ordered_json row = {{"after", layer == 0 ? "embeddings" : "layer " + std::to_string(layer - 1)}};
    add_errors(row, report.plain.hidden[layer], report.calibrated.hidden[layer], plain);
    json["rms_error_of_hidden_states"].push_back(row);
  }
  if (plain) return json;
  json["rms_error_of_linear_layers"] = ordered_json::array();
  for (const auto& layer : report.layers)
    json["rms_error_of_linear_layers"].push_back({{"name", layer.name},
                                                  {"smoothing", layer.smoothing},
                                                  {"zero_point", layer.zero_point},
                                                  {"int8", layer.plain_error},
                                                  {"calibrated", layer.error}});
  json["rms_error_of_attention"] = ordered_json::array();
  for (const auto& one : report.attention)
    json["rms_error_of_attention"].push_back(
        {{"name", one.name}, {"fine", one.fine}, {"int8", one.plain_error}, {"calibrated", one.error}});
  return json;
}

}  // namespace

int quantize(const QuantizeArguments& arguments, Output& out) {
  const bertha::QuantizeReport report = bertha::quantize(
      arguments.model, arguments.out,
      {.texts = arguments.calibration ? lines_of_file(*arguments.calibration) : lines_of(kCalibrationText),
       .plain = arguments.plain,
       .call = {.max_threads = arguments.threads}});
  const ordered_json json = facts(arguments, report);
  out.text(arguments.json ? for_machines(json) : for_people(json));
  return 0;
}

}  // namespace program
