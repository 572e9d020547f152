// Raw text to tokens by SentencePiece's own library. A TokenizerKind.
//
// The tokens are those that the library makes of a text. Their ranges are its own but for what other kinds do: they
// leave out white space, and what has no other range (a mark alone, a part of a character) has the character there.

#pragma once

#include <sentencepiece_processor.h>
#include <algorithm>
#include <bertha/sentencepiece/family.hpp>
#include <bertha/sentencepiece/model_bytes.hpp>
#include <bertha/tokenizer/metaspace.hpp>
#include <bertha/tokenizer/step_normalizer.hpp>
#include <bertha/tokenizer/stop_meter.hpp>
#include <bertha/tokenizer/stored_strings.hpp>
#include <bertha/tokenizer/tokenizer_kind.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A .model with the ids of a family. Immutable, cheap to copy: several threads may use one at once.
class SentencePieceKind {
 public:
  /// Errors call the .model `name`. Throws Error{format} if `bytes` are none, Error{vocabulary} if it isn't one of the
  /// family's.
  SentencePieceKind(std::string_view bytes, std::string_view name, const SentencePieceFamily& family)
      : its_(std::make_shared<const Model>(bytes, name, family)) {}

  const StoredStrings& strings() const { return *its_->strings; }

  /// The id of a token.
  std::optional<std::uint32_t> find(std::string_view token) const { return its_->find(token); }

  /// The special tokens of the family, or of the .model where the family names none.
  const SpecialTokens& special_tokens() const { return its_->special; }

  /// Normalises valid UTF-8, whose first byte is byte `base` of a text, as the family wants it before SentencePiece.
  void normalize(std::string_view text, std::uint32_t base, NormalizedText& out) const {
    if (its_->steps.empty()) return out.refer_to(text, base);
    its_->steps(text, base, out);
  }

  /// The text of tokens: Hugging Face's `convert_tokens_to_string`.
  std::string decode(std::span<const std::string_view> tokens) const {
    return decode_metaspace(tokens, PrependScheme::always);
  }

  /// One call: its tokens and its working memory.
  class Run {
   public:
    /// `text` is valid UTF-8 and, as `stop`, lives as long. The library's work on a part of it is not left halfway.
    Run(const SentencePieceKind& kind, std::string_view text, const Stop& stop)
        : kind_(kind), text_(text), stop_(stop) {}

    /// Appends an added token that was found at `origin`.
    void append_added_token(std::uint32_t id, Span origin) { tokens_.append(id, origin, n_words_++); }

    /// Appends the tokens of bytes [from, to) of the text.
    void append_raw(std::size_t from, std::size_t to) {
      kind_.normalize(text_.substr(from, to - from), static_cast<std::uint32_t>(from), normalized_);
      append_normalized(normalized_, 0, normalized_.text().size());
    }

    /// Appends the tokens of bytes [from, to) of a normalised part of the text. Throws Error{input} if that is too
    /// long, or the library can't tokenise it.
    void append_normalized(const NormalizedText& part, std::size_t from, std::size_t to) {
      const std::string_view text = part.text().substr(from, to - from);
      if (text.empty()) return;
      if (text.size() > kMaxBytes) {
        throw_error(ErrorCode::input, {"a text for SentencePiece has ", text.size(), " bytes, at most ", kMaxBytes,
                                       " are possible; divide it"});
      }
      stop_.pass(text.size());
      sentencepiece::ImmutableSentencePieceText found;
      const auto status = kind_.its_->processor.Encode(text, found.mutable_proto());
      if (!status.ok()) throw_error(ErrorCode::input, {"SentencePiece can't tokenise a text: ", status.ToString()});
      bool begins_word = true;
      for (std::size_t i = 0; i < found.pieces_size(); ++i) {
        const auto piece = found.pieces(static_cast<int>(i));
        const std::string_view string = piece.piece();
        if (begins_word || string.starts_with(kMetaspace)) ++n_words_;
        begins_word = string.size() > kMetaspace.size() && string.ends_with(kMetaspace);
        const Span its = without_space(text, piece.begin(), piece.end());
        tokens_.append(kind_.its_->ids.at(piece.id()), part.origin(from + its.start, from + its.end), n_words_ - 1);
      }
    }

    TokenSequence& tokens() { return tokens_; }

   private:
    // The library counts with 32 bits, and a byte may become many when it normalises.
    static constexpr std::size_t kMaxBytes = std::size_t{1} << 26;

    static Span without_space(std::string_view text, std::size_t begin, std::size_t end) {
      end = std::min(end, text.size());
      while (begin < end && unicode::starts_with(text.substr(begin), unicode::kWhiteSpace)) {
        begin += utf8::decode(text, begin).size;
      }
      while (begin < end && unicode::ends_with(text.substr(0, end), unicode::kWhiteSpace)) {
        end = unicode::last_code_point(text.substr(0, end));
      }
      if (begin >= end) {
        if (begin >= text.size()) begin = unicode::last_code_point(text);
        end = begin + utf8::decode(text, begin).size;
      }
      return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
    }

    const SentencePieceKind& kind_;
    const std::string_view text_;
    TokenSequence tokens_;
    std::uint32_t n_words_ = 0;
    StopMeter stop_;
    NormalizedText normalized_;  // a raw part, while it is looked at
  };

