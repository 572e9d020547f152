// inspect: what is in a file, and which kernels this CPU runs.

#include "commands.hpp"
#include "for_people.hpp"

namespace program {
namespace {

using bertha::HeadKind;
using nlohmann::ordered_json;

ordered_json describe(const bertha::ModelConfig& config) {
  ordered_json json;
  json["precision"] = bertha::to_string(config.precision);
  if (config.precision == bertha::PrecisionKind::float32) json["float32_split"] = config.float32_split;
  json["head"] = bertha::to_string(config.head);
  json["labels"] = config.labels;
  json["vocab_size"] = config.vocab_size;
  json["hidden_size"] = config.hidden_size;
  json["embedding_size"] = config.embedding_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["intermediate_size"] = config.intermediate_size;
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["type_vocab_size"] = config.type_vocab_size;
  json["pooler"] = config.pooler.has_value();
  if (!config.layer_weights.empty()) json["layer_weights"] = config.layer_weights;
  if (!config.zero_points.empty()) json["zero_points"] = config.zero_points;
  if (!config.fine_attention.empty()) json["fine_attention"] = config.fine_attention;
  return json;
}

void describe(const bertha::WordPieceOptions& options, ordered_json& json) {
  json["lowercase"] = options.lowercase;
  json["strip_accents"] = options.strip_accents;
}

void describe(const bertha::ByteBpeOptions& options, ordered_json& json) {
  json["add_prefix_space"] = options.add_prefix_space;
  json["trim_offsets"] = options.trim_offsets;
}

void describe(const bertha::UnigramOptions& options, ordered_json& json) {
  json["whitespace_split"] = options.whitespace_split;
  json["byte_fallback"] = options.byte_fallback;
}

void describe(const bertha::BpeOptions& options, ordered_json& json) {
  json["whitespace_split"] = options.whitespace_split;
  json["byte_fallback"] = options.byte_fallback;
  json["merges"] = options.num_merges;
}

ordered_json describe(const bertha::TokenizerConfig& tokenizer) {
  ordered_json json = {{"kind", bertha::kind(tokenizer)}, {"vocab_size", tokenizer.vocab_size}};
  std::visit([&](const auto& options) { describe(options, json); }, tokenizer.model);
  json["added_tokens"] = tokenizer.added_tokens.size();
  return json;
}

ordered_json facts(const std::string& model) {
  const auto file = bertha::WeightFile::open(model);
  ordered_json json;
  json["file"] = file.name();
  json["source"] = ordered_json::parse(file.source(), nullptr, false);
  json["kind"] = !file.config().has_encoder ? "tokenizer" : file.config().head == HeadKind::none ? "encoder" : "model";
  if (file.config().has_encoder) json["config"] = describe(file.config());
  json["max_length"] = file.config().max_length;
  json["tokenizer"] = describe(file.tokenizer());
  json["self_test_cases"] = file.self_test().size();
  ordered_json tensors = ordered_json::array();
  std::size_t bytes = 0;
  for (const auto& tensor : file.tensors()) {
    tensors.push_back({{"name", tensor.name}, {"dtype", bertha::name(tensor.dtype)}, {"shape", tensor.shape}});
    bytes += tensor.size;
  }
  json["tensor_bytes"] = bytes;
  json["tensors"] = tensors;
  json["level"] = bertha::kernels::table().level;
  json["levels"] = ordered_json::array();
  for (const auto* table : bertha::kernels::available()) json["levels"].push_back(table->level);
  bertha::kernels::for_each_slot([&]<auto slot>(std::string_view operation) {
    json["kernels"][std::string(operation)] = (bertha::kernels::table().*slot).level;
  });
  if (file.config().has_encoder) json["splits_float32"] = bertha::AnyEncoder::splits(file.config());
  return json;
}

}  // namespace

int inspect(const std::string& model, bool json, Output& out) {
  out.text(json ? for_machines(facts(model)) : for_people(facts(model)));
  return 0;
}

}  // namespace program
