#include <bertha/bertha.hpp>
#include <iostream>

int main(int argc, char** argv) {
  const auto ask = bertha::QuestionAnswerer::load(argc > 1 ? argv[1] : "examples/models/answers.safetensors");
  const std::string passage = "Sinan lives in California but Matt lives in Boston";
  const auto answer = ask("Where is Sinan living these days?", passage);
  std::cout << answer.text << ' ' << answer.start << '-' << answer.end << ' ' << answer.score << '\n';

  for (const auto& other : ask.run("Where does Matt live?", passage, {.top_k = 3}))
    std::cout << other.text << ' ' << other.score << '\n';
}
