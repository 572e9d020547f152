#include "for_people.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "progress.hpp"

namespace program {
namespace {

using nlohmann::ordered_json;

std::string as_json(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/// A value that fits into a line. Strings without their quotes, but with what JSON escapes, so that a name in a file
/// can't do anything to a terminal.
std::string in_a_line(const ordered_json& value) {
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_null()) return "none";
  if (value.is_number_unsigned()) return with_commas(value.get<std::size_t>());
  if (value.is_number_float()) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.4g", value.get<double>());
    return digits;
  }
  if (value.is_string()) {
    const std::string quoted = as_json(value);
    return quoted.substr(1, quoted.size() - 2);
  }
  if (!value.is_array()) return as_json(value);
  if (value.empty()) return "none";
  std::string list;
  for (const ordered_json& element : value)
    list += (list.empty() ? "" : ", ") + (element.is_number() ? as_json(element) : in_a_line(element));
  return list;
}

/// Code points: what a column is wide.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

using Row = std::vector<std::string>;

/// Rows of cells, each column as wide as its widest cell.
std::string aligned(const std::vector<Row>& rows, const std::string& indent) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], width(row[i]));
    }
  std::string text;
  for (const Row& row : rows) {
    std::string line = indent;
    for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] + 2 - width(row[i]), ' ');
    text += line.erase(line.find_last_not_of(' ') + 1) + '\n';
  }
  return text;
}

bool is_list_of_things(const ordered_json& value) { return value.is_array() && !value.empty() && value[0].is_object(); }

/// A column for each key that any of the things has.
std::string table(const ordered_json& things, const std::string& indent) {
  Row keys;
  for (const ordered_json& thing : things)
    for (const auto& [key, value] : thing.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  std::vector<Row> rows = {keys};
  for (const ordered_json& thing : things) {
    Row& row = rows.emplace_back();
    for (const std::string& key : keys) row.push_back(thing.contains(key) ? in_a_line(thing[key]) : "");
  }
  return aligned(rows, indent);
}

std::string facts_below(const ordered_json& facts, const std::string& indent) {
  std::string text;
  std::vector<Row> rows;  // facts of a line each, that stand together
  const auto add_rows = [&] {
    text += aligned(rows, indent);
    rows.clear();
  };
  for (const auto& [key, value] : facts.items()) {
    if (!value.is_object() && !is_list_of_things(value)) {
      rows.push_back({key, in_a_line(value)});
      continue;
    }
    add_rows();
    text += indent + key + '\n';
    text += value.is_object() ? facts_below(value, indent + "  ") : table(value, indent + "  ");
  }
  add_rows();
  return text;
}

}  // namespace

std::string for_machines(const ordered_json& facts) { return as_json(facts) + '\n'; }

std::string for_people(const ordered_json& facts) { return facts_below(facts, ""); }

}  // namespace program
