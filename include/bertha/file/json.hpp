// JSON, read strictly; the only place where nlohmann/json is included. Refused beyond what that parser refuses: keys
// named twice in one object, nesting deeper than 16, a byte order mark, NUL bytes. Fields are read through JsonObject
// alone, so that each has its type and range checked, is named when it is wrong, and none is overlooked.

#pragma once

#include <bertha/error.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

using Json = nlohmann::json;

inline constexpr std::size_t kMaxJsonDepth = 16;

[[noreturn]] inline void refuse_format(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::format,
              where + ": " + what + ". The file is damaged or not made by convert.py: convert again.");
}

inline std::string shown(const std::string& text) { return shown(std::string_view(text)); }

/// A value for a message: short, and ASCII ('?' stands for every other byte).
inline std::string shown(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::boolean: return value.get<bool>() ? "true" : "false";
    case Json::value_t::number_unsigned: return std::to_string(value.get<std::uint64_t>());
    case Json::value_t::number_integer: return std::to_string(value.get<std::int64_t>());
    case Json::value_t::number_float: return std::to_string(value.get<double>());
    case Json::value_t::string: return shown(std::string_view(value.get_ref<const std::string&>()));
    case Json::value_t::array: {
      if (value.size() > 4) return "a list of " + std::to_string(value.size());
      std::string items;
      for (const Json& item : value) items += (items.empty() ? "" : ", ") + shown(item);
      return "[" + items + "]";
    }
    case Json::value_t::object:
    case Json::value_t::binary:
    case Json::value_t::discarded: break;
  }
  return "an object";
}

/// Parses an object or a list. Throws Error{format} naming `where`. `keys`, if given, receives the keys of the
/// outermost object in the order of the text, which for tensors is the order of their bytes.
inline Json parse_json(std::string_view text, const std::string& where, std::vector<std::string>* keys = nullptr) {
  // The parser would skip a byte order mark and take a NUL for the end of the text.
  if (text.empty() || (text.front() != '{' && text.front() != '[')) refuse_format(where, "JSON must start with { or [");
  if (text.find('\0') != std::string_view::npos) refuse_format(where, "a NUL byte in JSON");

  std::vector<std::set<std::string>> open;  // the keys of each object or list that is not closed yet
  const auto check = [&](int, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (open.size() == kMaxJsonDepth)
        refuse_format(where, "JSON is nested deeper than " + std::to_string(kMaxJsonDepth));
      open.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      open.pop_back();
    } else if (event == Event::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!open.back().insert(key).second) refuse_format(where, "the key " + shown(value) + " is given twice");
      if (keys != nullptr && open.size() == 1) keys->push_back(key);
    }
    return true;
  };
  try {
    return Json::parse(text.data(), text.data() + text.size(), check);
  } catch (const Json::parse_error& error) {
    refuse_format(where, "no valid JSON at byte " + std::to_string(error.byte));
  } catch (const Json::out_of_range&) {
    refuse_format(where, "a number in JSON is too large");
  }
}

/// One JSON object being read: each field is taken by name and type, then `finish` refuses what nobody took.
class JsonObject {
 public:
  /// `json` must outlive this object. Throws Error{format} unless it is an object.
  JsonObject(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) refuse_format(where_, "expected an object, got " + shown(json));
  }

  const std::string& where() const { return where_; }

  /// Whether there is a field of this name.
  bool has(std::string_view key) const { return json_.contains(std::string(key)); }

  /// The value of a field that must be there.
  const Json& get(std::string_view key) {
    const auto found = json_.find(std::string(key));
    if (found == json_.end()) refuse_format(where_, "the key '" + std::string(key) + "' is missing");
    taken_.emplace(key);
    return *found;
  }

  /// A field of type bool, std::string or double (for which integers of any size do too).
  template <class T>
  T require(std::string_view key) {
    const Json& value = get(key);
    if constexpr (std::is_same_v<T, bool>) {
      if (!value.is_boolean()) refuse(key, "true or false");
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!value.is_string()) refuse(key, "a string");
    } else {
      static_assert(std::is_same_v<T, double>);
      if (!value.is_number()) refuse(key, "a number");
    }
    return value.template get<T>();
  }

  /// An integer in [least, most], written without sign, fraction or exponent.
  std::size_t integer(std::string_view key, std::size_t least, std::size_t most) {
    const Json& value = get(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least || value.get<std::uint64_t>() > most) {
      refuse(key, "an integer from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return value.get<std::size_t>();
  }

  /// A list that must be there.
  const Json& list(std::string_view key) {
    const Json& value = get(key);
    if (!value.is_array()) refuse(key, "a list");
    return value;
  }

  /// The meaning of a word. Throws Error{unsupported} naming the word and the ones that are known.
  template <class T>
  T choice(std::string_view key, std::initializer_list<std::pair<std::string_view, T>> known) {
    const std::string word = require<std::string>(key);
    std::string words;
    for (const auto& [name, meaning] : known) {
      if (word == name) return meaning;
      words += (words.empty() ? "" : ", ") + std::string(name);
    }
    throw Error(ErrorCode::unsupported, where_ + ": '" + std::string(key) + "' is " + shown(word) +
                                            ", this release knows: " + words + ". Update bertha or convert again.");
  }

  /// Refuses the value of `key`: `expected` says what should stand there.
  [[noreturn]] void refuse(std::string_view key, const std::string& expected) {
    refuse_format(where_, "'" + std::string(key) + "' must be " + expected + ", got " + shown(get(key)));
  }

  /// Throws Error{format} naming a field that nobody took.
  void finish() const {
    for (const auto& [key, value] : json_.get_ref<const Json::object_t&>()) {
      if (!taken_.contains(key)) refuse_format(where_, "the key " + shown(key) + " is unknown");
    }
  }

 private:
  const Json& json_;
  std::string where_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace detail

BERTHA_NAMESPACE_END
