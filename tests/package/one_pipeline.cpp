// A program with one pipeline, as small as users write it: what it costs to compile is held against a budget.

#include <bertha/bertha.hpp>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto classify = bertha::TextClassifier::load(argv[1]);
  std::cout << classify(argv[2]).label << '\n';
}
