// verify and inspect: whether this machine reproduces a file, and what is in it.

#include <algorithm>
#include <iostream>

#include "answers_json.hpp"
#include "commands.hpp"

namespace program {
namespace {

using bertha::Error;
using bertha::ErrorCode;
using bertha::HeadKind;
using bertha::SelfTestCase;
using nlohmann::ordered_json;

std::string answer_json(const bertha::TextClassifier& model, const SelfTestCase& recorded) {
  const bertha::TextInput input =
      recorded.text_pair ? bertha::TextInput(recorded.text, *recorded.text_pair) : bertha::TextInput(recorded.text);
  return to_json(model.run(input, {.top_k = 1}));
}
std::string answer_json(const bertha::EntityRecognizer& model, const SelfTestCase& recorded) {
  return to_json(model(recorded.text), recorded.text, bertha::OffsetUnit::code_point, false);
}
std::string answer_json(const bertha::QuestionAnswerer& model, const SelfTestCase& recorded) {
  return to_json(model.run(recorded.text, *recorded.text_pair), *recorded.text_pair, bertha::OffsetUnit::code_point, 1);
}

/// Equal but for scores, which may differ by what Float32 promises.
bool same_answer(const ordered_json& a, const ordered_json& b) {
  if (a.is_number_float() && b.is_number_float()) return std::abs(a.get<double>() - b.get<double>()) <= 1e-4;
  if (a.is_structured() && a.type() == b.type() && a.size() == b.size())
    return std::equal(a.items().begin(), a.items().end(), b.items().begin(), [](const auto& x, const auto& y) {
      return x.key() == y.key() && same_answer(x.value(), y.value());
    });
  return a == b;
}

/// The recorded answers are those of the unquantised checkpoint: an int8 model need not give them.
template <class Pipeline>
void check_answers(const Pipeline& pipeline) {
  const auto& file = pipeline.model().file();
  if (file.config().precision != bertha::PrecisionKind::float32) return;
  for (std::size_t i = 0; i < file.self_test().size(); ++i) {
    const SelfTestCase& recorded = file.self_test()[i];
    if (recorded.answer.empty()) continue;
    const std::string found = answer_json(pipeline, recorded);
    if (!same_answer(ordered_json::parse(found), ordered_json::parse(recorded.answer)))
      throw Error(ErrorCode::self_test, file.name() + ": self-test case " + number(i) + ": the answer is " + found +
                                            ", expected " + recorded.answer);
  }
}

/// The bits of the logits of every case: what the converter records for int8 files, from the scalar level.
template <class Pipeline>
std::string record(const Pipeline& pipeline) {
  return list(pipeline.model().file().self_test(), [&](const SelfTestCase& recorded) {
    const auto& tokenizer = pipeline.model().tokenizer();
    const auto encoding =
        recorded.text_pair ? tokenizer.encode(recorded.text, *recorded.text_pair) : tokenizer.encode(recorded.text);
    return quote(bertha::detail::to_hex(pipeline.model().run(std::span(&encoding, 1)).values));
  });
}

/// A file whose head the program can't run: its bytes and its tokens only.
void verify_without_head(bertha::WeightFile& file) {
  file.check_crcs();
  const auto tokenizer = bertha::Tokenizer::load(file);
  for (std::size_t i = 0; i < file.self_test().size(); ++i)
    bertha::detail::check_tokens(file.name(), i, file.self_test()[i], tokenizer);
}

template <class Pipeline>
void verify_pipeline(const VerifyArguments& arguments) {
  const auto pipeline = Pipeline::load(arguments.model);
  if (arguments.record) {
    std::cout << record(pipeline) << '\n';
    return;
  }
  pipeline.model().verify();
  check_answers(pipeline);
}

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
  json["pooler"] = config.has_pooler;
  return json;
}

ordered_json describe(const bertha::TokenizerConfig& tokenizer) {
  ordered_json json = {{"kind", bertha::kind(tokenizer)}, {"vocab_size", tokenizer.vocab_size}};
  if (const auto* byte_bpe = std::get_if<bertha::ByteBpeOptions>(&tokenizer.model)) {
    json["add_prefix_space"] = byte_bpe->add_prefix_space;
    json["trim_offsets"] = byte_bpe->trim_offsets;
  } else {
    const auto& word_piece = std::get<bertha::WordPieceOptions>(tokenizer.model);
    json["lowercase"] = word_piece.lowercase;
    json["strip_accents"] = word_piece.strip_accents;
  }
  json["added_tokens"] = tokenizer.added_tokens.size();
  return json;
}

}  // namespace

int verify(const VerifyArguments& arguments) {
  auto file = bertha::WeightFile::open(arguments.model);
  switch (file.config().head) {
    case HeadKind::sequence_classification: verify_pipeline<bertha::TextClassifier>(arguments); break;
    case HeadKind::token_classification: verify_pipeline<bertha::EntityRecognizer>(arguments); break;
    case HeadKind::question_answering: verify_pipeline<bertha::QuestionAnswerer>(arguments); break;
    case HeadKind::none:
    case HeadKind::custom:
      if (arguments.record)
        throw Error(ErrorCode::unsupported, arguments.model + ": --record needs a head that the program can run");
      verify_without_head(file);
      break;
  }
  if (!arguments.record)
    std::cout << "{\"verified\":true,\"cases\":" << file.self_test().size() << ",\"tensors\":" << file.tensors().size()
              << ",\"level\":" << quote(bertha::kernels::table().level) << "}\n";
  return 0;
}

int inspect(const std::string& model) {
  const auto file = bertha::WeightFile::open(model);
  ordered_json json;
  json["file"] = file.name();
  json["source"] = ordered_json::parse(file.source());
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
  for (const auto& slot : bertha::kernels::table().slots) json["kernels"][std::string(slot.operation)] = slot.level;
  if (file.config().has_encoder) json["splits_float32"] = bertha::AnyEncoder::splits(file.config());
  std::cout << json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) << '\n';
  return 0;
}

}  // namespace program
