#include <bertha/bertha.hpp>
#include <iostream>

int main(int argc, char** argv) {
  const auto find = bertha::EntityRecognizer::load(argc > 1 ? argv[1] : "examples/models/entities.safetensors");
  const std::string text = "My name is Sinan and I live in San Francisco.";
  for (const auto& e : find(text))  // a token each; e.start, e.end: bytes in text
    std::cout << e.label << ' ' << e.word << ' ' << e.start << '-' << e.end << '\n';

  for (const auto& e : find.run(text, {.aggregation_strategy = bertha::AggregationStrategy::simple}))
    std::cout << e.label << ' ' << text.substr(e.start, e.end - e.start) << '\n';
}
