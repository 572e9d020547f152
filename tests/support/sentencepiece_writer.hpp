// Writes SentencePiece models (.model files, messages of Protocol Buffers) for tests.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace bertha_test {

/// A model and what it says of itself.
struct SentencePieceWriter {
  enum Type { normal = 1, unknown, control, user_defined, unused, byte };
  struct Piece {
    std::string text;
    float score = 0;
    Type type = normal;
  };

  std::vector<Piece> pieces;
  std::map<std::string, std::string> charsmap;  // strings to what replaces them
  unsigned model_type = 1;                      // 1: Unigram, 2: BPE
  bool byte_fallback = false;

  /// <unk>, <s>, </s> and `texts`.
  static SentencePieceWriter plain(const std::vector<std::pair<std::string, float>>& texts) {
    SentencePieceWriter its;
    its.pieces = {{"<unk>", 0, unknown}, {"<s>", 0, control}, {"</s>", 0, control}};
    for (const auto& [text, score] : texts) its.pieces.push_back({text, score, normal});
    return its;
  }

  std::string bytes() const { return pieces_field() + field(2, trainer()) + field(3, normalizer()); }

  std::string pieces_field() const {
    std::string result;
    for (const Piece& piece : pieces) {
      std::uint32_t bits;
      std::memcpy(&bits, &piece.score, sizeof bits);
      std::string message = field(1, piece.text) + varint(2 << 3 | 5);
      for (int i = 0; i < 4; ++i) message += static_cast<char>(bits >> 8 * i);
      result += field(1, message + field(3, piece.type));
    }
    return result;
  }

  std::string trainer() const {
    std::uint64_t unk_id = 0;
    while (unk_id < pieces.size() && pieces[unk_id].type != unknown) ++unk_id;
    return field(3, model_type) + field(35, byte_fallback) + field(40, unk_id);
  }

  /// With a dummy prefix, without extra white space, and spaces as marks, as all models of encoders.
  std::string normalizer() const {
    return field(1, "test") + (charsmap.empty() ? "" : field(2, compiled(charsmap))) + field(3, 1) + field(4, 1) +
           field(5, 1);
  }

  static std::string varint(std::uint64_t value) {
    std::string result;
    for (; value > 0x7F; value >>= 7) result += static_cast<char>(value | 0x80);
    return result + static_cast<char>(value);
  }
  static std::string field(std::uint64_t number, std::uint64_t value) { return varint(number << 3) + varint(value); }
  static std::string field(std::uint64_t number, const std::string& bytes) {
    return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
  }

  /// Rules of normalisation: a double array of Darts that is plain and large, 256 units for each node, and strings.
  static std::string compiled(const std::map<std::string, std::string>& rules) {
    std::map<std::string, std::uint32_t> place = {{"", 256}};  // of the children of each start of a string
    for (const auto& [key, text] : rules) {
      for (std::size_t size = 1; size <= key.size(); ++size)
        place.emplace(key.substr(0, size), 256 * static_cast<std::uint32_t>(place.size() + 1));
    }
    std::vector<std::uint32_t> units(256 * (place.size() + 1), 1u << 31);  // no byte's, unless it is set
    const auto unit_of = [&](const std::string& start) {
      return place.at(start.substr(0, start.size() - 1)) + static_cast<unsigned char>(start.back());
    };
    units[0] = place.at("") << 10;
    for (const auto& [start, at] : place) {
      if (start.empty()) continue;
      units[unit_of(start)] = (unit_of(start) ^ at) << 10 | static_cast<unsigned char>(start.back());
    }
    std::string texts;
    for (const auto& [key, text] : rules) {
      units[unit_of(key)] |= 1u << 8;
      units[place.at(key)] = 1u << 31 | static_cast<std::uint32_t>(texts.size());
      texts += text + '\0';
    }
    units.insert(units.begin(), static_cast<std::uint32_t>(4 * units.size()));
    std::string result;
    for (const std::uint32_t unit : units) {
      for (int i = 0; i < 4; ++i) result += static_cast<char>(unit >> 8 * i);
    }
    return result + texts;
  }
};

}  // namespace bertha_test
