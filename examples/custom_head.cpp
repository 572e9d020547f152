// A head of one's own: the mean of a text's hidden states through a trained linear layer. Its weights were converted
// with `--keep scorer.`, so they lie in the file as scorer.weight and scorer.bias.

#include <bertha/bertha.hpp>
#include <bertha/eigen.hpp>
#include <iostream>

class MeanScorer {
 public:
  using Output = bertha::Logits;  // [S, L]
  static constexpr bertha::Reads reads = bertha::Reads::tokens;
  static constexpr bertha::Gives gives = bertha::Gives::sequence_rows;

  static MeanScorer load(bertha::WeightFile& file, const bertha::ModelConfig& config) {
    return {bertha::OutputLayer(file, "scorer", file.shape("scorer.weight")[0], config.hidden_size)};
  }
  Output operator()(const bertha::EncoderOutput& output, bertha::Workspace& work) const {
    bertha::AlignedBuffer<float> memory;
    const auto mean = memory.matrix(output.sequences(), output.hidden.cols);  // [S, H]
    for (std::size_t s = 0; s < mean.rows; ++s) {
      const auto tokens = output.hidden.middle_rows(output.starts[s], output.starts[s + 1]);
      bertha::as_matrix(mean).row(static_cast<Eigen::Index>(s)) = bertha::as_matrix(tokens).colwise().mean();
    }
    return scorer(mean, work);
  }

  bertha::OutputLayer scorer;
};

int main(int argc, char** argv) try {
  if (argc < 3) throw bertha::Error(bertha::ErrorCode::input, "usage: custom_head MODEL TEXT...");
  const auto model = bertha::Model<MeanScorer>::load(argv[1]);
  std::vector<bertha::Encoding> encodings;
  for (int i = 2; i < argc; ++i) encodings.push_back(model.tokenizer().encode(argv[i]));
  const bertha::Logits scores = model.run(encodings);
  for (std::size_t s = 0; s < scores.rows; ++s)
    for (std::size_t l = 0; l < scores.cols; ++l) std::cout << scores.row(s)[l] << (l + 1 < scores.cols ? ' ' : '\n');
} catch (const bertha::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
