// verify: whether this machine reproduces what a file recorded.

#include <algorithm>

#include "answers_json.hpp"
#include "commands.hpp"

namespace program {
namespace {

using bertha::ErrorCode;
using bertha::HeadKind;
using bertha::SelfTestCase;
using bertha::throw_error;
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
  const std::string& context = recorded.text_pair.value();  // checked when the file was read
  return to_json(model.run(recorded.text, context), context, bertha::OffsetUnit::code_point, 1);
}
std::string answer_json(const bertha::FillMask& model, const SelfTestCase& recorded) {
  return to_json(model.run(recorded.text));
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
    if (!same_answer(ordered_json::parse(found), ordered_json::parse(recorded.answer, nullptr, false)))
      throw_error(ErrorCode::self_test,
                  {file.name(), ": self-test case ", i, ": the answer is ", found, ", expected ", recorded.answer});
  }
}

/// The bits of the logits of every case: what the converter records for int8 files, from the scalar level.
template <class Pipeline>
std::string record(const Pipeline& pipeline) {
  return list(pipeline.model().file().self_test(), [&](const SelfTestCase& recorded) {
    const auto& tokenizer = pipeline.model().tokenizer();
    const auto encoding =
        recorded.text_pair ? tokenizer.encode(recorded.text, *recorded.text_pair) : tokenizer.encode(recorded.text);
    return quote(bertha::detail::to_hex(pipeline.model().recorded_logits(encoding, recorded).values));
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
void verify_pipeline(const VerifyArguments& arguments, Output& out) {
  const auto pipeline = Pipeline::load(arguments.model);
  if (arguments.record) {
    out.line(record(pipeline));
    return;
  }
  pipeline.model().verify();
  if constexpr (!std::is_same_v<Pipeline, bertha::Embedder>) check_answers(pipeline);  // its vectors are its logits
}

}  // namespace

int verify(const VerifyArguments& arguments, Output& out) {
  auto file = bertha::WeightFile::open(arguments.model);
  switch (file.config().head) {
    case HeadKind::sequence_classification: verify_pipeline<bertha::TextClassifier>(arguments, out); break;
    case HeadKind::token_classification: verify_pipeline<bertha::EntityRecognizer>(arguments, out); break;
    case HeadKind::question_answering: verify_pipeline<bertha::QuestionAnswerer>(arguments, out); break;
    case HeadKind::masked_lm: verify_pipeline<bertha::FillMask>(arguments, out); break;
    case HeadKind::embedding: verify_pipeline<bertha::Embedder>(arguments, out); break;
    case HeadKind::none:
    case HeadKind::custom:
      if (arguments.record)
        throw_error(ErrorCode::unsupported, {arguments.model, ": --record needs a head that the program can run"});
      verify_without_head(file);
      break;
  }
  if (!arguments.record)
    out.line("{\"verified\":true,\"cases\":" + number(file.self_test().size()) + ",\"tensors\":" +
             number(file.tensors().size()) + ",\"level\":" + quote(bertha::kernels::table().level) + '}');
  return 0;
}

}  // namespace program
