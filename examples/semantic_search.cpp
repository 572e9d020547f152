// Which lines of the files of a folder mean most nearly what is asked for: all of them ranked by one product.

#include <algorithm>
#include <bertha/bertha.hpp>
#include <bertha/eigen.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 4) throw bertha::Error(bertha::ErrorCode::input, "usage: semantic_search MODEL FOLDER QUERY");
  const auto embed = bertha::Embedder::load(argv[1]);
  std::vector<std::string> lines;
  for (const auto& file : std::filesystem::recursive_directory_iterator(argv[2])) {
    std::ifstream in(file.path());
    for (std::string line; std::getline(in, line);)
      if (!line.empty()) lines.push_back(line);
  }
  const auto query = embed.run(argv[3], {.normalize = true});
  const auto vectors = bertha::to_matrix(embed.run(lines, {.normalize = true}));  // [lines, D]
  const Eigen::VectorXf cosines = vectors * bertha::as_row(query).transpose();    // [lines]
  std::vector<Eigen::Index> best(lines.size());
  for (std::size_t i = 0; i < best.size(); ++i) best[i] = static_cast<Eigen::Index>(i);
  std::stable_sort(best.begin(), best.end(), [&](auto a, auto b) { return cosines[a] > cosines[b]; });
  best.resize(std::min<std::size_t>(best.size(), 10));
  for (const auto i : best) std::cout << cosines[i] << '\t' << lines[static_cast<std::size_t>(i)] << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
