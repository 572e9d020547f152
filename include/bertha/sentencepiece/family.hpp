// What families of models make of a SentencePiece model: the ids of its pieces, and special tokens.

#pragma once

#include <bertha/config.hpp>
#include <cstdint>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// How a family numbers the pieces of a .model, and what stands around texts. Unless told otherwise pieces keep their
/// numbers, and the special tokens are those that the .model names, if it does.
struct SentencePieceFamily {
  std::vector<std::string> first_tokens = {};  ///< have the ids 0, 1, ..., pieces of these names among them
  std::uint32_t shift = 0;                     ///< what is added to the number of every other piece
  std::vector<std::string> last_tokens = {};   ///< have the ids behind all pieces
  std::string unk_token = {};                  ///< empty: the .model's own; so are the next three
  std::string cls_token = {};                  ///< before a text
  std::string sep_token = {};                  ///< behind it
  std::string pad_token = {};
  std::string mask_token = {};                  ///< empty: there is none
  bool mask_takes_space = false;                ///< white space before a mask token in a text is a part of it
  bool two_separators = false;                  ///< of a pair: A </s></s> B, else A [SEP] B
  std::uint32_t pair_type_id = 0;               ///< token type of a pair's second text
  std::vector<NormalizerStep> normalizer = {};  ///< what is done to a text before SentencePiece has it

  /// XLM-RoBERTa, and multilingual E5, BGE and MiniLM, which have its vocabulary.
  static SentencePieceFamily xlm_roberta() {
    return {.first_tokens = {"<s>", "<pad>", "</s>", "<unk>"},
            .shift = 1,
            .last_tokens = {"<mask>"},
            .unk_token = "<unk>",
            .cls_token = "<s>",
            .sep_token = "</s>",
            .pad_token = "<pad>",
            .mask_token = "<mask>",
            .mask_takes_space = true,
            .two_separators = true};
  }

  /// CamemBERT: its ids for <s> and </s> are those of the pieces, behind five tokens of fairseq.
  static SentencePieceFamily camembert() {
    SentencePieceFamily its = xlm_roberta();
    its.first_tokens = {"<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"};
    its.shift = 4;
    return its;
  }

  /// DeBERTa-v2 and v3.
  static SentencePieceFamily deberta_v2() {
    return {.last_tokens = {"[MASK]"},
            .unk_token = "[UNK]",
            .cls_token = "[CLS]",
            .sep_token = "[SEP]",
            .pad_token = "[PAD]",
            .mask_token = "[MASK]",
            .pair_type_id = 1};
  }

  /// ALBERT. Its texts are lower-cased and lose their accents first, as its English models want it.
  static SentencePieceFamily albert() {
    using Kind = NormalizerStep::Kind;
    SentencePieceFamily its = deberta_v2();
    its.last_tokens = {};
    its.unk_token = "<unk>";
    its.pad_token = "<pad>";
    its.mask_takes_space = true;
    its.normalizer = {{Kind::replace, "``", "\""},
                      {Kind::replace, "''", "\""},
                      {Kind::nfkd, {}, {}},
                      {Kind::strip_marks, {}, {}},
                      {Kind::lowercase, {}, {}}};
    return its;
  }
};

BERTHA_NAMESPACE_END
