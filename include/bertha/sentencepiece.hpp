// SentencePiece's own library as a tokenizer: what a .model says, exactly as SentencePiece does it.
//
// Not a part of bertha.hpp: link bertha::sentencepiece. A converted model needs none of this, its file has a tokenizer
// that equals Hugging Face's; the two differ where those two libraries do, as on characters that are repeated.

#pragma once

#include <bertha/file/mapped_file.hpp>
#include <bertha/sentencepiece/family.hpp>
#include <bertha/sentencepiece/kind.hpp>
#include <bertha/tokenizer/tokenizer.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

BERTHA_NAMESPACE_BEGIN

/// A Tokenizer made of a .model: `TextClassifier::load("x.safetensors", {.tokenizer = SentencePieceTokenizer::load(
/// "x.model", SentencePieceFamily::xlm_roberta())})`. Immutable, cheap to copy: several threads may use one at once.
class SentencePieceTokenizer : public Tokenizer {
 public:
  /// Throws Error{file} if there is no such file, Error{format} if it is no whole SentencePiece model, and
  /// Error{vocabulary} if it isn't one of the family's.
  static SentencePieceTokenizer load(const std::string& path, const SentencePieceFamily& family = {}) {
    return SentencePieceTokenizer(MappedFile(path, MappedFile::Mode::copy).bytes(), path, family);
  }

  /// The same from bytes, which are copied.
  static SentencePieceTokenizer load(std::span<const std::byte> bytes, const SentencePieceFamily& family = {}) {
    return SentencePieceTokenizer(bytes, "bytes", family);
  }

 private:
  SentencePieceTokenizer(std::span<const std::byte> bytes, std::string_view name, const SentencePieceFamily& family)
      : SentencePieceTokenizer(
            SentencePieceKind({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name, family)) {}

  explicit SentencePieceTokenizer(SentencePieceKind kind) : Tokenizer(kind.special_tokens(), kind) {}
};

BERTHA_NAMESPACE_END
