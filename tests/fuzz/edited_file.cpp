// See edited_file.hpp.

#include "edited_file.hpp"

#include "../support/marked_vocabulary.hpp"
#include "../support/model_writer.hpp"

#include <string>
#include <vector>

namespace bertha_fuzz {

namespace {

using bertha_test::Json;
using bertha_test::ModelWriter;
using bertha_test::TinyOptions;

/// Two cases of a self-test that a file of its head may have: with all that is recorded, and with as little as may be.
/// The tokens are those of WordPiece.
Json right_cases(const TinyOptions& options) {
  const std::string head = options.head;
  const bool asks = head == "question-answering", fills = head == "masked-lm";
  const std::size_t rows = fills ? 2 : asks || head == "token-classification" ? 4 : 1;
  const std::size_t columns = fills ? 3 : head == "embedding" ? options.embedding_size : options.labels.size();
  Json one = {{"text", "the cat"},
              {"text_pair", asks ? Json("the cat") : Json(nullptr)},
              {"ids", {2, 12, 13, 3}},
              {"type_ids", {0, 0, 0, 0}},
              {"offsets", {{0, 0}, {0, 3}, {4, 7}, {0, 0}}},
              {"logits", nullptr},
              {"logits_bytes", nullptr},
              {"answer", nullptr}};
  if (fills) one.update({{"positions", {1, 2}}, {"columns", {0, 5, 12}}});
  Json least = one;
  one["logits"] = Json(rows, Json(columns, 0.25));
  if (options.precision == "int8") one["logits_bytes"] = std::string(8 * rows * columns, '0');
  if (head == "sequence-classification") one["answer"] = R"([{"label":"negative","score":0.5}])";
  if (head == "token-classification")
    one["answer"] = R"([{"entity":"B-PER","score":0.5,"index":1,"word":"the","start":0,"end":3}])";
  if (asks) one["answer"] = R"({"score":0.5,"start":0,"end":3,"answer":"the"})";
  if (fills) {
    const std::string filled = R"([{"score":0.5,"token":12,"token_str":"the","sequence":"the cat"}])";
    one["answer"] = "[" + filled + "," + filled + "]";
  }
  return {std::move(one), std::move(least)};
}

std::vector<ModelWriter> right_files() {
  std::vector<ModelWriter> files;
  const auto add = [&](const TinyOptions& options) -> ModelWriter& {
    ModelWriter& model = files.emplace_back(ModelWriter::tiny(options));
    if (options.kind == "model" && options.vocabulary == TinyOptions().vocabulary)
      model.selftest = right_cases(options);
    return model;
  };
  add({});
  add({.precision = "bfloat16", .head = "token-classification", .labels = {"O", "B-PER", "I-PER"}, .pooler = ""});
  add({.precision = "int8", .calibrated = true}).format = "2";
  add({.head = "question-answering", .labels = {"start", "end"}, .pooler = "", .type_vocab_size = 0});
  add({.head = "masked-lm", .pooler = ""}).format = "2";
  add({.head = "embedding", .pooler = "", .embedding_size = 20}).format = "2";
  add({.num_hidden_layers = 3, .layer_weights = {0, 1, 0}, .position_padding_id = 1, .distance_bias = true}).format =
      "2";
  add({.kind = "encoder", .pooler = ""});
  const std::vector<std::string> marked = bertha_test::marked_vocabulary();
  ModelWriter& unigram = add({.vocabulary = marked});
  unigram.format = "2";
  unigram.make_unigram(marked);
  ModelWriter& characters = add({.vocabulary = marked});
  characters.format = "2";
  characters.make_character_bpe({{6, 7}, {9, 8}, {5, 6}});
  add({.vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "ab", "abc", "\xC4\xA0"}})
      .make_byte_bpe({{5, 6}, {8, 7}});
  ModelWriter& steps = add({});
  steps.format = "2";
  for (const char* key : {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"})
    steps.tokenizer.erase(key);
  steps.tokenizer["normalizer"] = {
      {{"step", "nfkc"}},
      {{"step", "replace"}, {"pattern", "a"}, {"content", "bb"}},
      {{"step", "replace_apart"}, {"pattern", "b"}, {"content", ""}, {"optional_before", true}},
      {{"step", "collapse_white_space"}},
      {{"step", "strip_right"}}};
  add({.pooler = "", .hidden_size = 48, .num_hidden_layers = 3, .type_vocab_size = 0, .modern = true}).format = "2";
  add({.pooler = "",
       .hidden_size = 48,
       .num_hidden_layers = 2,
       .type_vocab_size = 0,
       .modern = true,
       .norms_around = true})
      .format = "2";
  add({.pooler = "", .num_hidden_layers = 2, .disentangled = true}).format = "2";
  return files;
}

/// All values of a tree, the parents first.
void collect(Json& node, std::vector<Json*>& nodes) {
  nodes.push_back(&node);
  if (!node.is_structured()) return;
  for (Json& child : node) collect(child, nodes);
}

/// Values that readers trip over.
Json odd_value(Input& input) {
  constexpr std::int64_t kNumbers[] = {0,
                                       1,
                                       -1,
                                       2,
                                       3,
                                       16,
                                       64,
                                       1000,
                                       65536,
                                       (1 << 24) - 1,
                                       1 << 24,
                                       (1 << 24) + 1,
                                       (1ll << 31) - 1,
                                       1ll << 31,
                                       (1ll << 32) - 1,
                                       1ll << 32,
                                       (1ll << 53) + 1,
                                       INT64_MAX,
                                       INT64_MIN};
  constexpr double kReals[] = {0.5, -0.0, 1e-12, 1e30, 1e308, 1e-320, -1.0};
  switch (input.below(8)) {
    case 0: return input.one_of(kNumbers);
    case 1: return input.one_of(kReals);
    case 2: return input.flag();
    case 3: return nullptr;
    case 4: return input.text(input.below(12));
    case 5: return Json::array();
    case 6: return Json::object();
    default: return static_cast<int>(input.byte());
  }
}

void edit(Json& root, Input& input) {
  std::vector<Json*> nodes;
  collect(root, nodes);
  Json& node = *nodes[input.below(nodes.size())];
  switch (input.below(7)) {
    case 0: node = odd_value(input); break;
    case 1: node = Json(*nodes[input.below(nodes.size())]); break;
    case 2:
      if (node.is_object() && !node.empty()) {
        auto child = node.begin();
        for (std::size_t i = input.below(node.size()); i > 0; --i) ++child;
        node.erase(child);
      } else if (node.is_array() && !node.empty()) {
        node.erase(input.below(node.size()));
      }
      break;
    case 3:
      if (node.is_array() && !node.empty()) node.push_back(Json(node[input.below(node.size())]));
      if (node.is_object()) node[input.text(input.below(8))] = odd_value(input);
      break;
    case 4:
      if (node.is_number_integer()) node = node.get<std::int64_t>() + (input.flag() ? 1 : -1);
      break;
    case 5:
      if (node.is_string()) node = node.get<std::string>() + input.text(input.below(6));
      break;
    default:  // a name, or a kind, that is there in another place
      for (Json* other : nodes)
        if (other != &node && other->type() == node.type() && input.flag()) {
          node = Json(*other);
          break;
        }
  }
}

void edit_tensor(ModelWriter& model, Input& input) {
  auto& tensors = model.tensors;
  if (tensors.empty()) return;
  auto& tensor = tensors[input.below(tensors.size())];
  constexpr const char* kTypes[] = {"F32", "BF16", "I8", "U8", "I32", "U32", "F64", "F16"};
  switch (input.below(8)) {
    case 0: tensor.dtype = input.one_of(kTypes); break;
    case 1:
      if (!tensor.shape.empty()) tensor.shape[input.below(tensor.shape.size())] = input.number();
      break;
    case 2: tensor.bytes.resize(input.below(4096)); break;
    case 3: tensor.name = tensors[input.below(tensors.size())].name; break;
    case 4: std::swap(tensor, tensors[input.below(tensors.size())]); break;
    case 5: tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(input.below(tensors.size()))); break;
    default: {
      const std::size_t at = tensor.bytes.empty() ? 0 : input.below(std::min<std::size_t>(tensor.bytes.size(), 65536));
      const std::string put = input.text(1 + input.below(8));
      for (std::size_t i = 0; i < put.size() && at + i < tensor.bytes.size(); ++i) tensor.bytes[at + i] = put[i];
    }
  }
}

}  // namespace

std::string edited_file(Input& input) {
  static const std::vector<ModelWriter> files = right_files();
  ModelWriter model = files[input.below(files.size())];
  Json* const parts[] = {&model.config,    &model.tokenizer, &model.config,
                         &model.tokenizer, &model.selftest,  &model.source};
  for (int n = 0; n < 8 && !input.at_end(); ++n) {
    const std::size_t what = input.below(10);
    if (what < std::size(parts)) {
      edit(*parts[what], input);
    } else if (what < 9) {
      edit_tensor(model, input);
    } else {
      break;
    }
  }
  Json header = model.header();
  if (input.flag()) edit(header, input);
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (input.flag()) {  // what no JSON library writes
    for (int n = 0; n < 4 && !input.at_end(); ++n)
      text.insert(input.below(std::min<std::size_t>(text.size(), 65535) + 1), input.text(input.below(5)));
  }
  std::string file = ModelWriter::pack(text, model.data());
  if (input.flag()) file.resize(input.number() % (file.size() + 1));
  for (int n = 0; n < 4 && !input.at_end() && !file.empty(); ++n)
    file[(input.number() << 4 | input.below(16)) % file.size()] = static_cast<char>(input.byte());
  return file;
}

}  // namespace bertha_fuzz
