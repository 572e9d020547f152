// An object of a model file's JSON, read field by field, so that each has its type and range checked, is named when it
// is wrong, and none is overlooked.

#pragma once

#include <bertha/error.hpp>
#include <bertha/file/json.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Of every size in a file: what the library multiplies, two sizes and less than 2^12 bytes, stays below 2^60.
inline constexpr std::size_t kMaxSize = std::size_t{1} << 24;

/// One JSON object being read: each field is taken by name and type, then `finish` refuses what nobody took.
class JsonObject {
 public:
  /// Throws Error{format} unless `json` is an object, of no more keys than any object with fields has.
  JsonObject(Json json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) refuse_format(where_, concat({"expected an object, got ", json.shown()}));
    if (json.size() > kMaxFields) {
      refuse_format(where_, concat({"an object of ", json.size(), " keys, at most ", kMaxFields, " are known"}));
    }
  }

  const std::string& where() const { return where_; }

  bool has(std::string_view key) const { return find(key).index < json_.size(); }

  /// The value of a field that must be there.
  Json get(std::string_view key) {
    const Found found = find(key);
    if (found.index == json_.size()) refuse_format(where_, concat({"the key '", key, "' is missing"}));
    taken_ |= std::uint64_t{1} << found.index;
    return found.value;
  }

  bool boolean(std::string_view key) {
    const Json value = get(key);
    if (!value.is_boolean()) refuse(key, "true or false");
    return value.boolean();
  }

  std::string string(std::string_view key) {
    const Json value = get(key);
    if (!value.is_string()) refuse(key, "a string");
    return std::string(value.string());
  }

  double number(std::string_view key) {
    const Json value = get(key);
    if (!value.is_number()) refuse(key, "a number");
    return value.number();
  }

  /// An integer in [least, most], written without sign, fraction or exponent.
  std::size_t integer(std::string_view key, std::size_t least, std::size_t most) {
    const Json value = get(key);
    if (!value.is_natural() || value.natural() < least || value.natural() > most) {
      refuse(key, concat({"an integer from ", least, " to ", most}));
    }
    return value.natural();
  }

  /// A list that must be there.
  Json list(std::string_view key) {
    const Json value = get(key);
    if (!value.is_list()) refuse(key, "a list");
    return value;
  }

  /// The meaning of a word. Throws Error{unsupported} naming the word and the ones that are known.
  template <class T>
  T choice(std::string_view key, std::initializer_list<std::pair<std::string_view, T>> known) {
    const std::string word = string(key);
    std::string words;
    for (const auto& [name, meaning] : known) {
      if (word == name) return meaning;
      words.append(words.empty() ? "" : ", ").append(name);
    }
    refuse_unknown(key, words);
  }

  /// Refuses the value of `key`, which may be right in the format: `known` says what this release knows.
  [[noreturn]] void refuse_unknown(std::string_view key, std::string_view known) {
    throw_error(ErrorCode::unsupported, {where_, ": '", key, "' is ", get(key).shown(), ", this release knows: ", known,
                                         ". Update bertha or convert again."});
  }

  /// Refuses the value of `key`: `expected` says what should stand there.
  [[noreturn]] void refuse(std::string_view key, std::string_view expected) {
    refuse_format(where_, concat({"'", key, "' must be ", expected, ", got ", get(key).shown()}));
  }

  /// Throws Error{format} naming a field that nobody took.
  void finish() const {
    std::uint64_t left = ~taken_;
    for (const auto [key, value] : json_.items()) {
      if ((left & 1) != 0) refuse_format(where_, concat({"the key ", shown(key), " is unknown"}));
      left >>= 1;
    }
  }

 private:
  static constexpr std::size_t kMaxFields = 64;  // looked through for each field, and bits of taken_

  struct Found {
    std::size_t index;  // size() if there is none
    Json value;
  };
  Found find(std::string_view name) const {
    std::size_t index = 0;
    for (const auto [key, value] : json_.items()) {
      if (key == name) return {index, value};
      ++index;
    }
    return {index, json_};
  }

  Json json_;
  std::string where_;
  std::uint64_t taken_ = 0;  // bit i: field i was taken
};

}  // namespace detail

BERTHA_NAMESPACE_END