 private:
  struct Model {
    Model(std::string_view bytes, std::string_view name, const SentencePieceFamily& family)
        : first(family.first_tokens), last(family.last_tokens), steps(family.normalizer) {
      detail::require_sentencepiece_model(bytes, name);
      if (const auto status = processor.LoadFromSerializedProto(bytes); !status.ok()) {
        throw_error(ErrorCode::format, {name, ": SentencePiece can't read it: ", status.ToString()});
      }
      number(name, family.shift);
      choose(name, family);
    }

    // Gives ids to pieces and tokens.
    void number(std::string_view name, std::size_t shift) {
      const auto n = static_cast<std::size_t>(processor.GetPieceSize());
      n_before_last = n + shift;
      std::vector<std::string_view> tokens(std::max(first.size(), n_before_last) + last.size());
      const auto put = [&](std::size_t id, std::string_view token) {
        if (!tokens[id].empty() && tokens[id] != token) {
          throw_error(ErrorCode::vocabulary, {name, ": ", detail::shown(token), " and ", detail::shown(tokens[id]),
                                              " would both have the id ", id, "; name the family of the .model"});
        }
        tokens[id] = token;
      };
      for (std::size_t i = 0; i < first.size(); ++i) put(i, first[i]);
      for (std::size_t i = 0; i < n; ++i) {
        const std::string& piece = processor.IdToPiece(static_cast<int>(i));
        const auto found = std::find(first.begin(), first.end(), piece);
        const auto id = found != first.end() ? static_cast<std::size_t>(found - first.begin()) : i + shift;
        put(id, piece);
        ids.push_back(static_cast<std::uint32_t>(id));
      }
      for (std::size_t i = 0; i < last.size(); ++i) put(n_before_last + i, last[i]);
      for (const std::string_view token : tokens) {
        text += token;
        offsets.push_back(static_cast<std::uint32_t>(text.size()));
      }
      strings.emplace(text, offsets, "the .model");
    }

    // Chooses the special tokens.
    void choose(std::string_view name, const SentencePieceFamily& family) {
      using Kind = TemplatePiece::Kind;
      const auto id_of = [&](const std::string& token, int own) -> std::optional<std::uint32_t> {
        if (token.empty()) return own < 0 ? std::nullopt : std::optional(ids.at(static_cast<std::size_t>(own)));
        if (const auto id = find(token)) return id;
        throw_error(ErrorCode::vocabulary, {name, ": there is no ", detail::shown(token),
                                            ", which the family has; name the family of the .model"});
      };
      const auto cls = id_of(family.cls_token, processor.bos_id()), sep = id_of(family.sep_token, processor.eos_id());
      const auto pad = id_of(family.pad_token, processor.pad_id()), mask = id_of(family.mask_token, -1);
      special.unk_token_id = id_of(family.unk_token, processor.unk_id()).value_or(0);
      special.cls_token_id = cls.value_or(special.unk_token_id);
      special.sep_token_id = sep.value_or(special.unk_token_id);
      special.pad_token_id = pad.value_or(special.unk_token_id);
      const auto put = [&](std::vector<TemplatePiece>& pieces, std::optional<std::uint32_t> id, std::uint32_t type) {
        if (id) pieces.push_back({Kind::special, *id, type});
      };
      put(special.single, cls, 0);
      special.single.push_back({Kind::sequence_a, 0, 0});
      put(special.single, sep, 0);
      special.pair = special.single;
      if (family.two_separators) put(special.pair, sep, 0);
      special.pair.push_back({Kind::sequence_b, 0, family.pair_type_id});
      put(special.pair, sep, family.pair_type_id);

      std::vector<std::optional<std::uint32_t>> cut_out = {special.unk_token_id, cls, sep, pad, mask};
      for (const auto* tokens : {&first, &last}) {
        for (const std::string& token : *tokens) cut_out.push_back(find(token));
      }
      std::sort(cut_out.begin(), cut_out.end());
      cut_out.erase(std::unique(cut_out.begin(), cut_out.end()), cut_out.end());
      for (const auto& id : cut_out) {
        if (!id) continue;
        special.added_tokens.push_back(
            {*id, std::string((*strings)[*id]), false, id == mask && family.mask_takes_space, false, false, true});
      }
    }

    std::optional<std::uint32_t> find(std::string_view token) const {
      for (std::size_t i = 0; i < first.size(); ++i) {
        if (first[i] == token) return static_cast<std::uint32_t>(i);
      }
      for (std::size_t i = 0; i < last.size(); ++i) {
        if (last[i] == token) return static_cast<std::uint32_t>(n_before_last + i);
      }
      const int piece = processor.PieceToId(token);  // of the unknown one, where there is none
      if (piece < 0 || processor.IdToPiece(piece) != token) return std::nullopt;
      return ids[static_cast<std::size_t>(piece)];
    }

    sentencepiece::SentencePieceProcessor processor;
    std::vector<std::string> first, last;  // tokens before and behind the pieces
    std::size_t n_before_last = 0;
    std::vector<std::uint32_t> ids;  // by piece
    std::string text;                // of the tokens
    std::vector<std::uint32_t> offsets{0};
    std::optional<StoredStrings> strings;
    SpecialTokens special;
    StepNormalizer steps;
  };

  std::shared_ptr<const Model> its_;
};

BERTHA_NAMESPACE_END
