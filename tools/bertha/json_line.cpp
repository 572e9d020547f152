#include "json_line.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace program {
namespace {

using bertha::ErrorCode;
using bertha::throw_error;
using nlohmann::json;

/// The string at `key`; without the key: nothing, or an error when it is required. `expected` says what else may be
/// there.
std::optional<std::string> text_at(const json& object, const char* key, bool required, std::string_view expected) {
  const auto found = object.find(key);
  if (found == object.end() || (found->is_null() && !required)) {
    if (!required) return std::nullopt;
    throw_error(ErrorCode::input, {"the line has no key \"", key, "\"; expected ", expected, " there"});
  }
  if (!found->is_string())
    throw_error(ErrorCode::input, {"the value of \"", key, "\" is ", found->type_name(), "; expected ", expected});
  return found->get<std::string>();
}

/// The strings of the list at `key`; where there is no list and none is required, nothing.
std::optional<std::vector<std::string>> texts_at(const json& object, const char* key, bool required) {
  const auto found = object.find(key);
  if (!required && (found == object.end() || !found->is_array())) return std::nullopt;
  if (found == object.end())
    throw_error(ErrorCode::input, {"the line has no key \"", key, "\"; expected a list of strings there"});
  const auto is_string = [](const json& text) { return text.is_string(); };
  if (!found->is_array() || !std::all_of(found->begin(), found->end(), is_string))
    throw_error(ErrorCode::input, {"the value of \"", key, "\" is no list of strings"});
  return found->get<std::vector<std::string>>();
}

/// Takes what the members of an object are made of off the front of `text`, which is JSON: up to a colon, a comma or
/// the object's end, which go too. Without spaces but for those in strings.
std::string take_part(std::string_view& text) {
  std::string part;
  bool in_string = false;
  std::size_t depth = 0, at = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      part += c;
      if (c == '\\') part += text[++at];
      if (c == '"') in_string = false;
    } else {
      if (depth == 0 && (c == ':' || c == ',' || c == '}')) break;
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      if (c == '"') in_string = true;
      if (c != ' ' && c != '\t' && c != '\r') part += c;
    }
  }
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

/// The members of a line's object that are for whoever reads the output. They stay as they are written: a number that
/// is too long for this machine, or "1.0", would come out as another. The program's own keys are left out, so that the
/// output has each once.
std::string other_members(std::string_view line, const Keys& keys) {
  const std::array<std::string_view, 6> known = {keys.text, keys.pair, "result", "truncated", "error", "line"};
  std::string others;
  line.remove_prefix(line.find('{') + 1);
  while (!line.empty()) {
    const std::string key = take_part(line), value = take_part(line);
    const bool is_member = !key.empty() && !value.empty();  // not after an object's end
    if (!is_member || std::find(known.begin(), known.end(), json::parse(key).get<std::string>()) != known.end())
      continue;
    others += (others.empty() ? "" : ",") + key + ':' + value;
  }
  return others;
}

}  // namespace

json parse_object(const std::string& line) {
  json object;
  try {
    object = json::parse(line);
  } catch (const json::exception& error) {
    // It quotes what it read last, which may be all of a long line.
    throw_error(ErrorCode::input, {"the line is not valid JSON: ", std::string_view(error.what()).substr(0, 300)});
  }
  if (!object.is_object())
    throw_error(ErrorCode::input, {"the line is ", object.type_name(), "; expected a JSON object"});
  return object;
}

Line parse_line(const std::string& text, const Keys& keys) {
  Line line;
  try {
    const json object = parse_object(text);
    if (object.size() > object.count(keys.text) + object.count(keys.pair)) line.others = other_members(text, keys);
    const bool in_text = keys.list == List::text, in_pair = keys.list == List::pair || keys.second == Second::list;
    if (in_text || in_pair) line.texts = texts_at(object, in_text ? keys.text : keys.pair, keys.second == Second::list);
    const auto expected = [](bool or_list) { return or_list ? "a string or a list of strings" : "a string"; };
    if (!line.texts || !in_text) line.text = *text_at(object, keys.text, true, expected(in_text));
    if (!line.texts || !in_pair)
      line.pair = text_at(object, keys.pair, keys.second == Second::required, expected(in_pair));
    if (line.pair && keys.second == Second::refused)
      throw_error(ErrorCode::input, {"the line has a ", keys.pair, "; this command reads a text alone"});
  } catch (const bertha::Error& error) {
    line.error = error;
  }
  return line;
}

bool is_blank(const std::string& line) { return line.find_first_not_of(" \t") == std::string::npos; }

}  // namespace program
