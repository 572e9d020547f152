// embed: texts in, their vectors out.

#include "answers_json.hpp"
#include "commands.hpp"
#include "texts.hpp"

namespace program {

int embed(const EmbedArguments& arguments, Output& out) {
  const auto model = bertha::Embedder::load(arguments.model, arguments.load);
  const auto run = [&](const std::vector<const Line*>& lines) {
    std::vector<std::string_view> texts;
    for (const Line* line : lines) texts.push_back(line->text);
    return written(model.try_run(texts, arguments.options, call_options(arguments.lines)),
                   [&](std::size_t, const auto& vectors) { return to_json(vectors, arguments.options.tokens); });
  };
  return run_texts({{.second = Second::refused}, run, "with --no-truncation that is an error"}, arguments, out);
}

}  // namespace program
